"""Text tables, contact sheets, charts and HTML pages: what every report is made of.

This room knows arrays and Pillow, and none of the things that are reported on.
"""
