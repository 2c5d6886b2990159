"""Pictures to arrays. It knows no network.

To read it: ``sources`` and ``decode`` (any picture to a grey array), ``components``, ``strokes``
and ``normalize`` (one digit to MNIST's own form), ``recipes`` (the two together), then ``drawing``
and ``paint`` (the sample pictures that ship with the package).
"""
