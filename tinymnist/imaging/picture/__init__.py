"""Any picture file to grey pixels."""
