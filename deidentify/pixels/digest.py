"""Keyed digests of decoded frames: the same pixels in another transfer syntax give the same one."""

import hashlib
import hmac
from typing import BinaryIO

import numpy as np

from deidentify.compare import group_digest
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.source import locate

_IMAGE_PIXEL_GROUP = 0x0028


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


def picture_digest(identified_file: BinaryIO, key: bytes) -> str:
    """Return the digest of all that a picture shows, 64 hexadecimal digits; empty without pixel data.

    That is every bit of every decoded word, also those that no value uses, and whatever the attributes of group 0028
    say: size, colour, palettes, windows. What a person decided on one picture holds for another with the same digest.

    Raises
    ------
    PixelDecodeError
        When a frame cannot be decoded.
    UnreadableInstanceError, UnsupportedTransferSyntaxError
        When the file cannot be parsed.
    """
    source = locate(identified_file)
    if source.element is None:
        return ""
    digest = hmac.new(key, b"picture\0", hashlib.sha256)
    for frame in iter_frames(source, read_format(source)):
        digest.update(f"{frame.words.shape} {frame.words.dtype.kind}{frame.words.dtype.itemsize}\0".encode())
        digest.update(np.ascontiguousarray(frame.words, dtype=frame.words.dtype.newbyteorder("<")).data)
    identified_file.seek(0)
    digest.update(group_digest(identified_file, key, _IMAGE_PIXEL_GROUP).encode())
    return digest.hexdigest()
