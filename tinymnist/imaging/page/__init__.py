"""A page to rows of candidates, each of which may be a digit.

In reading order: ``ink`` (what is written), ``marks`` (connected ink that may be digits), ``rows``
(marks in reading order), ``costs`` (what speaks against each interpretation), ``pieces`` (marks cut
where digits may touch), ``lattice`` (the cheapest path through a row), ``segment`` (all of that
together), ``annotate`` (draws the result).
"""
