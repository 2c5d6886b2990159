"""Pictures where Keras users look for them: ``from tinymnist.preprocessing.image import ...``."""

from tinymnist.preprocessing import image as image
