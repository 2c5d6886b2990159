"""Damaged and hostile files through the public doors: ``python -m benchmarks.mutations``.

``kinds`` is the registry: what is opened, the sound files to begin with, and how they are damaged.
``mutators`` damages bytes and structures, ``models`` and its neighbours fill the registry,
``worker`` opens one damaged file after another within limits, and ``runner`` watches the workers.
"""
