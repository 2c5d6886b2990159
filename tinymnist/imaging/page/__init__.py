"""A page to rows of candidates, each of which may be a digit.

In reading order: ``ink`` (what is written), ``marks`` (connected ink that may be digits),
``lattice`` (the costs of each interpretation of a row, and the cheapest), ``pieces`` (marks cut
where digits may touch), ``segment`` (rows of candidates from all of that), ``annotate`` (draws the
result).
"""
