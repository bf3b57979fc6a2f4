"""Lossless JPEG as written here is what GDCM's decoder, of another origin, decodes to the same samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGLosslessSV1

from deidentify.pixels import jpeg_lossless
from deidentify.pixels.jpeg_lossless import LosslessForm, encode_lossless


def encoded(words, precision):
    names = (82, 71, 66) if words.shape[2] == 3 else (1,)
    return encode_lossless(words, LosslessForm(precision=precision, component_ids=names, segments=b""))


def decoded(content, words, precision):
    rows, columns, samples = words.shape
    item = b"\xfe\xff\x00\xe0"
    padded = content + b"\0" * (len(content) % 2)
    source = item + bytes(4) + item + len(padded).to_bytes(4, "little") + padded
    options = {
        "rows": rows,
        "columns": columns,
        "samples_per_pixel": samples,
        "number_of_frames": 1,
        "pixel_representation": 0,
        "bits_allocated": 8 * words.dtype.itemsize,
        "bits_stored": precision,
        "photometric_interpretation": "RGB" if samples == 3 else "MONOCHROME2",
        "planar_configuration": 0,
    }
    return get_decoder(JPEGLosslessSV1).as_array(source, index=0, raw=True, **options)[0].reshape(words.shape)


@settings(deadline=None, max_examples=80)
@given(
    precision=st.sampled_from([8, 9, 10, 12, 13, 15, 16]),
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    samples=st.sampled_from([1, 3]),
    seed=st.integers(0, 999),
)
def test_what_is_encoded_is_decoded(precision, rows, columns, samples, seed):
    words = np.random.default_rng(seed).integers(0, 1 << precision, (rows, columns, samples))
    words = words.astype(np.uint8 if precision == 8 else np.uint16)
    assert np.array_equal(decoded(encoded(words, precision), words, precision), words)


def test_the_widest_difference_has_no_further_bits():
    words = np.array([[[0], [32768], [0], [65535]]], dtype=np.uint16)
    assert np.array_equal(decoded(encoded(words, 16), words, 16), words)


@pytest.mark.parametrize("at_once", [1, 7, 64, 1000])
def test_rows_encoded_in_parts_are_one_scan(at_once, monkeypatch):
    words = np.random.default_rng(1).integers(0, 4096, (23, 7, 3)).astype(np.uint16)
    whole = encoded(words, 12)
    monkeypatch.setattr(jpeg_lossless, "_SAMPLES_AT_ONCE", at_once)
    assert encoded(words, 12) == whole


def test_a_smooth_frame_gets_smaller():
    words = np.add.outer(np.arange(200), np.arange(200)).astype(np.uint16)[..., None]
    assert len(encoded(words, 12)) < words.nbytes / 3
