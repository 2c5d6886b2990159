"""MNIST where Keras users look for it: ``from tinymnist.datasets import mnist``."""

from tinymnist.datasets import mnist as mnist
