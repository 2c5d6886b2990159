"""The network. It knows arrays, and neither pictures nor any file but its own weights.

To read it: ``shapes``, ``functional``, ``layers``, ``losses``, ``optimizers``, ``model``,
``training``, ``fitting``, ``weights``. Each imports only what comes before it.
"""
