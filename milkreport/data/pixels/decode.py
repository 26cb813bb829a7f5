"""One image file to RGB pixels, by one rule.

Pillow reads JPEG and PNG and nothing else here, and a file's name must not claim another format. Then:

- The orientation that EXIF names is applied.
- Grey is repeated to three channels. Palette and alpha are composited over white. CMYK and YCCK are
  converted by Pillow's formula. Colour profiles and gamma are not applied.
- 16-bit RGB becomes 8-bit by Pillow, which takes the high byte. 16-bit grey is refused, because files
  use unknown parts of its range. Other modes are refused by name.
- ``exact``: Pillow's bilinear resize, equal to ``torchvision.transforms.Resize`` on the PIL image.
- ``fast``: a JPEG is decoded at 1/2, 1/4 or 1/8 scale where that leaves 7/8 of the wanted size and
  200 pixels (which :mod:`milkreport.data.pixels.perceptual_hash` needs) in both directions; then the same
  filter by the package cykooz-resizer, which differs from Pillow's by one of 255 at most and takes a
  quarter of its time. All other images as in ``exact``.

What a file's compressed data lost without leaving a trace (a flipped bit that decodes to another
colour) cannot be seen here.
"""

from __future__ import annotations

import importlib
import os
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL import ImageFile as pillow_files
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from milkreport.errors import DataError, EnvironmentProblem

Decoder = Literal["exact", "fast"]
Kind = Literal[
    "missing", "empty", "truncated", "mislabelled", "too large", "unreadable", "unsupported"
]
Pixels = npt.NDArray[np.uint8]

#: Names of the rules; one changes whenever its pixels or hashes do.
RULES: dict[Decoder, str] = {"exact": "pillow-rgb-bilinear-2", "fast": "pillow-draft-bilinear-2"}
MAX_PIXELS = 64_000_000

_READERS: dict[str, type[ImageFile]] = {"JPEG": JpegImageFile, "PNG": PngImageFile}
_EXPECTED = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
# The file must start with the second text, at the offset; the first that fits wins.
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"BM", "BMP"),
    (0, b"%PDF", "PDF"),
    (0, b"PK", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (128, b"DICM", "DICOM"),
    (0, b"version https://git-lfs", "Git LFS pointer"),
)
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"})
_ORIENTATION = 0x0112  # the EXIF tag
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BUFFER = 65_536  # bytes; what Pillow reads at a time
_HASH_PIXELS = 200  # a draft leaves so many in both directions
_LOCAL = threading.local()
# What Pillow raises on damaged bytes: the first three for images, any of them for EXIF.
_DAMAGE = (OSError, SyntaxError, ValueError, LookupError, TypeError, EOFError, struct.error)


class BadImage(DataError):
    """An image file that gives no pixels; ``kind`` says in a word or two why."""

    def __init__(self, kind: Kind, what: str, do: str, where: str) -> None:
        self.kind = kind
        super().__init__(what, do, where)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.kind, self.what, self.do, self.where)


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image by the rule of this module.

    ``pixels``: uint8 of shape (size, size, 3), or of the image's own height and width, 0 to 255.
    ``rgb``: the upright image before it was resized, at the scale it was decoded at. ``format``,
    ``mode``, ``width`` and ``height`` as the file states them, before any conversion.
    """

    pixels: Pixels
    rgb: Image.Image
    format: str
    mode: str
    width: int
    height: int


def decode(
    path: Path, size: int | None, decoder: Decoder = "exact", most_pixels: int = MAX_PIXELS
) -> Decoded:
    """Decode the image at *path* to *size* by *size* pixels, or to its own size where that is None.

    Raises:
        BadImage: no such file, empty, cut short, not what its name says, more pixels than *most_pixels*,
            unreadable, or of a mode whose colours are not defined.
    """
    with open_image(path) as file:
        return _decode(file, path, size, decoder, most_pixels)


def require_decoder(decoder: Decoder) -> None:
    """Raise an EnvironmentProblem where what *decoder* needs is not installed."""
    if decoder == "fast":
        try:
            importlib.import_module("cykooz_resizer")
        except ImportError as error:
            what = "the fast decoder needs cykooz-resizer"
            raise EnvironmentProblem(what, 'pip install "milkreport[fast]"') from error


@contextmanager
def open_image(path: Path, buffering: int = _BUFFER) -> Iterator[BinaryIO]:
    """Open the image file at *path* to read its bytes; *buffering* as of ``open``.

    Raises:
        BadImage: no such file, empty, or unreadable: here, or in what the caller does with the file.
    """
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            what = "is a folder" if stat.S_ISDIR(info.st_mode) else "is no regular file"
            raise BadImage("unreadable", what, "put the image file there", str(path))
        if info.st_size == 0:
            raise BadImage("empty", "the file is empty", "get the file again", str(path))
        with path.open("rb", buffering) as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadImage("missing", "no such file", "complete the download", str(path)) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        what, do = f"cannot be read: {reason}", "check the file and its permissions"
        raise BadImage("unreadable", what, do, str(path)) from error


def _decode(
    file: BinaryIO, path: Path, size: int | None, decoder: Decoder, most_pixels: int
) -> Decoded:
    head = file.read(256)
    found = _refuse_other_formats(head, path)
    file.seek(0)
    try:
        # Not Image.open: it warns or fails before the size can be looked at.
        with _READERS[found](file) as image:
            width, height = image.size
            # Pillow gives 16-bit grey with alpha as RGBA: bit depth 16, colour type 4.
            is_grey_16 = found == "PNG" and head[24:26] == b"\x10\x04"
            mode = "LA;16" if is_grey_16 else image.mode
            _refuse_header(width, height, mode, path, most_pixels)
            reduced = (
                decoder == "fast"
                and size is not None
                and found == "JPEG"
                and mode in ("L", "RGB")
                and _draft(image, size)
            )
            # Pillow's own default, which importing WeasyPrint turns around for the whole process: what a
            # truncated file lacks would be grey, and nobody told.
            pillow_files.LOAD_TRUNCATED_IMAGES = False
            image.load()
            rgb = _upright(image)
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk, not the image
        do = "get the file again"
        if "truncated" in str(error) or not _has_end(file, found):
            what = "the file is truncated: its end is missing"
            raise BadImage("truncated", what, do, str(path)) from error
        raise BadImage("unreadable", f"damaged {found} file", do, str(path)) from error
    sized = rgb
    if size and rgb.size != (size, size):
        resize = _resize_fast if reduced else _resize
        sized = resize(rgb, size)
    return Decoded(np.asarray(sized), rgb, found, mode, width, height)


def _refuse_other_formats(head: bytes, path: Path) -> str:
    """``JPEG`` or ``PNG``, which the file's first bytes and its name agree on."""
    found = next((name for at, mark, name in _SIGNATURES if head[at:].startswith(mark)), "")
    if not found and head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        found = "HTML"
    suffix = path.suffix.lower()
    expected = _EXPECTED.get(suffix)
    if found in _READERS and expected in (None, found):
        return found
    if expected is None:
        what = f"a {found} file" if found else "neither JPEG nor PNG"
        raise BadImage("unsupported", what, "convert it to JPEG or PNG", str(path))
    article = "an" if found[:1] in "AH" and found != "HEIC" else "a"
    what = (
        f"{article} {found} file named {suffix}"
        if found
        else f"named {suffix}, but no {expected} image"
    )
    do = "get the image itself"
    if found in _READERS:
        do = "rename or convert it"
    elif found in ("GIF", "TIFF", "WebP", "AVIF", "HEIC", "BMP", "DICOM"):
        do = "convert it to JPEG or PNG"
    raise BadImage("mislabelled", what, do, str(path))


def _refuse_header(width: int, height: int, mode: str, path: Path, most_pixels: int) -> None:
    """Refuse before decoding what would take too much memory or has no defined colours."""
    if width * height > most_pixels:
        what = f"{width:,} x {height:,} pixels, more than {most_pixels:,}"
        raise BadImage("too large", what, "shrink the image", str(path))
    if mode not in _MODES:
        what = f"colour mode {mode}"
        if mode[0] in "ILF":
            what = f"grey of more than 8 bits, its range unknown (mode {mode})"
        raise BadImage("unsupported", what, "convert it to 8-bit RGB", str(path))


def _draft(image: ImageFile, size: int) -> bool:
    """Have Pillow decode at the smallest scale that leaves enough pixels; whether it is reduced."""
    enough = max(size * 7 / 8, _HASH_PIXELS)
    for scale in (8, 4, 2):
        if min(image.size) / scale >= enough:
            image.draft(image.mode, (image.width // scale, image.height // scale))
            return True
    return False


def _resize(rgb: Image.Image, size: int) -> Image.Image:
    return rgb.resize((size, size), Image.Resampling.BILINEAR)


def _resize_fast(rgb: Image.Image, size: int) -> Image.Image:
    import cykooz_resizer as cykooz

    if not hasattr(_LOCAL, "resizer"):
        # One for each thread: it keeps its buffers and coefficients between images.
        bilinear = cykooz.ResizeAlg.convolution(cykooz.FilterType.bilinear)
        _LOCAL.resizer = cykooz.Resizer()
        _LOCAL.options = cykooz.ResizeOptions(resize_alg=bilinear, use_alpha=False)
    sized = Image.new("RGB", (size, size))
    _LOCAL.resizer.resize_pil(rgb, sized, _LOCAL.options)
    return sized


def _upright(image: Image.Image) -> Image.Image:
    """*image* in RGB, turned as its EXIF says."""
    try:
        turn = _TRANSPOSE.get(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGE:  # broken EXIF says nothing
        turn = None
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb = Image.new("RGB", image.size, "white")
        rgb.paste(rgba, mask=rgba)
    else:
        # Converting would copy.
        rgb = image if image.mode == "RGB" else image.convert("RGB")
    return rgb if turn is None else rgb.transpose(turn)


def _has_end(file: BinaryIO, found: str) -> bool:
    """Whether the file's last bytes are those that its format ends with."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 12))
    return {"JPEG": b"\xff\xd9", "PNG": b"IEND"}[found] in file.read()
