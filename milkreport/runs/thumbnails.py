"""The gallery's pictures: made of pixels, and, read back from a folder, made of their pixels once more.

So a report never embeds a file's own bytes: what is no picture gets into no page, and neither do comments and
metadata.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from milkreport.data.pixels.decode import BadImage, decode
from milkreport.errors import DataError

#: Pixels of a side, at most, of those that are written and of those that are read.
SIDE, MOST_SIDE = 160, 1024
#: Bytes of a picture's file, at most.
MOST_BYTES = 4_000_000


def thumbnail(image: npt.NDArray[np.uint8]) -> bytes:
    """An RGB image as a small JPEG: same pixels, same bytes."""
    picture = Image.fromarray(image)
    if picture.width > SIDE:
        picture = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _as_jpeg(picture)


def load_thumbnail(path: Path) -> bytes:
    """The picture at *path*, decoded and written again as a JPEG.

    Raises:
        DataError: neither JPEG nor PNG, damaged, or larger than any that is written here.
    """
    do = "draw the report without pictures: --no-images"
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(f"{size:,} bytes are no thumbnail", do, str(path))
        picture = decode(path, None, most_pixels=MOST_SIDE**2).rgb
    except BadImage as error:
        raise DataError(f"no picture: {error.what}", do, str(path)) from error
    return _as_jpeg(picture)


def _as_jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
