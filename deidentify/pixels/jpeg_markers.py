"""The marker segments of a sequential JPEG code stream (ITU-T T.81 Annex B), read without its pixels.

Processes 1 (baseline) and 2 and 4 (extended, Huffman, 8 and 12 bit) are read; each other one is refused by its name.
What is not needed for the blocks (APPn, COM) is passed over, but for where it stands.
"""

import re
from dataclasses import dataclass, field
from struct import unpack_from

from deidentify.errors import PixelDecodeError
from deidentify.pixels.jpeg_huffman import HuffmanTable, read_tables

_SOI, _EOI, _SOS, _DQT, _DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xDD
_SOF0, _SOF1, _DHT, _APP0, _COM = 0xC0, 0xC1, 0xC4, 0xE0, 0xFE
_FILL = 0xFF
_REFUSED = {
    0xC2: "The JPEG process is progressive.",
    0xC3: "The JPEG process is lossless.",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF), "The JPEG process is hierarchical."),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCC), "The JPEG process uses arithmetic coding."),
    0xDC: "The JPEG stream defines its number of lines behind the image (DNL).",
    0xF7: "The stream is JPEG-LS.",
}
_BETWEEN = re.compile(rb"\xff+[\x01-\xfe]")
"""What interrupts entropy-coded data, with fill bytes before it; a stuffed byte does not."""
_RESTARTS = range(0xD0, 0xD8)
_MOST_BLOCKS_IN_MCU = 10
_BITS_OF_BLOCK = 2
"""No block takes fewer: one bit for DC, one for the end of block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component of the frame: its identifier, its sampling factors and the table that quantises it."""

    identifier: int
    horizontal: int
    vertical: int
    quantisation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """What the frame header says."""

    precision: int
    rows: int
    columns: int
    components: tuple[Component, ...]

    @property
    def horizontal(self) -> int:
        """The largest horizontal sampling factor."""
        return max(component.horizontal for component in self.components)

    @property
    def vertical(self) -> int:
        """The largest vertical sampling factor."""
        return max(component.vertical for component in self.components)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanComponent:
    """One component in a scan, with the tables that are in force there."""

    index: int
    """Place in the frame header."""
    dc: tuple[int, int]
    """Class and destination of its table for DC: (0, 0 to 3)."""
    ac: tuple[int, int]
    step: int
    """Quantisation of the DC coefficient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Entropy-coded data between markers: where they begin and end in the stream, stuffed bytes included."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan: where its header begins, and the data of its restart intervals."""

    start: int
    components: tuple[ScanComponent, ...]
    tables: dict[tuple[int, int], HuffmanTable] = field(repr=False)
    restart_interval: int
    """In MCU; 0 without restart markers."""
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An application segment or a comment: where it begins and ends in the stream, its marker and what it says."""

    start: int
    """Of its marker, or of fill bytes before it."""
    stop: int
    kind: int
    """Second byte of its marker."""
    identified_body: bytes = field(repr=False)


class _Reader:
    """Walks the markers and remembers which tables are in force."""

    def __init__(self, identified_stream: bytes) -> None:
        self.stream = identified_stream
        self.header: FrameHeader | None = None
        self.scans: list[Scan] = []
        self.remarks: list[Remark] = []
        self._steps: dict[int, int] = {}
        self._tables: dict[tuple[int, int], HuffmanTable] = {}
        self._restart_interval = 0

    def read(self) -> None:
        if self.stream[:2] != bytes((_FILL, _SOI)):
            raise PixelDecodeError("The JPEG stream does not begin with a start of image.")
        at = 2
        while True:
            begin, kind, at = self._marker(at)
            if kind == _EOI:
                return
            body, at = self._body(at)
            if kind == _SOS:
                at = self._scan(begin, body, at)
            elif _APP0 <= kind < _APP0 + 16 or kind == _COM:
                self.remarks.append(Remark(start=begin, stop=at, kind=kind, identified_body=body))
            else:
                self._segment(kind, body)

    def _marker(self, at: int) -> tuple[int, int, int]:
        found = _BETWEEN.match(self.stream, at)
        if found is None:
            raise PixelDecodeError("The JPEG stream ends, or holds other bytes, where a marker must be.")
        return at, self.stream[found.end() - 1], found.end()

    def _body(self, at: int) -> tuple[bytes, int]:
        if at + 2 > len(self.stream):
            raise PixelDecodeError("The JPEG stream ends inside a segment.")
        (length,) = unpack_from(">H", self.stream, at)
        if length < 2 or at + length > len(self.stream):  # noqa: PLR2004 - the length counts itself
            raise PixelDecodeError("A segment of the JPEG stream has an impossible length.")
        return self.stream[at + 2 : at + length], at + length

    def _segment(self, kind: int, body: bytes) -> None:
        if kind in _REFUSED:
            raise PixelDecodeError(_REFUSED[kind])
        if kind in (_SOF0, _SOF1):
            if self.header is not None:
                raise PixelDecodeError("The JPEG stream has two frame headers.")
            self.header = _frame_header(body, precisions=(8,) if kind == _SOF0 else (8, 12))
        elif kind == _DHT:
            self._tables |= read_tables(body)
        elif kind == _DQT:
            self._steps |= _first_steps(body)
        elif kind == _DRI:
            if len(body) != 2:  # noqa: PLR2004 - one number of 16 bits
                raise PixelDecodeError("The restart interval of the JPEG stream cannot be read.")
            (self._restart_interval,) = unpack_from(">H", body)
        else:
            raise PixelDecodeError("The JPEG stream has a marker that no sequential process has.")

    def _scan(self, start: int, body: bytes, at: int) -> int:
        header = self.header
        if header is None:
            raise PixelDecodeError("A scan of the JPEG stream comes before the frame header.")
        components = self._scan_components(header, body)
        intervals, at = self._intervals(at)
        scan = Scan(
            start=start,
            components=components,
            tables=dict(self._tables),
            restart_interval=self._restart_interval,
            intervals=intervals,
        )
        _check_counts(header, scan)
        self.scans.append(scan)
        return at

    def _scan_components(self, header: FrameHeader, body: bytes) -> tuple[ScanComponent, ...]:
        count = body[0] if body else 0
        if not 0 < count <= len(header.components) or len(body) != 4 + 2 * count:
            raise PixelDecodeError("A scan header of the JPEG stream has an impossible length.")
        first, last, approximation = body[1 + 2 * count :]
        # Some encoders write 0 for the last coefficient; sequential decoders read whole blocks whatever it says.
        if first or last not in {0, 63} or approximation:
            raise PixelDecodeError("A scan of the JPEG stream does not hold whole blocks.")
        known = {component.identifier: index for index, component in enumerate(header.components)}
        done = {part.index for scan in self.scans for part in scan.components}
        parts: list[ScanComponent] = []
        for at in range(count):
            identifier, destinations = body[1 + 2 * at], body[2 + 2 * at]
            index = known.get(identifier, -1)
            if index < 0 or index in done or (parts and index <= parts[-1].index):
                raise PixelDecodeError("A scan of the JPEG stream names a wrong component.")
            dc, ac = (0, destinations >> 4), (1, destinations & 15)
            step = self._steps.get(header.components[index].quantisation, 0)
            if dc not in self._tables or ac not in self._tables or not step:
                raise PixelDecodeError("A scan of the JPEG stream needs a table that is not there.")
            parts.append(ScanComponent(index=index, dc=dc, ac=ac, step=step))
        return tuple(parts)

    def _intervals(self, at: int) -> tuple[tuple[Interval, ...], int]:
        intervals: list[Interval] = []
        while True:
            found = _BETWEEN.search(self.stream, at)
            if found is None:
                raise PixelDecodeError("The JPEG stream ends inside a scan.")
            if self.stream.find(b"\xff\xff\x00", at, found.start()) >= 0:
                raise PixelDecodeError("A scan of the JPEG stream has a fill byte inside its data.")
            intervals.append(Interval(start=at, stop=found.start()))
            kind = self.stream[found.end() - 1]
            if kind not in _RESTARTS:
                return tuple(intervals), found.start()
            if kind != _RESTARTS[(len(intervals) - 1) % 8]:
                raise PixelDecodeError("The restart markers of the JPEG stream are out of order.")
            at = found.end()


def read_markers(identified_stream: bytes) -> tuple[FrameHeader, tuple[Scan, ...]]:
    """Return the frame header and the scans of one code stream.

    Raises
    ------
    PixelDecodeError
        The process is another one, or the stream is malformed.
    """
    reader = _Reader(identified_stream)
    reader.read()
    if reader.header is None or sum(len(scan.components) for scan in reader.scans) != len(reader.header.components):
        raise PixelDecodeError("The JPEG stream ends before all components have come.")
    return reader.header, tuple(reader.scans)


def read_remarks(identified_stream: bytes) -> tuple[Remark, ...]:
    """Return the application segments and comments of one code stream, as they come.

    Raises
    ------
    PixelDecodeError
        The process is another one, or the stream is malformed.
    """
    reader = _Reader(identified_stream)
    reader.read()
    return tuple(reader.remarks)


def grid(header: FrameHeader, index: int, *, is_interleaved: bool) -> tuple[int, int]:
    """Return rows and columns of the blocks of a component as a scan codes them (T.81 §A.2)."""
    component = header.components[index]
    if is_interleaved:
        down, across = -(-header.rows // (8 * header.vertical)), -(-header.columns // (8 * header.horizontal))
        return down * component.vertical, across * component.horizontal
    rows = -(-header.rows * component.vertical // header.vertical)
    columns = -(-header.columns * component.horizontal // header.horizontal)
    return -(-rows // 8), -(-columns // 8)


def _frame_header(body: bytes, *, precisions: tuple[int, ...]) -> FrameHeader:
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:  # noqa: PLR2004 - what comes before the components
        raise PixelDecodeError("The frame header of the JPEG stream has an impossible length.")
    precision, rows, columns, count = unpack_from(">BHHB", body)
    if precision not in precisions:
        raise PixelDecodeError("The precision of the JPEG stream is none of its process.")
    if not rows or not columns:
        raise PixelDecodeError("The JPEG stream does not say its size in the frame header.")
    if count not in (1, 3):
        raise PixelDecodeError("The JPEG stream has neither one nor three components.")
    components = tuple(
        Component(
            identifier=body[at], horizontal=body[at + 1] >> 4, vertical=body[at + 1] & 15, quantisation=body[at + 2]
        )
        for at in range(6, len(body), 3)
    )
    if len({component.identifier for component in components}) != count:
        raise PixelDecodeError("Two components of the JPEG stream have one identifier.")
    if any(not 0 < factor <= 4 for part in components for factor in (part.horizontal, part.vertical)):  # noqa: PLR2004
        raise PixelDecodeError("A sampling factor of the JPEG stream is out of bounds.")
    return FrameHeader(precision=precision, rows=rows, columns=columns, components=components)


def _first_steps(body: bytes) -> dict[int, int]:
    """Return the first step of each quantisation table of a DQT segment."""
    steps: dict[int, int] = {}
    at = 0
    while at < len(body):
        wide, destination = body[at] >> 4, body[at] & 15
        stop = at + 1 + 64 * (1 + wide)
        if wide > 1 or destination > 3 or stop > len(body):  # noqa: PLR2004 - four destinations
            raise PixelDecodeError("A quantisation table of the JPEG stream cannot be read.")
        steps[destination] = unpack_from(">H" if wide else ">B", body, at + 1)[0]
        at = stop
    return steps


def _check_counts(header: FrameHeader, scan: Scan) -> None:
    """Refuse a scan whose restart intervals are not those of its size, or whose data cannot hold its blocks."""
    parts = [header.components[part.index] for part in scan.components]
    is_interleaved = len(parts) > 1
    in_mcu = sum(part.horizontal * part.vertical for part in parts) if is_interleaved else 1
    if in_mcu > _MOST_BLOCKS_IN_MCU:
        raise PixelDecodeError("A scan of the JPEG stream has too many blocks in one MCU.")
    rows, columns = grid(header, scan.components[0].index, is_interleaved=is_interleaved)
    blocks_of_first = parts[0].horizontal * parts[0].vertical if is_interleaved else 1
    mcus = rows * columns // blocks_of_first
    if len(scan.intervals) != (-(-mcus // scan.restart_interval) if scan.restart_interval else 1):
        raise PixelDecodeError("The restart markers of the JPEG stream do not fit its size.")
    data = sum(interval.stop - interval.start for interval in scan.intervals)
    if mcus * in_mcu * _BITS_OF_BLOCK > 8 * data:
        raise PixelDecodeError("The data of the JPEG stream are too short for its size.")
