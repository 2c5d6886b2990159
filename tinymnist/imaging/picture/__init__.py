"""Any picture file to grey pixels.

In reading order: ``pixels`` (numbers of any kind to 0..1), ``otsu`` (splits a picture in two
classes, such as ink and paper), ``colour`` (the grey in which ink and paper differ most),
``decode`` (files, bytes, images and arrays to grey), ``original`` (a picture in its own colours, to
draw on).
"""
