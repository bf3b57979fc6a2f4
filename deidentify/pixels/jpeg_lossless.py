"""JPEG with lossless prediction (ITU-T T.81 Annex H), selection value 1: each sample is told from its left neighbour.

Written here because no encoder that comes in a wheel with a permissive licence writes it for every depth: GDCM's gives
none for 8 bits in an odd number of bytes, and GDCM ends the whole process on some frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CODE_LENGTHS = (2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
"""Bits of the code of each category of difference, 0 to 16: the usual table for luminance, continued."""
_SAMPLES_AT_ONCE = 1 << 19
_WORD = 32
_NO_MORE_BITS = 16
"""The category whose one difference, 32768, has no further bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LosslessForm:
    """What a frame says of itself ahead of its samples: bits of a sample, names of its components, APPn segments."""

    precision: int
    component_ids: tuple[int, ...]
    segments: bytes


def encode_lossless(words: NDArray[Any], form: LosslessForm) -> bytes:
    """Return one interleaved scan of the samples.

    Parameters
    ----------
    words
        Unsigned integers below ``1 << precision``, of shape (rows, columns, samples).
    form
        Precision and component names that the frame announces.

    Returns
    -------
    bytes
        The codestream, from start to end of image, not padded.
    """
    rows, columns, samples = words.shape
    header = pack(">BHHB", form.precision, rows, columns, samples)
    header += b"".join(pack(">BBB", name, 0x11, 0) for name in form.component_ids)
    counts = bytes(_CODE_LENGTHS.count(length) for length in range(1, 17))
    table = b"\0" + counts + bytes(range(len(_CODE_LENGTHS)))
    scan = pack(">B", samples) + b"".join(pack(">BB", name, 0) for name in form.component_ids) + b"\x01\0\0"
    entropy = b"".join(_entropy(words, form.precision)).replace(b"\xff", b"\xff\0")
    return b"".join(
        (
            b"\xff\xd8",
            form.segments,
            _segment(0xC3, header),
            _segment(0xC4, table),
            _segment(0xDA, scan),
            entropy,
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def _entropy(words: NDArray[Any], precision: int) -> Iterator[bytes]:
    """Yield the bits of all samples as whole bytes, some rows at a time; the last byte is filled with ones."""
    rows, columns, samples = words.shape
    step = max(1, _SAMPLES_AT_ONCE // (columns * samples))
    codes = np.array(_codes(), dtype=np.uint64)
    lengths = np.array(_CODE_LENGTHS, dtype=np.int64)
    rest, rest_bits = 0, 0
    for start in range(0, rows, step):
        above = words[start - 1, 0] if start else np.full(samples, 1 << (precision - 1))
        category, extra = _categories(_differences(words[start : start + step], above))
        extra_bits = np.where(category == _NO_MORE_BITS, 0, category)
        values = (codes[category] << extra_bits.astype(np.uint64)) | extra
        bits = lengths[category] + extra_bits
        if rest_bits:
            values = np.concatenate((np.array([rest], dtype=np.uint64), values))
            bits = np.concatenate((np.array([rest_bits]), bits))
        packed, total = _packed(values, bits), int(bits.sum())
        rest_bits = total % 8
        rest = packed[total // 8] >> (8 - rest_bits) if rest_bits else 0
        yield packed[: total // 8]
    if rest_bits:
        yield bytes(((rest << (8 - rest_bits)) | ((1 << (8 - rest_bits)) - 1),))


def _codes() -> Sequence[int]:
    """Return the codes of the categories, counted up through the lengths (T.81 Annex C)."""
    codes, code, before = [], 0, _CODE_LENGTHS[0]
    for length in _CODE_LENGTHS:
        code <<= length - before
        codes.append(code)
        code, before = code + 1, length
    return codes


def _differences(words: NDArray[Any], above: NDArray[Any]) -> NDArray[np.int32]:
    """Return what each sample adds to its left neighbour, and in the first column to the sample above, modulo 2^16."""
    samples = words.astype(np.int32)
    predicted = np.empty_like(samples)
    predicted[:, 1:] = samples[:, :-1]
    predicted[1:, 0] = samples[:-1, 0]
    predicted[0, 0] = above
    wrapped: NDArray[np.int32] = ((samples - predicted + 0x8000) & 0xFFFF) - 0x8000
    return wrapped.reshape(-1)


def _categories(differences: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return how many bits each difference needs, and those bits."""
    category = np.frexp(np.abs(differences).astype(np.float32))[1].astype(np.int64)
    extra = np.where(differences < 0, differences + (np.int64(1) << category) - 1, differences)
    extra[category == _NO_MORE_BITS] = 0
    return category, extra.astype(np.uint64)


def _packed(values: NDArray[np.uint64], bits: NDArray[np.int64]) -> bytes:
    """Return numbers of so many bits in a row. None has more than 30, so none reaches over more than two words."""
    ends = np.cumsum(bits)
    starts = ends - bits
    at = starts // _WORD
    shifted = values << (2 * _WORD - starts % _WORD - bits).astype(np.uint64)
    count = int(ends[-1]) // _WORD + 2
    # No two numbers share a bit, so that adding is joining; sums below 2^32 are exact in double precision.
    joined = np.bincount(at, weights=shifted >> np.uint64(_WORD), minlength=count)
    joined += np.bincount(at + 1, weights=shifted & np.uint64(0xFFFFFFFF), minlength=count)
    return joined.astype(">u4").tobytes()
