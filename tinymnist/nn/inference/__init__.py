"""A graph lowered to a list of NumPy calls on buffers that stay: what ``predict`` runs."""
