"""Blank rectangles of a JPEG code stream without decoding it: the blocks in them become black, all others stay.

A block is 8 by 8 samples of a component. Each one that a box touches is blanked whole: up to 7 more pixels on each
side, 15 (31 at 4:1:1) for the colour of subsampled components, where what stays beside the box turns grey. What is
coded behind the right and the lower edge of the frame is blanked with the blocks at that edge. All other coefficients
are bit-exact, and so are their pixels in every decoder. One thing remains: where a decoder smooths the colour of
subsampled components, the pixels on either side of the edge of a blanked area get a part of each other's colour.

Marker segments stay as they are. Where the Huffman tables have no code for what is written, a table with more codes is
put before the scan.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deidentify.errors import PixelDecodeError
from deidentify.pixels.boxes import Box, clipped_to
from deidentify.pixels.guard import decoding
from deidentify.pixels.jpeg_entropy import EditedInterval, Slot, edited, wanted_symbols, written
from deidentify.pixels.jpeg_markers import FrameHeader, Scan, grid, read_markers

_FARTHEST = 3
"""How far below black a DC coefficient may go, in halves of the range: decoders clip there, and wrap farther out."""
_LARGEST_SIZES = {8: 11, 12: 15}
"""Bits of the largest DC difference, by precision (T.81 §F.1.2.1, §F.1.3)."""


def blank(stream: bytes, boxes: Sequence[Box], *, black: Sequence[int]) -> bytes:
    """Return the code stream with the blocks that boxes touch turned to one colour.

    Parameters
    ----------
    stream
        One JPEG code stream of process 1, 2 or 4 (SOF0 and SOF1).
    boxes
        In pixels of the frame; what lies outside of it is passed over.
    black
        The wanted sample of each component as coded: ``(0, 128, 128)`` for YBR, ``(0, 0, 0)`` for RGB. A value below
        the middle of the range comes out as it is or lower, a value above it as it is or higher: quantisation decides.

    Returns
    -------
    bytes
        The same bytes where no box touches the frame. Bytes behind the end of image are kept.

    Raises
    ------
    PixelDecodeError
        The process is another one, the stream is malformed, or it cannot express black.
    """
    with decoding("The JPEG stream cannot be read."):
        header, scans = read_markers(stream)
        if len(black) != len(header.components):
            raise PixelDecodeError("The JPEG stream has another number of components than expected.")
        inside = clipped_to(boxes, rows=header.rows, columns=header.columns)
        if not inside:
            return stream
        parts: list[bytes] = []
        at = 0
        for scan in scans:
            parts += (stream[at : scan.start], *_blanked_scan(stream, header, scan, inside, black))
            at = scan.intervals[-1].stop
        return b"".join((*parts, stream[at:]))


def _blanked_scan(
    identified_stream: bytes, header: FrameHeader, scan: Scan, boxes: Sequence[Box], black: Sequence[int]
) -> list[bytes]:
    """Return the bytes of a scan: new tables where it needs them, its header, its intervals and their markers."""
    slots = _slots(header, scan, black)
    touched = _touched(header, scan, boxes)
    in_interval = scan.restart_interval or len(touched)
    intervals: dict[int, EditedInterval] = {}
    for index, interval in enumerate(scan.intervals):
        flags = touched[index * in_interval : (index + 1) * in_interval]
        if flags.any():
            coded = identified_stream[interval.start : interval.stop]
            intervals[index] = edited(coded, slots, flags.tobytes(), largest_size=_LARGEST_SIZES[header.precision])
    tables = dict(scan.tables)
    parts = []
    for place, symbols in wanted_symbols(intervals.values()).items():
        tables[place] = scan.tables[place].with_symbols(symbols)
        if tables[place] is not scan.tables[place]:
            parts.append(tables[place].segment(place[1]))
    at = scan.start
    for index, interval in enumerate(scan.intervals):
        if index in intervals:
            parts += (identified_stream[at : interval.start], written(intervals[index], tables))
            at = interval.stop
    return [*parts, identified_stream[at : scan.intervals[-1].stop]]


def _slots(header: FrameHeader, scan: Scan, black: Sequence[int]) -> list[Slot]:
    slots = []
    for part in scan.components:
        slot = Slot(
            component=part.index,
            dc=part.dc,
            ac=part.ac,
            dc_table=scan.tables[part.dc],
            ac_table=scan.tables[part.ac],
            black=_dc_of(black[part.index], step=part.step, precision=header.precision),
        )
        component = header.components[part.index]
        slots += [slot] * (component.horizontal * component.vertical if len(scan.components) > 1 else 1)
    return slots


def _dc_of(sample: int, *, step: int, precision: int) -> int:
    """Return the quantised DC coefficient of an even block of this sample, or of one farther from the middle."""
    middle = 1 << precision - 1
    if not 0 <= sample < 2 * middle:
        raise PixelDecodeError("The JPEG stream has fewer bits than black needs.")
    coefficient = 8 * (sample - middle)
    quantised = -(-coefficient // step) if coefficient > 0 else coefficient // step
    if abs(quantised * step) > _FARTHEST * 8 * middle:
        raise PixelDecodeError("The JPEG stream is quantised too coarsely for black.")
    return quantised


def _touched(header: FrameHeader, scan: Scan, boxes: Sequence[Box]) -> NDArray[np.bool_]:
    """Return which blocks of a scan a box touches, in coding order: shape (MCU, blocks of one MCU)."""
    is_interleaved = len(scan.components) > 1
    columns = []
    for part in scan.components:
        component = header.components[part.index]
        mask = np.zeros(grid(header, part.index, is_interleaved=is_interleaved), dtype=np.bool_)
        rows_shown, columns_shown = grid(header, part.index, is_interleaved=False)
        for box in boxes:
            top, bottom = _span(box.y, box.height, component.vertical, header.vertical)
            left, right = _span(box.x, box.width, component.horizontal, header.horizontal)
            # Behind the last block that is shown stands what the encoder repeated of it.
            mask[
                top : bottom if bottom < rows_shown else None,
                left : right if right < columns_shown else None,
            ] = True
        down, across = (component.vertical, component.horizontal) if is_interleaved else (1, 1)
        in_mcu = mask.reshape(mask.shape[0] // down, down, mask.shape[1] // across, across)
        columns.append(in_mcu.swapaxes(1, 2).reshape(-1, down * across))
    return np.concatenate(columns, axis=1)


def _span(start: int, length: int, factor: int, largest: int) -> tuple[int, int]:
    """Return the first block that pixels touch in one direction, and the one after the last."""
    return start * factor // (8 * largest), -(-(start + length) * factor // (8 * largest))
