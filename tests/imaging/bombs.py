"""Pictures, archives and pages that ask for gigabytes or hours, or for what is not a picture.

    python -m tests.imaging.bombs [NAME ...]

makes them and opens each as a command would, under a limit of memory; one line of JSON each.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.bombs import open_all

Maker = Callable[[Path], Path]
BOMBS: dict[str, Maker] = {}
"""What makes each in an empty folder, by name; what is named ``page_...`` is read as a page."""
MOST_BYTES = 2_000_000_000  # of address space, beyond what Python and NumPy take
_MOST_PICTURES = 3  # of each that are opened; all are listed


def bomb(make: Maker) -> Maker:
    BOMBS[make.__name__] = make
    return make


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# --- PNG ------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    """So many zeros, compressed in little time."""
    squeezer = zlib.compressobj(1)
    block = bytes(1 << 20)
    parts = [squeezer.compress(block[: min(1 << 20, size - i)]) for i in range(0, size, 1 << 20)]
    return b"".join(parts) + squeezer.flush()


@bomb
def png_of_3600_megapixels(folder: Path) -> Path:
    return written(folder / "a.png", png(60_000, 60_000, chunk(b"IDAT", zeros(10_000_000))))


@bomb
def png_of_16_bits(folder: Path) -> Path:
    pixels = zeros(7000 * (2 * 7000 + 1))
    return written(folder / "a.png", png(7000, 7000, chunk(b"IDAT", pixels), depth=16))


@bomb
def png_of_2_to_the_31(folder: Path) -> Path:
    return written(folder / "a.png", png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", zeros(1000))))


@bomb
def png_a_line_of_20_million(folder: Path) -> Path:
    pixels = zeros(20_000_001)
    return written(folder / "a.png", png(20_000_000, 1, chunk(b"IDAT", pixels)))


@bomb
def png_text_of_30_megabytes(folder: Path) -> Path:
    text = chunk(b"zTXt", b"a\0\0" + zeros(30_000_000))
    return written(folder / "a.png", png(28, 28, text, chunk(b"IDAT", zeros(28 * 29))))


@bomb
def png_profile_of_30_megabytes(folder: Path) -> Path:
    profile = chunk(b"iCCP", b"a\0\0" + zeros(30_000_000))
    return written(folder / "a.png", png(28, 28, profile, chunk(b"IDAT", zeros(28 * 29))))


@bomb
def png_of_50000_chunks(folder: Path) -> Path:
    many = chunk(b"tEXt", b"a\0b") * 50_000
    return written(folder / "a.png", png(28, 28, many, chunk(b"IDAT", zeros(28 * 29))))


@bomb
def png_of_billions_of_frames(folder: Path) -> Path:
    frames = chunk(b"acTL", struct.pack(">2I", 2**31 - 1, 0))
    return written(folder / "a.png", png(28, 28, frames, chunk(b"IDAT", zeros(28 * 29))))


@bomb
def png_whose_chunk_is_4_gigabytes(folder: Path) -> Path:
    content = png(28, 28)[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT" + zeros(1000)
    return written(folder / "a.png", content)


# --- other formats --------------------------------------------------------------------------------


def saved(image: Image.Image, kind: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


SMALL = Image.new("L", (28, 28), 255)


@bomb
def gif_of_3000_frames(folder: Path) -> Path:
    content = saved(SMALL, "GIF")
    start = content.index(b",")  # of the one image, which is repeated
    frames = content[start:-1] * 3000
    return written(folder / "a.gif", content[:start] + frames + b";")


@bomb
def gif_of_4_gigapixels(folder: Path) -> Path:
    content = bytearray(saved(SMALL, "GIF"))
    content[6:10] = b"\xff" * 4
    return written(folder / "a.gif", bytes(content))


@bomb
def jpeg_of_4_gigapixels(folder: Path) -> Path:
    content = saved(SMALL, "JPEG")
    at = content.index(b"\xff\xc0") + 5
    return written(folder / "a.jpg", content[:at] + b"\xff\xdc\xff\xdc" + content[at + 4 :])


@bomb
def jpeg_progressive_of_170_megapixels(folder: Path) -> Path:
    content = saved(SMALL.convert("RGB"), "JPEG", progressive=True)
    at = content.index(b"\xff\xc2") + 5
    size = struct.pack(">2H", 13_000, 13_000)
    return written(folder / "a.jpg", content[:at] + size + content[at + 4 :])


@bomb
def jpeg_of_300_scans(folder: Path) -> Path:
    content = saved(Image.new("L", (1000, 1000), 255), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return written(folder / "a.jpg", content[:last] + content[last:-2] * 300 + b"\xff\xd9")


@bomb
def webp_of_268_megapixels(folder: Path) -> Path:
    bits = 16_382 | 16_382 << 14
    data = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", bits) + bytes(5)
    return written(folder / "a.webp", b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data)


@bomb
def jpeg2000_of_60_megapixels(folder: Path) -> Path:
    content = bytearray(saved(Image.new("RGB", (64, 64)), "JPEG2000", no_jp2=True))
    at = content.index(b"\xff\x51") + 6
    content[at : at + 8] = struct.pack(">2I", 7800, 7800)
    return written(folder / "a.jp2", bytes(content))


@bomb
def bmp_of_a_negative_size(folder: Path) -> Path:
    content = bytearray(saved(SMALL, "BMP"))
    content[18:26] = struct.pack("<2i", 2**31 - 1, -(2**31))
    return written(folder / "a.bmp", bytes(content))


@bomb
def ico_with_a_large_png(folder: Path) -> Path:
    large = png(20_000, 20_000, chunk(b"IDAT", zeros(1_000_000)))
    entry = struct.pack("<4B2H2I", 32, 32, 0, 0, 1, 32, len(large), 22)
    return written(folder / "a.ico", b"\0\0\1\0\1\0" + entry + large)


@bomb
def tga_of_4_gigapixels(folder: Path) -> Path:
    header = struct.pack("<3B2HB4H2B", 0, 0, 11, 0, 0, 0, 0, 0, 65_535, 65_535, 8, 0)
    return written(folder / "a.tga", header + b"\xff\0" * 100)


@bomb
def pgm_of_a_size_without_end(folder: Path) -> Path:
    return written(folder / "a.pgm", b"P5 " + b"9" * 100_000 + b" 28 255\n")


@bomb
def pgm_of_text(folder: Path) -> Path:
    return written(folder / "a.pgm", b"P2 9000 9000 255\n" + b"0 " * 1_000_000)


@bomb
def eps_that_is_a_png_by_name(folder: Path) -> Path:
    return written(folder / "a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


# --- TIFF -----------------------------------------------------------------------------------------


def tiff(*pages: dict[int, int], last: int = 0) -> bytes:
    """Pages of tags and values; the last leads to an offset."""
    content = b"II*\0" + struct.pack("<I", 8)
    for number, tags in enumerate(pages):
        after = len(content) + 2 + 12 * len(tags) + 4
        entries = [struct.pack("<2H2I", tag, 4, 1, value) for tag, value in sorted(tags.items())]
        next_page = last if number == len(pages) - 1 else after
        content += struct.pack("<H", len(tags)) + b"".join(entries) + struct.pack("<I", next_page)
    return content


def grey_page(width: int, height: int) -> dict[int, int]:
    size = {256: width, 257: height, 278: height, 279: width * height % 2**32}
    return size | {258: 8, 259: 1, 262: 1, 273: 8, 277: 1}


@bomb
def tiff_of_3600_megapixels(folder: Path) -> Path:
    return written(folder / "a.tif", tiff(grey_page(60_000, 60_000)))


@bomb
def tiff_whose_second_page_is_large(folder: Path) -> Path:
    return written(folder / "a.tif", tiff(grey_page(8, 8), grey_page(60_000, 60_000)))


@bomb
def tiff_that_leads_to_itself(folder: Path) -> Path:
    return written(folder / "a.tif", tiff(grey_page(8, 8), last=8))


@bomb
def tiff_of_1000_pages(folder: Path) -> Path:
    return written(folder / "a.tif", tiff(*[grey_page(8, 8)] * 1000))


@bomb
def tiff_of_a_tag_of_gigabytes(folder: Path) -> Path:
    content = bytearray(tiff(grey_page(8, 8)))
    content[10 + 4 : 10 + 8] = struct.pack("<I", 2**32 - 1)
    return written(folder / "a.tif", bytes(content))


# --- archives and arrays --------------------------------------------------------------------------


@bomb
def zip_with_a_gigabyte_of_zeros(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(1000))
    content = (folder / "a.zip").read_bytes()
    large = content.replace(struct.pack("<I", 1000), struct.pack("<I", 1 << 30))
    return written(folder / "a.zip", large)


@bomb
def zip_of_5000_pictures(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for number in range(5_000):
            archive.writestr(f"{number}.png", b"")
    return folder / "a.zip"


@bomb
def zip_in_zip(folder: Path) -> Path:
    content = b"no picture"
    for _ in range(20):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.zip", content)
        content = file.getvalue()
    return written(folder / "a.zip", content)


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@bomb
def tar_with_a_name_of_a_gigabyte(folder: Path) -> Path:
    content = tar_header("a", 1 << 30, tarfile.GNUTYPE_LONGNAME) + bytes(1 << 20)
    return written(folder / "a.tar.gz", gzip.compress(content, 1))


@bomb
def tar_with_properties_of_a_gigabyte(folder: Path) -> Path:
    content = tar_header("a", 1 << 30, tarfile.XHDTYPE) + bytes(1 << 20)
    return written(folder / "a.tar.gz", gzip.compress(content, 1))


@bomb
def tar_that_expands_to_a_terabyte(folder: Path) -> Path:
    content = tar_header("a.bin", 1 << 40) + bytes(1 << 20)
    return written(folder / "a.tar.gz", gzip.compress(content, 1))


@bomb
def tar_cut_in_a_header(folder: Path) -> Path:
    content = saved(SMALL, "PNG")
    member = tar_header("a.png", len(content)) + content.ljust(512, b"\0")
    return written(folder / "a.tar", member + tar_header("b.png", 9)[:300])


@bomb
def tar_with_a_damaged_header(folder: Path) -> Path:
    content = saved(SMALL, "PNG").ljust(1024, b"\0")
    damaged = b"x" + tar_header("b.png", 9)[1:]
    return written(folder / "a.tar", tar_header("a.png", 1024) + content + damaged + bytes(2048))


@bomb
def npy_of_a_terabyte(folder: Path) -> Path:
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 30, 28, 28)}
    np.lib.format.write_array_header_1_0(file, header)
    return written(folder / "a.npy", file.getvalue())


@bomb
def npz_of_a_terabyte(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        archive.writestr("images.npy", npy_of_a_terabyte(folder).read_bytes() + bytes(1000))
    return folder / "a.npz"


@bomb
def npy_of_parentheses(folder: Path) -> Path:
    header = b"(" * 9000
    start = b"\x93NUMPY\1\0" + struct.pack("<H", len(header))
    return written(folder / "a.npy", start + header)


# --- what is not a file ---------------------------------------------------------------------------


@bomb
def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.png")
    return folder / "a.png"


@bomb
def a_device_without_end(folder: Path) -> Path:
    (folder / "a.tif").symlink_to("/dev/zero")
    return folder / "a.tif"


@bomb
def a_link_to_itself(folder: Path) -> Path:
    (folder / "a.png").symlink_to(folder / "a.png")
    return folder / "a.png"


@bomb
def a_sparse_terabyte(folder: Path) -> Path:
    with open(folder / "a.webp", "wb") as file:
        file.write(b"RIFF\0\0\0\0WEBP")
        file.truncate(1 << 38)
    return folder / "a.webp"


# --- pages ----------------------------------------------------------------------------------------


def page(folder: Path, ink: NDArray[np.bool_]) -> Path:
    Image.fromarray(np.where(ink, 0, 255).astype(np.uint8)).save(folder / "a.png")
    return folder / "a.png"


@bomb
def page_of_10000_specks(folder: Path) -> Path:
    down, right = np.indices((400, 400)) % 4
    return page(folder, (down < 2) & (right < 2))


@bomb
def page_of_a_grid(folder: Path) -> Path:
    down, right = np.indices((320, 320)) % 16
    return page(folder, (down == 0) | (right == 0))


@bomb
def page_of_squares_in_squares(folder: Path) -> Path:
    down, right = abs(np.indices((400, 400)) - 199.5)
    return page(folder, np.maximum(down, right).astype(int) % 4 == 0)


@bomb
def page_of_a_checkerboard(folder: Path) -> Path:
    down, right = np.indices((300, 300)) // 3
    return page(folder, (down + right) % 2 == 0)


@bomb
def page_of_noise(folder: Path) -> Path:
    return page(folder, np.random.default_rng(0).random((240, 240)) < 0.2)


@bomb
def page_of_halves(folder: Path) -> Path:
    down, right = np.indices((400, 400))
    return page(folder, (down % 12 < 9) & (down % 12 != 4) & (right % 10 < 6))


# --- running them ---------------------------------------------------------------------------------


def open_pictures(path: Path) -> str:
    """Read the first pictures in a file; what came of them."""
    from tinymnist.errors import InputError
    from tinymnist.reader import Reader
    from tinymnist.sources import Inputs

    reader = Reader("mlp")
    read = reader.read if path.parent.name.startswith("page_") else reader.predict
    listed, outcomes = 0, []
    for _, source in islice(Inputs([path]), 100_000):
        listed += 1
        if listed > _MOST_PICTURES and not isinstance(source, InputError):
            continue
        try:
            if isinstance(source, InputError):
                raise source
            read(source)
            outcomes.append("read")
        except InputError as error:
            outcomes.append(f"refused: {error}")
    return "; ".join([f"{listed} listed", *outcomes[-_MOST_PICTURES:]])


def main() -> None:
    """Open all, or those named."""
    warnings.filterwarnings("ignore", module="PIL")
    open_all(
        BOMBS,
        lambda _, made: open_pictures(made),
        MOST_BYTES,
        lambda place: open_pictures(written(place / "a.png", saved(SMALL, "PNG"))),
    )


if __name__ == "__main__":
    main()
