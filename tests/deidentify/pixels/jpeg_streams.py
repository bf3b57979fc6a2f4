"""JPEG code streams for tests: made from coefficients, and read back to coefficients, slowly and by the letter."""

import io
import itertools
import re
from dataclasses import dataclass, field
from struct import pack, unpack_from

import numpy as np
from PIL import Image

_MARKER = re.compile(rb"\xff+[\x01-\xfe]")


@dataclass(kw_only=True)
class Layout:
    """How a stream is made."""

    rows: int
    columns: int
    factors: list[tuple[int, int]]
    """Horizontal and vertical, for each component."""
    precision: int = 8
    step: int = 8
    is_interleaved: bool = True
    restart: int = 0
    shape: str = "even"
    """Of the Huffman codes: even (of one length) or steep (1, 2, 3 bits …)."""

    def grid(self, index: int, *, is_interleaved: bool) -> tuple[int, int]:
        """Rows and columns of the blocks that a scan holds of a component."""
        widest, highest = max(h for h, _ in self.factors), max(v for _, v in self.factors)
        across, down = self.factors[index]
        if is_interleaved:
            return -(-self.rows // (8 * highest)) * down, -(-self.columns // (8 * widest)) * across
        lines, width = -(-self.rows * down // highest), -(-self.columns * across // widest)
        return -(-lines // 8), -(-width // 8)

    def order(self, components: list[int]):
        """Yield component, row and column of each block as a scan holds them, MCU by MCU."""
        if len(components) == 1:
            (only,) = components
            rows, columns = self.grid(only, is_interleaved=False)
            for row, column in itertools.product(range(rows), range(columns)):
                yield [(only, row, column)]
            return
        rows, columns = self.grid(components[0], is_interleaved=True)
        h, v = self.factors[components[0]]
        for row, column in itertools.product(range(rows // v), range(columns // h)):
            yield [
                (index, row * self.factors[index][1] + down, column * self.factors[index][0] + across)
                for index in components
                for down in range(self.factors[index][1])
                for across in range(self.factors[index][0])
            ]

    def random(self, seed: int, *, strength: int = 40):
        """Return coefficients, mostly zero behind the first ones: shape (block rows, block columns, 64) each."""
        dice = np.random.default_rng(seed)
        found = []
        for index in range(len(self.factors)):
            rows, columns = self.grid(index, is_interleaved=True)
            values = dice.integers(-strength, strength + 1, (rows, columns, 64))
            values[dice.random(values.shape) < dice.random((rows, columns, 1))] = 0
            values[..., 0] = dice.integers(-100, 100, (rows, columns))
            found.append(values)
        return found


@dataclass(kw_only=True)
class Reading:
    """What the slow reader found."""

    layout: Layout
    steps: dict[int, list[int]] = field(default_factory=dict)
    coefficients: list = field(default_factory=list)


def made(layout: Layout, coefficients, *, before_scan: bytes = b"") -> bytes:
    """Return the stream of these coefficients; its tables have the codes that it needs and no others."""
    wide = layout.step > 255
    table = pack(">64H", *[layout.step] * 64) if wide else bytes([layout.step] * 64)
    parts = [b"\xff\xd8", _segment(0xFE, b"made for a test"), _segment(0xDB, bytes([16 * wide]) + table)]
    header = pack(">BHHB", layout.precision, layout.rows, layout.columns, len(layout.factors))
    for index, (h, v) in enumerate(layout.factors):
        header += bytes([index + 1, h << 4 | v, 0])
    parts.append(_segment(0xC0 if layout.precision == 8 and not wide else 0xC1, header))
    if layout.restart:
        parts.append(_segment(0xDD, pack(">H", layout.restart)))
    everything = list(range(len(layout.factors)))
    for components in [everything] if layout.is_interleaved else [[index] for index in everything]:
        parts += _scan(layout, coefficients, components, before_scan)
    return b"".join([*parts, b"\xff\xd9"])


def read(stream: bytes) -> Reading:
    """Return the coefficients of a stream, in the order of coding; of blocks that no scan holds zeros."""
    tables, steps, restart, layout, found, identifiers = {}, {}, 0, None, [], []
    at = 2
    while True:
        kind, at = _marker(stream, at)
        if kind == 0xD9:
            return Reading(layout=layout, steps=steps, coefficients=found)
        (length,) = unpack_from(">H", stream, at)
        body, at = stream[at + 2 : at + length], at + length
        if kind == 0xC4:
            tables |= _read_tables(body)
        elif kind == 0xDB:
            steps |= _read_steps(body)
        elif kind == 0xDD:
            (restart,) = unpack_from(">H", body)
        elif kind in (0xC0, 0xC1):
            precision, rows, columns, _ = unpack_from(">BHHB", body)
            factors = [(part >> 4, part & 15) for part in body[7::3]]
            identifiers = list(body[6::3])
            layout = Layout(rows=rows, columns=columns, factors=factors, precision=precision)
            found = [
                np.zeros((*layout.grid(index, is_interleaved=True), 64), dtype=int) for index in range(len(factors))
            ]
        elif kind == 0xDA:
            components = [identifiers.index(body[1 + 2 * place]) for place in range(body[0])]
            used = {index: body[2 + 2 * place] for place, index in enumerate(components)}
            at = _read_scan(
                stream, at, layout, components=components, used=used, tables=tables, restart=restart, found=found
            )


def pillow(picture, *, mode: str | None = None, **options) -> bytes:
    """Return the stream that Pillow makes of a picture."""
    written = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(written, "JPEG", **options)
    return written.getvalue()


def _segment(kind: int, body: bytes) -> bytes:
    return bytes([0xFF, kind]) + pack(">H", 2 + len(body)) + body


def _symbols(block, predicted: int):
    """Yield (class, symbol, value, bits) of a block."""
    size, value = _sized(block[0] - predicted)
    yield 0, size, value, size
    run = 0
    last = max(np.flatnonzero(block), default=0)
    for coefficient in block[1 : last + 1]:
        if not coefficient:
            run += 1
            continue
        while run > 15:
            yield 1, 0xF0, 0, 0
            run -= 16
        size, value = _sized(coefficient)
        yield 1, run << 4 | size, value, size
        run = 0
    if last < 63:
        yield 1, 0, 0, 0


def _sized(number) -> tuple[int, int]:
    size = int(abs(number)).bit_length()
    return size, int(number) if number >= 0 else int(number) + 2**size - 1


def _scan(layout: Layout, coefficients, components: list[int], before: bytes) -> list[bytes]:
    intervals = [[]]
    predicted = dict.fromkeys(components, 0)
    for number, mcu in enumerate(layout.order(components)):
        if layout.restart and number and number % layout.restart == 0:
            intervals.append([])
            predicted = dict.fromkeys(components, 0)
        for index, row, column in mcu:
            block = coefficients[index][row, column]
            intervals[-1] += _symbols(block, predicted[index])
            predicted[index] = block[0]
    parts, codes = [before], {}
    for kind in (0, 1):
        counted: dict[int, int] = {}
        for cls, symbol, _, _ in itertools.chain(*intervals):
            if cls == kind:
                counted[symbol] = counted.get(symbol, 0) + 1
        order = sorted(counted, key=lambda symbol: -counted[symbol])
        lengths = _lengths(len(order), layout.shape)
        parts.append(_segment(0xC4, bytes([kind << 4, *(lengths.count(n) for n in range(1, 17))]) + bytes(order)))
        codes |= {(kind, symbol): code for symbol, code in zip(order, _codes(lengths), strict=True)}
    parts.append(
        _segment(0xDA, bytes([len(components), *itertools.chain(*((i + 1, 0) for i in components)), 0, 63, 0]))
    )
    for number, interval in enumerate(intervals):
        bits = "".join(
            codes[kind, symbol] + (f"{value:0{length}b}" if length else "") for kind, symbol, value, length in interval
        )
        bits += "1" * (-len(bits) % 8)
        data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
        parts += [data, bytes([0xFF, 0xD0 + number % 8]) if number < len(intervals) - 1 else b""]
    return parts


def _lengths(count: int, shape: str) -> list[int]:
    if shape == "even":
        return [count.bit_length()] * count
    first = min(count, 8)
    return [*range(1, first + 1), *[16] * (count - first)]


def _codes(lengths: list[int]) -> list[str]:
    found, code, before = [], 0, 0
    for length in lengths:
        code <<= length - before
        found.append(f"{code:0{length}b}")
        code, before = code + 1, length
    return found


def _marker(stream: bytes, at: int) -> tuple[int, int]:
    found = _MARKER.match(stream, at)
    return stream[found.end() - 1], found.end()


def _read_tables(body: bytes):
    found, at = {}, 0
    while at < len(body):
        counts = body[at + 1 : at + 17]
        lengths = [length for length, count in enumerate(counts, start=1) for _ in range(count)]
        symbols = body[at + 17 : at + 17 + len(lengths)]
        found[body[at]] = dict(zip(_codes(lengths), symbols, strict=True))
        at += 17 + len(lengths)
    return found


def _read_steps(body: bytes):
    found, at = {}, 0
    while at < len(body):
        wide = body[at] >> 4
        found[body[at] & 15] = list(unpack_from(">64H" if wide else ">64B", body, at + 1))
        at += 1 + 64 * (1 + wide)
    return found


def _read_scan(stream, at, layout, *, components, used, tables, restart, found) -> int:
    bits = iter(())
    predicted = {}
    for number, mcu in enumerate(layout.order(components)):
        if number == 0 or (restart and number % restart == 0):
            assert all(bit == "1" for bit in bits)
            if number:
                kind, at = _marker(stream, at)
                assert kind == 0xD0 + (number // restart - 1) % 8
            stop = _MARKER.search(stream, at).start()
            bits = iter("".join(f"{byte:08b}" for byte in stream[at:stop].replace(b"\xff\x00", b"\xff")))
            at, predicted = stop, dict.fromkeys(components, 0)
        for index, row, column in mcu:
            block = found[index][row, column]
            dc, ac = tables[used[index] >> 4], tables[0x10 | used[index] & 15]
            predicted[index] += _value(bits, _symbol(bits, dc))
            block[0] = predicted[index]
            place = 1
            while place < 64:
                symbol = _symbol(bits, ac)
                if symbol == 0:
                    break
                place += symbol >> 4
                block[place] = _value(bits, symbol & 15)
                place += 1
    rest = list(bits)
    assert len(rest) < 8
    assert set(rest) <= {"1"}
    return at


def _symbol(bits, table) -> int:
    code = ""
    while code not in table:
        code += next(bits)
    return table[code]


def _value(bits, size: int) -> int:
    if not size:
        return 0
    read = "".join(itertools.islice(bits, size))
    return int(read, 2) if read[0] == "1" else int(read, 2) - 2**size + 1
