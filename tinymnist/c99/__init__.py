"""A model as one C99 file that allocates nothing: the network, the recipe, and a self-test.

In reading order: ``layers.c`` (one function per kind of layer; a file gets those that it calls),
``recipe.c`` (a grey picture to MNIST's form), ``network`` (a model's layers as calls of them),
``writer`` (the whole file).
"""

from tinymnist.c99.writer import render, write

__all__ = ["render", "write"]
