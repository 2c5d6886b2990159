"""Pictures to arrays. It knows no network.

To read it: ``pixels`` and ``decode`` (any picture to a grey array), ``filters``, ``components``,
``paper``, ``strokes`` and ``normalize`` (one digit to MNIST's own form), ``recipes`` (the two
together), then ``augment`` (variants for training) and ``paint`` (the sample pictures).
"""
