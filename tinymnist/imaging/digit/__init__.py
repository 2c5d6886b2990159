"""A picture of one digit to MNIST's form: 28x28, white ink on black.

In reading order: ``filters`` and ``components`` (the tools), ``paper`` (polarity, uneven light,
noise), ``isolate`` (which ink is the digit's), ``rules`` (ruled paper), ``frame`` (strokes of
MNIST's width, in MNIST's frame), ``normalize`` (all of that in stages), ``recipes`` (the names by
which a model's metadata refers to it).
"""
