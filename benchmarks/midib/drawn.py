"""Images with a name drawn into their pixels, for the tenth check, and some without."""

import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.inputs import ct_slice
from benchmarks.midib.answers import pixel_digest
from benchmarks.midib.key import Action, Answer, Case, Instance
from benchmarks.midib.people import made_up_person

__all__ = ["generate_drawn"]

_SIZE = 256
_WHITE = 3800
_CLEAN = 3
"""Every so many images have nothing drawn into them: a screen that holds everything would be no use."""
_CULTURES = ("english", "german", "french", "japanese")


def _mask(text: str, height: int) -> NDArray[np.bool_]:
    font = ImageFont.load_default(height)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("1", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(picture).text((-left, -top), text, font=font, fill=1)
    return np.asarray(picture)


def generate_drawn(folder: Path, count: int, seed: int) -> list[Case]:
    """Write images, most with the name or the record number of their patient in a corner, and return the key."""
    rng = random.Random(f"drawn {seed}")
    cases = []
    for number in range(count):
        person = made_up_person(rng, culture=_CULTURES[number % len(_CULTURES)])
        data = ct_slice(number + 1, slices=count, size=_SIZE)
        data.PatientName, data.PatientID = f"{person.family}^{person.given}", person.record
        text = rng.choice((person.family.upper(), f"{person.family}, {person.given}", f"ID {person.record}"))
        mask = _mask(text, rng.choice((12, 14, 18)))[:, : _SIZE - 16]
        row, column = rng.choice((6, _SIZE - mask.shape[0] - 6)), 8
        pixels = np.frombuffer(data.PixelData, dtype="<u2").reshape(_SIZE, _SIZE).copy()
        is_clean = number % _CLEAN == 0
        if not is_clean:
            pixels[row : row + mask.shape[0], column : column + mask.shape[1]][mask] = _WHITE
        data.PixelData = pixels.tobytes()
        file = f"drawn{number:03d}/study0/000.dcm"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        data.save_as(folder / file, enforce_file_format=True)
        bits = " ".join("".join("1" if bit else "0" for bit in line) for line in mask)
        hidden = Answer(
            action=Action.PIXELS_HIDDEN,
            path=(0x7FE00010,),
            value=f"{row},{column};{bits}",
            why="PS3.15 §E.3.1 Clean Pixel Data",
        )
        kept = Answer(
            action=Action.PIXELS_RETAINED, path=(0x7FE00010,), value=pixel_digest(data), why="nothing is drawn there"
        )
        answer = kept if is_clean else hidden
        one = Instance(file=file, sop_instance_uid=str(data.SOPInstanceUID), study=0, answers=[answer])
        cases.append(Case(name=f"drawn{number:03d}", person=person, secrets=[], instances=[one]))
    return cases
