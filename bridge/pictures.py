"""Pictures of original frames with boxes around the text that was found in them, and files that identify patients."""

import io
import os
from pathlib import Path

from PIL import Image, ImageDraw

from deidentify.results import ScreenReport, TextClass

__all__ = ["MOST_PIXELS", "boxed", "write_identified"]

MOST_PIXELS = 1600
"""Longest side of a picture."""
_BOX = {TextClass.IDENTIFYING: (255, 64, 64), TextClass.UNREADABLE: (255, 200, 0), TextClass.SAFE: (64, 200, 96)}


def boxed(identified_png: bytes, screen: ScreenReport | None, frame: int) -> Image.Image:
    """Return a picture of a frame, counted from 0, with a box around each piece of text that was found in it."""
    picture = Image.open(io.BytesIO(identified_png)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for finding in screen.findings if screen is not None else ():
        if finding.frame == frame and not finding.layer:
            right, bottom = finding.x + finding.width - 1, finding.y + finding.height - 1
            draw.rectangle((finding.x, finding.y, right, bottom), outline=_BOX[finding.text_class], width=2)
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return picture


def write_identified(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
