"""Each framework's own run of a model, with every layer's output: one module per framework.

Every module has ``PACKAGES`` (what to install), ``check_installed`` and ``run``; ``keras`` and
``onnx`` also ``load``, ``keras`` and ``torch`` also ``gradients``.
"""
