"""Exercises: write the package's functions yourself, and hear what is wrong by its usual name.

``catalogue`` lists the lessons, in the order of a course; ``pictures``, ``gradients``, ``windows``,
``training`` and ``transfer`` hold them. ``check`` runs a function against the package's own, and
``process`` does so in another process, which may hang or crash.
"""
