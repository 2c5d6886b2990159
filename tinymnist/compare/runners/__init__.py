"""Each framework's own run of a model, with every layer's output: one module a framework."""
