"""Any picture file to grey pixels.

In reading order: ``otsu`` (splits a picture in two classes, such as ink and paper), ``pixels``
(numbers of any kind and colours to grey in 0..1), ``decode`` (files, bytes, images and arrays).
"""
