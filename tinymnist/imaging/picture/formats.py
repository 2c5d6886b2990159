"""Which files Pillow may open: those that start like one of a few formats.

Pillow knows forty more and tries them all on a file: an EPS called ``7.png`` would start
Ghostscript. If one format is named, only that plug-in reads the file.
"""

from __future__ import annotations

STARTS: dict[str, tuple[int, tuple[bytes, ...]]] = {
    "PNG": (0, (b"\x89PNG\r\n\x1a\n",)),
    "JPEG": (0, (b"\xff\xd8\xff",)),
    "GIF": (0, (b"GIF87a", b"GIF89a")),
    "TIFF": (0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0")),
    "WEBP": (8, (b"WEBP",)),
    "AVIF": (4, (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1")),
    # Only if the user's program has registered a plug-in for it:
    "HEIF": (4, (b"ftyphei", b"ftyphev")),
    "BMP": (0, (b"BM",)),
    "PPM": (0, (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P0", b"Pf", b"Py")),
    "ICO": (0, (b"\0\0\1\0",)),
    "JPEG2000": (0, (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")),
}
"""What files of a format hold, at this place."""
UNSIGNED = "TGA"
"""The format of all other files: those of TGA start with anything."""
DESCRIBED = "a PNG, JPEG, GIF, TIFF, WebP, AVIF, BMP, PNM, TGA, ICO or JPEG 2000"
