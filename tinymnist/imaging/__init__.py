"""Pictures to arrays, in four rooms. None of them knows a network.

Read them in this order; each imports only from those before it: ``picture`` (any file to grey
pixels), ``digit`` (one digit to MNIST's form), ``page`` (a page to digits), ``synthetic`` (painted
training data).
"""
