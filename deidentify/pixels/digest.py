"""A keyed digest of decoded frames: the same pixels in another transfer syntax give the same one."""

import hashlib
import hmac
from typing import BinaryIO

import numpy as np

from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.source import locate


def decoded_digest(identified_file: BinaryIO, key: bytes) -> str:
    """Return the digest of every frame's stored values, 64 hexadecimal digits; empty without pixel data.

    Raises
    ------
    PixelDecodeError
        When a frame cannot be decoded.
    """
    source = locate(identified_file)
    if source.element is None:
        return ""
    form = read_format(source)
    digest = hmac.new(key, b"decoded pixels\0", hashlib.sha256)
    for frame in iter_frames(source, form):
        words = frame.words
        if np.issubdtype(words.dtype, np.integer):
            # What lies outside the stored bits is the encoder's business, and so is how many bits the sign takes.
            words = (words.astype(np.int64) >> frame.shift) & ((1 << frame.bits_stored) - 1)
            if form.options.get("pixel_representation"):
                words = words - ((words >> (frame.bits_stored - 1)) << frame.bits_stored)
        digest.update(repr(words.shape).encode())
        digest.update(np.ascontiguousarray(words, dtype=words.dtype.newbyteorder("<")).data)
    return digest.hexdigest()
