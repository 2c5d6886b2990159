"""Files that hold weights alone: which architectures fit them."""
