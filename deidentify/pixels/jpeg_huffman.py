"""Huffman tables of JPEG (ITU-T T.81 Annexes C and F): read, looked up by 16 bits at once, extended."""

from dataclasses import dataclass, field
from functools import cached_property
from struct import pack

import numpy as np
from numpy.typing import NDArray

from deidentify.errors import PixelDecodeError

END_OF_BLOCK = 0x00
_SIXTEEN_ZEROS = 0xF0
_LONGEST = 16
_MOST_OF_LENGTH = 255
_ENDED = 128
_COEFFICIENTS = 63
INVALID = 300 << 5
"""Stands in a step where no code begins."""
_MORE_SYMBOLS = 4
"""How many symbols a step tries to add to the first: 16 bits seldom hold more."""


@dataclass(frozen=True, kw_only=True)
class HuffmanTable:
    """One table: how many codes there are of each length, and their symbols in that order.

    Frozen, but not slotted: what is derived from it is kept.
    """

    kind: int
    """0 for DC, 1 for AC."""
    counts: tuple[int, ...]
    symbols: bytes = field(repr=False)

    @cached_property
    def codes(self) -> dict[int, tuple[int, int]]:
        """The code and its length in bits, for each symbol; of two codes the first."""
        found: dict[int, tuple[int, int]] = {}
        code = at = 0
        for length, count in enumerate(self.counts, start=1):
            for symbol in self.symbols[at : at + count]:
                found.setdefault(symbol, (code, length))
                code += 1
            at += count
            code <<= 1
        return found

    @cached_property
    def sizes(self) -> list[int]:
        """For 16 bits that begin with a code of DC: 16 times its length + the size of the difference; 0 is no code."""
        entries = [length << 4 | symbol for length, symbol in self._in_order()]
        return _numbers(self._spread(entries, 0))

    @cached_property
    def single_steps(self) -> list[int]:
        """For 16 bits that begin with a code of AC: 32 times the coefficients it stands for + the bits it takes.

        The end of a block counts as 128 coefficients, what is no code as 300.
        """
        return _numbers(self._singles)

    @cached_property
    def steps(self) -> list[int]:
        """Like ``single_steps``, with as many symbols as the 16 bits hold whole, at most 63 coefficients."""
        steps = self._singles.copy()
        windows = np.arange(1 << _LONGEST, dtype=np.int32)
        for _ in range(_MORE_SYMBOLS):
            bits = steps & 31
            following = self._singles[windows << np.minimum(bits, _LONGEST) & 0xFFFF]
            both = steps + following
            fits = (steps >> 5 < _ENDED) & (following != INVALID) & (bits + (following & 31) <= _LONGEST)
            fits &= (both >> 5 & (_ENDED - 1)) <= _COEFFICIENTS
            steps = np.where(fits, both, steps)
        return _numbers(steps)

    def with_symbols(self, wanted: set[int]) -> "HuffmanTable":
        """Return a table that has these symbols too; all codes that are there stay as they are.

        The new codes follow the last one, all of one length. The code of ones only stays free, as T.81 §C has it.

        Raises
        ------
        PixelDecodeError
            No length leaves room for them.
        """
        missing = sorted(wanted - set(self.codes))
        if not missing:
            return self
        longest = max(length for length, count in enumerate(self.counts, start=1) if count)
        used = sum(count << (_LONGEST - length) for length, count in enumerate(self.counts, start=1))
        for length in range(longest, _LONGEST + 1):
            counts = list(self.counts)
            counts[length - 1] += len(missing)
            if (used >> (_LONGEST - length)) + len(missing) < 1 << length and counts[length - 1] <= _MOST_OF_LENGTH:
                return HuffmanTable(kind=self.kind, counts=tuple(counts), symbols=self.symbols + bytes(missing))
        raise PixelDecodeError("A Huffman table of the JPEG stream has no room for the codes of black.")

    def segment(self, destination: int) -> bytes:
        """Return a DHT segment with this table alone."""
        body = bytes((self.kind << 4 | destination, *self.counts)) + self.symbols
        return b"\xff\xc4" + pack(">H", 2 + len(body)) + body

    @cached_property
    def _singles(self) -> NDArray[np.int32]:
        return self._spread([_step(length, symbol) for length, symbol in self._in_order()], INVALID)

    def _in_order(self) -> list[tuple[int, int]]:
        lengths = [length for length, count in enumerate(self.counts, start=1) for _ in range(count)]
        return list(zip(lengths, self.symbols, strict=True))

    def _spread(self, entries: list[int], rest: int) -> NDArray[np.int32]:
        """Return what stands at each of the 65536 beginnings; codes in order begin with rising numbers."""
        widths = [1 << (_LONGEST - length) for length, _ in self._in_order()]
        widths.append((1 << _LONGEST) - sum(widths))
        return np.repeat(np.array([*entries, rest], dtype=np.int32), widths)


def read_tables(body: bytes) -> dict[tuple[int, int], HuffmanTable]:
    """Return the tables of a DHT segment by class and destination.

    Raises
    ------
    PixelDecodeError
        A table has more codes than its lengths allow, a symbol of another process, or no end.
    """
    tables: dict[tuple[int, int], HuffmanTable] = {}
    at = 0
    while at < len(body):
        kind, destination = body[at] >> 4, body[at] & 15
        counts = tuple(body[at + 1 : at + 17])
        symbols = body[at + 17 : at + 17 + sum(counts)]
        if kind > 1 or destination > 3 or len(counts) < _LONGEST or len(symbols) < sum(counts):  # noqa: PLR2004
            raise PixelDecodeError("A Huffman table of the JPEG stream cannot be read.")
        used = sum(count << (_LONGEST - length) for length, count in enumerate(counts, start=1))
        if not symbols or used > 1 << _LONGEST or (kind == 0 and max(symbols) >= 16):  # noqa: PLR2004
            raise PixelDecodeError("A Huffman table of the JPEG stream has impossible codes.")
        tables[kind, destination] = HuffmanTable(kind=kind, counts=counts, symbols=symbols)
        at += 17 + len(symbols)
    return tables


def magnitude(difference: int) -> tuple[int, int]:
    """Return the size of a DC difference and the bits that follow its code (T.81 §F.1.2.1)."""
    size = abs(difference).bit_length()
    return size, difference if difference >= 0 else difference + (1 << size) - 1


def _step(length: int, symbol: int) -> int:
    run, size = symbol >> 4, symbol & 15
    if symbol == END_OF_BLOCK:
        return _ENDED << 5 | length
    if size == 0 and symbol != _SIXTEEN_ZEROS:
        return INVALID
    return (run + 1) << 5 | length + size


def _numbers(entries: NDArray[np.int32]) -> list[int]:
    numbers: list[int] = entries.tolist()
    return numbers
