"""What the network learns from: real frames and phantoms as 8 bits, and lines of text as masks of ink.

``python -m benchmarks.small_screen.prepare --corpus CORPUS --fonts FOLDER … --out FOLDER`` writes ``grounds.npz`` and
``masks.npz``. The more fonts the folders hold, in the more scripts, the better; bitmap fonts (.pcf.gz) count.
"""

import gzip
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.burned_in import backgrounds, fonts, texts
from benchmarks.small_screen.split import write_corpus
from deidentify.errors import PixelDecodeError
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.source import locate
from deidentify.pixels.views import views_of

__all__ = ["main"]

Picture = NDArray[np.uint8]
Random = np.random.Generator

_SEED = 4711
"""Not that of any score."""
_LARGEST = 512
_FRAMES_A_FILE = 6
_TALL, _WIDE = 64, 480
_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SIGNS = "0123456789" * 3 + "/-.:,*#()^_"
_BLOCKS = {
    "wqy": (0x4E00, 0x9F00),
    "Un": (0xAC00, 0xD7A0),
    "VL-": (0x3041, 0x30FA),
    "Amiri": (0x0627, 0x064A),
    "Arabic": (0x0627, 0x064A),
    "Hebrew": (0x05D0, 0x05EA),
    "Devanagari": (0x0905, 0x0939),
    "Thai": (0x0E01, 0x0E2E),
    "Georgian": (0x10D0, 0x10F0),
    "Armenian": (0x0531, 0x0556),
    "Bengali": (0x0995, 0x09B9),
    "Tamil": (0x0B95, 0x0BB9),
}
"""Letters to write with fonts whose names hold a word: these are made for one script."""
_OTHERS = ((0x0400, 0x044F), (0x0391, 0x03C9))
"""Else Latin most of the time, Cyrillic, Greek."""
_NOT_A_LETTER = "\U0010fffe"
_FEWEST_LETTERS = 3
"""Of a line: one or two letters may be a marker, and are neither to be found nor to be passed over."""


def frames_of(files: list[Path]) -> Iterator[Picture]:
    """Yield the first view of some frames of each file as the screen decodes it."""
    for file in files:
        with file.open("rb") as content:
            try:
                source = locate(content)
                form = read_format(source)
                step = max(1, form.frames // _FRAMES_A_FILE)
                for frame in iter_frames(source, form):
                    views = views_of(frame, source.attributes) if frame.index % step == 0 else []
                    yield from (view if view.ndim == 2 else view.max(axis=2) for view in views[:1])
            except PixelDecodeError:
                continue


def _phantoms(random: Random, count: int) -> Iterator[Picture]:
    for _ in range(count):
        pixels = backgrounds.phantom(random, most=400).pixels.astype(np.float32)
        yield (pixels * (255 / pixels.max())).astype(np.uint8)


def _cut(picture: Picture) -> Picture:
    rows, columns = picture.shape
    top, left = max(0, rows - _LARGEST) // 2, max(0, columns - _LARGEST) // 2
    return picture[top : top + _LARGEST, left : left + _LARGEST]


def _packed(pictures: list[Picture]) -> dict[str, NDArray[Any]]:
    """Return pictures of different sizes as one row of bytes and a table of shapes."""
    return {
        "bytes": np.concatenate([one.reshape(-1) for one in pictures]),
        "shapes": np.array([one.shape for one in pictures], dtype=np.int32),
    }


def _words(random: Random) -> str:
    """Return a line that a device could burn in, or letters and digits at random."""
    kind = random.random()
    if kind < 0.45:
        lines = texts.identity_lines(texts.person(random), random, 1)
        return lines[0].text
    if kind < 0.6:
        return texts.safe_lines(random)[0].text
    letters = _LATIN[:26] if random.random() < 0.5 else _LATIN
    return _drawn(random, letters + _SIGNS if random.random() < 0.6 else letters)


def _drawn(random: Random, letters: str) -> str:
    groups = [
        "".join(random.choice(list(letters), size=int(random.integers(2, 9))))
        for _ in range(int(random.integers(1, 4)))
    ]
    line = " ".join(groups)
    return line if len(line) > 2 else line + groups[0]


def _in_block(random: Random, first: int, last: int) -> str:
    return _drawn(random, "".join(chr(code) for code in range(first, last + 1)))


def _text_for(random: Random, name: str) -> str:
    for word, block in _BLOCKS.items():
        if word in name and random.random() < 0.8:
            return _in_block(random, *block)
    if name.endswith(".gz") or any(word in name for word in _BLOCKS) or random.random() < 0.9:
        line = _words(random)
        return line if line.isascii() or not name.endswith(".gz") else _drawn(random, _LATIN + _SIGNS)
    return _in_block(random, *_OTHERS[int(random.integers(len(_OTHERS)))])


def _bitmap_font(file: Path) -> Any:
    content = gzip.decompress(file.read_bytes())
    for size in range(5, 41):
        try:
            font = ImageFont.truetype(io.BytesIO(content), size)
        except OSError:
            continue
        return font if _can_write(font, "AaBb019") else None
    return None


def _can_write(font: Any, text: str) -> bool:
    """Say whether a font has a picture of its own for each letter of a text."""
    shapes = [bytes(font.getmask(one)) for one in (_NOT_A_LETTER, *text.replace(" ", ""))]
    return shapes[0] not in shapes[1:]


def _ink(text: str, font: Any) -> NDArray[np.float32] | None:
    if len(text.replace(" ", "")) < _FEWEST_LETTERS or not _can_write(font, text):
        return None
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(picture).text((2 - left, 2 - top), text, fill=255, font=font)
    drawn = np.asarray(picture, dtype=np.float32) / 255
    return fonts.cut(drawn) if drawn.max() > 0.5 else None


def _mask(random: Random, files: list[Path], bitmaps: list[Any]) -> NDArray[np.float32] | None:
    height = round(float(np.exp(random.uniform(np.log(7), np.log(42)))))
    kind = random.random()
    if kind < 0.45 or not files:
        text = _words(random)
        there = fonts.writers(text) if len(text) >= _FEWEST_LETTERS else []
        return fonts.letters(text, str(random.choice(there)), height) if there else None
    if kind < 0.6 and bitmaps:
        drawn = _ink(_text_for(random, ".gz"), bitmaps[int(random.integers(len(bitmaps)))])
        times = int(random.choice([1, 1, 1, 2, 3]))
        return None if drawn is None else np.kron(drawn, np.ones((times, times), dtype=np.float32))
    file = files[int(random.integers(len(files)))]
    return _ink(_text_for(random, file.name), ImageFont.truetype(str(file), round(height / 0.72)))


def _masks(random: Random, folders: tuple[Path, ...], count: int) -> list[Picture]:
    there = [file for folder in folders for file in sorted(folder.rglob("*"))]
    scripts = (*_BLOCKS, "NotoSans-", "NotoSerif-", "NotoMono")
    files = [
        file
        for file in there
        if file.suffix in {".ttf", ".ttc", ".otf"}
        and ("Noto" not in file.name or any(word in file.name for word in scripts))
    ]
    bitmaps = [font for font in (_bitmap_font(file) for file in there if file.name.endswith(".pcf.gz")) if font]
    print(f"{len(files)} scalable fonts, {len(bitmaps)} bitmap fonts, {len(fonts.families())} of the generator")
    found: list[Picture] = []
    while len(found) < count:
        try:
            drawn = _mask(random, files, bitmaps)
        except OSError:
            continue
        if drawn is None or min(drawn.shape) < 4:
            continue
        found.append((drawn[:_TALL, :_WIDE] * 255).astype(np.uint8))
    return found


@click.command(help=__doc__)
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--fonts", "folders", type=click.Path(exists=True, file_okay=False, path_type=Path), multiple=True)
@click.option("--more", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Further pictures, .npz.")
@click.option("--phantoms", default=160, show_default=True)
@click.option("--masks", default=12_000, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(  # noqa: PLR0917 - options of a command
    corpus: Path | None, folders: tuple[Path, ...], more: Path | None, phantoms: int, masks: int, out: Path
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(_SEED)
    grounds: list[Picture] = []
    if corpus is not None:
        write_corpus(corpus, out / "learned", held_out=False)
        os.environ["CASEBRIDGE_CORPUS"] = str(out / "learned")
        files = [file for same in backgrounds.real_files().values() for file in same]
        grounds += [_cut(frame) for frame in frames_of(files)]
    if more is not None:
        with np.load(more) as further:
            grounds += [_cut(further[name]) for name in further.files]
    real = len(grounds)
    grounds += list(_phantoms(random, phantoms))
    np.savez_compressed(out / "grounds.npz", real=real, **_packed(grounds))
    np.savez_compressed(out / "masks.npz", **_packed(_masks(random, folders, masks)))
    print(f"{real} real frames, {len(grounds) - real} phantoms, {masks} masks", file=sys.stderr)


if __name__ == "__main__":
    main()
