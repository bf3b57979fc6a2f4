"""Entropy-coded data of a sequential JPEG scan: which bits change when blocks turn black, and writing them.

Only the beginning of each block is looked at: its DC difference, and how many bits its other coefficients take. A block
that is not touched is never taken apart; its bits are copied. What its DC coefficient is predicted from may have
changed (T.81 §F.1.1.5.1), then the difference alone is written anew.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import NamedTuple

import numpy as np

from deidentify.errors import PixelDecodeError
from deidentify.pixels.jpeg_huffman import END_OF_BLOCK, INVALID, HuffmanTable, magnitude

_COEFFICIENTS = 63
_ENDED = 128
_NO_CODE = "The data of the JPEG stream hold what is no code."
_PADDING = b"\xff" * 512
"""Behind the data, so that a block that runs over their end is read to its own end before it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One block of each MCU of a scan: its component and the tables in force, by their class and destination."""

    component: int
    dc: tuple[int, int]
    ac: tuple[int, int]
    dc_table: HuffmanTable = field(repr=False)
    ac_table: HuffmanTable = field(repr=False)
    black: int
    """The quantised DC coefficient of a black block."""


class Edit(NamedTuple):
    """Bits of one interval that something else replaces: a DC difference, and an end of block where it is black."""

    start: int
    stop: int
    slot: Slot
    difference: int
    is_black: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedInterval:
    """The data of an interval without stuffed bytes, the edits in their order, and where the last block ends."""

    data: bytes = field(repr=False)
    edits: list[Edit]
    bits: int


def edited(coded: bytes, slots: Sequence[Slot], touched: bytes, *, largest_size: int) -> EditedInterval:
    """Return what changes in an interval.

    Parameters
    ----------
    coded
        The bytes between two markers.
    slots
        The blocks of one MCU.
    touched
        For each block in coding order whether it turns black (1) or stays (0).
    largest_size
        The size that no DC difference of this precision exceeds, in bits.

    Raises
    ------
    PixelDecodeError
        The data end early or late, or hold what is no code.
    """
    data = coded.replace(b"\xff\x00", b"\xff")
    edits: list[Edit] = []
    before, after = dict.fromkeys((slot.component for slot in slots), 0), {slot.component: 0 for slot in slots}
    end = 0
    for slot, is_black, (start, middle, end, difference) in zip(
        cycle(slots), touched, _blocks(data, slots, len(touched)), strict=False
    ):
        component = slot.component
        value = before[component] + difference
        predicted = after[component]
        if is_black:
            edits.append(Edit(start, end, slot, slot.black - predicted, True))
            after[component] = slot.black
        else:
            if predicted != before[component]:
                edits.append(Edit(start, middle, slot, value - predicted, False))
            after[component] = value
        before[component] = value
    if len(data) * 8 - end >= 8:  # noqa: PLR2004 - less than a byte is padding
        raise PixelDecodeError("The JPEG stream has bytes behind the last block of an interval.")
    if any(magnitude(edit.difference)[0] > largest_size for edit in edits):
        raise PixelDecodeError("A DC coefficient of the JPEG stream is out of the bounds of its precision.")
    return EditedInterval(data=data, edits=edits, bits=end)


def wanted_symbols(intervals: Iterable[EditedInterval]) -> dict[tuple[int, int], set[int]]:
    """Return the symbols that edits need, by class and destination of their table."""
    wanted: dict[tuple[int, int], set[int]] = {}
    for interval in intervals:
        for edit in interval.edits:
            wanted.setdefault(edit.slot.dc, set()).add(magnitude(edit.difference)[0])
            if edit.is_black:
                wanted.setdefault(edit.slot.ac, set()).add(END_OF_BLOCK)
    return wanted


def written(interval: EditedInterval, tables: dict[tuple[int, int], HuffmanTable]) -> bytes:
    """Return the bytes of an interval with its edits, stuffed and filled up with ones."""
    out = bytearray()
    value = bits = 0
    for more, length in _pieces(interval, tables):
        value = value << length | more
        bits += length
        rest = bits & 7
        out += (value >> rest).to_bytes(bits >> 3, "big")
        value &= (1 << rest) - 1
        bits = rest
    if bits:
        out.append(value << (8 - bits) | (1 << (8 - bits)) - 1)
    return bytes(out).replace(b"\xff", b"\xff\x00")


def _blocks(data: bytes, slots: Sequence[Slot], count: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield for each block where it begins, where its DC difference ends, where it ends (in bits), and the difference.

    The inner loop is what blanking costs: it takes as many symbols at once as 16 bits hold.
    """
    padded = np.frombuffer(data + _PADDING, dtype=np.uint8).astype(np.uint32)
    words = array("I", (padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]).tobytes())
    limit = len(data) * 8
    tables = [(slot.dc_table.sizes, slot.ac_table.steps, slot.ac_table.single_steps) for slot in slots]
    at = 0
    for _, (sizes, steps, single_steps) in zip(range(count), cycle(tables), strict=False):
        start = at
        entry = sizes[words[at >> 3] >> 8 - (at & 7) & 0xFFFF]
        if not entry:
            raise PixelDecodeError(_NO_CODE)
        size = entry & 15
        at += entry >> 4
        difference = 0
        if size:
            difference = (words[at >> 3] >> 8 - (at & 7) & 0xFFFF) >> 16 - size
            if not difference >> size - 1:
                difference -= (1 << size) - 1
            at += size
        middle = at
        done = 0
        while done < _COEFFICIENTS:
            step = steps[words[at >> 3] >> 8 - (at & 7) & 0xFFFF]
            done += step >> 5
            at += step & 31
        if done != _COEFFICIENTS and not _ENDED <= done < _ENDED + _COEFFICIENTS:
            # The last step went too far, or it began with no code: its symbols one by one.
            at = _end_of_block(words, single_steps, at - (step & 31), done - (step >> 5))
        if at > limit:
            raise PixelDecodeError("The data of the JPEG stream end inside a block.")
        yield start, middle, at, difference


def _end_of_block(words: "array[int]", single_steps: list[int], at: int, done: int) -> int:
    """Return where a block ends, in bits, that has no end-of-block code."""
    while done < _COEFFICIENTS:
        step = single_steps[words[at >> 3] >> 8 - (at & 7) & 0xFFFF]
        if step == INVALID:
            raise PixelDecodeError(_NO_CODE)
        at += step & 31
        done += step >> 5
    if done > _COEFFICIENTS:
        raise PixelDecodeError("A block of the JPEG stream has more than 64 coefficients.")
    return at


def _pieces(interval: EditedInterval, tables: dict[tuple[int, int], HuffmanTable]) -> Iterator[tuple[int, int]]:
    """Yield numbers and how many bits of them to write."""
    at = 0
    for edit in interval.edits:
        yield _bits(interval.data, at, edit.start)
        size, extra = magnitude(edit.difference)
        yield tables[edit.slot.dc].codes[size]
        yield extra, size
        if edit.is_black:
            yield tables[edit.slot.ac].codes[END_OF_BLOCK]
        at = edit.stop
    yield _bits(interval.data, at, interval.bits)


def _bits(data: bytes, start: int, stop: int) -> tuple[int, int]:
    first, last = start >> 3, (stop + 7) >> 3
    whole = int.from_bytes(data[first:last], "big") >> (last * 8 - stop)
    return whole & (1 << (stop - start)) - 1, stop - start
