"""One digit to MNIST's form."""
