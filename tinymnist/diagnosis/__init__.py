"""Why a network does poorly on your pictures, and what each repair gains.

To read it: ``ink_and_paper`` and ``properties`` (what a picture is like), ``mnist_statistics`` (how
far that is from MNIST), ``repairs`` (MNIST's form, one step at a time), ``costs`` (what a repair is
worth), ``results`` and ``diagnose`` (all of it for a set), ``remedies`` and ``advice`` (what to do
about it), ``pictures`` (what can be diagnosed); then ``text``, ``gallery`` and ``report`` (HTML).
"""
