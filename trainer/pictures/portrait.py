"""Somebody's picture, an untrusted file, made into a small square PNG of nothing but pixels."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 20 * 2**20
MOST_PIXELS = 50_000_000
SIDE = 480


class BadPicture(Exception):
    """A file that is no picture, or one too large to open; the message says which."""


def write_portrait(picture: Path, target: Path) -> None:
    """Crop the middle square and write it as PNG, without any metadata.

    Raises:
        BadPicture: it is not there, too large, broken, or no PNG, JPEG or WebP.
    """
    try:
        if picture.stat().st_size > MOST_BYTES:
            raise BadPicture(f"it has more than {MOST_BYTES // 2**20} MB")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata, and on large pictures, which are refused below
            with Image.open(picture, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadPicture(f"it has more than {MOST_PIXELS // 10**6} million pixels")
                image.draft("RGB", (SIDE, SIDE))
                upright = ImageOps.exif_transpose(image).convert("RGBA")
        ImageOps.fit(upright, (SIDE, SIDE), Image.Resampling.LANCZOS).save(target, "PNG")
    except Image.DecompressionBombError:
        raise BadPicture(f"it has more than {MOST_PIXELS // 10**6} million pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow raises any of these on a broken file
        raise BadPicture("it is no PNG, JPEG or WebP picture, or a broken one") from error
