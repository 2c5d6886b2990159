"""Why a network does poorly on your pictures, and what each repair gains.

To read it: ``ink_and_paper`` and ``properties`` (what a picture is like, and how far that is from
MNIST), ``repairs`` (MNIST's form, one step at a time), ``costs`` (what a repair is worth),
``results`` and ``diagnose`` (all of it for a set), ``advice``; then ``text`` and ``report`` (HTML).
"""
