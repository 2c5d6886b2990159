"""Pictures to arrays. It knows no network.

To read it, follow one digit: ``pixels``, ``colour`` and ``decode`` (any picture to a grey array);
``filters``, ``components``, ``paper`` (what is ink), ``isolate`` (the digit's own ink),
``strokes`` and ``frame`` (into MNIST's frame), ``normalize`` (all of that in stages), ``recipes``.

Then a page: ``page``, ``rules``, ``marks``, ``rows``, ``cuts``, ``lattice`` and ``segment``;
``original`` and ``annotate`` draw what was found.

Then training: ``paint``, ``scenes``, ``styles``, ``widen`` and ``augment`` make variants of digits;
``augmentation`` is for everybody's training: Keras's generator, and more.

Then diagnosis: ``anatomy``, ``properties``, ``statistics`` and ``repairs``.
"""
