"""Random variants of images for training: Keras's generator, and transforms beyond it.

Reading order: ``ranges`` (what Keras's generator draws), ``resample`` (values between pixels,
affine maps), ``standardization``, ``flows`` and ``directory`` (batches), ``generator``; then
``compose``, ``effects`` (transforms of batches), ``distort`` (for training the shipped models).
"""

from tinymnist.augmentation.compose import Compose as Compose
from tinymnist.augmentation.compose import EachPicture as EachPicture
from tinymnist.augmentation.compose import Transform as Transform
from tinymnist.augmentation.effects import Blur as Blur
from tinymnist.augmentation.effects import Contrast as Contrast
from tinymnist.augmentation.effects import Cutout as Cutout
from tinymnist.augmentation.effects import Elastic as Elastic
from tinymnist.augmentation.effects import Gamma as Gamma
from tinymnist.augmentation.effects import Noise as Noise
from tinymnist.augmentation.effects import Perspective as Perspective
from tinymnist.augmentation.effects import StrokeWidth as StrokeWidth
from tinymnist.augmentation.generator import ImageDataGenerator as ImageDataGenerator
