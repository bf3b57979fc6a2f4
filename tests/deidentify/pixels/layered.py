"""Images that show something besides their pixel data: overlay planes, overlay bits, icons."""

import numpy as np

from tests.deidentify.pixels.files import image
from tests.deidentify.pixels.planting import plant

ROWS, COLUMNS = 40, 96
FLAT = np.full((ROWS, COLUMNS), 7, np.uint16)


def drawn(random, text="OKONKWO", rows=ROWS, columns=COLUMNS):
    """Return a plane with a text in it, 0 and 1."""
    plane = np.zeros((rows, columns), np.uint8)
    plane[-1, -1] = 1
    plant(plane, text, random, contrast=1, height=14, at=(8, 4))
    return plane


def with_overlay(content, *planes, group=0x6000, big=False, cut=None, more=b""):
    """Add a plane of one or more frames to a data set."""
    bits = np.concatenate([plane.reshape(-1) for plane in planes])
    packed = np.packbits(bits, bitorder="little").tobytes()
    packed = (packed + b"\0" * (len(packed) % 2))[:cut] + more
    if big:
        packed = np.frombuffer(packed, np.uint16).byteswap().tobytes()
    content.add_new(group << 16 | 0x0010, "US", planes[0].shape[0])
    content.add_new(group << 16 | 0x0011, "US", planes[0].shape[1])
    if len(planes) > 1:
        content.add_new(group << 16 | 0x0015, "IS", len(planes))
    content.add_new(group << 16 | 0x0040, "CS", "G")
    content.add_new(group << 16 | 0x0050, "SS", [1, 1])
    content.add_new(group << 16 | 0x0100, "US", 1)
    content.add_new(group << 16 | 0x0102, "US", 0)
    content.add_new(group << 16 | 0x3000, "OW", packed)
    return content


def with_bits(content, position, allocated=16, group=0x6002):
    content.add_new(group << 16 | 0x0010, "US", ROWS)
    content.add_new(group << 16 | 0x0011, "US", COLUMNS)
    content.add_new(group << 16 | 0x0100, "US", allocated)
    content.add_new(group << 16 | 0x0102, "US", position)
    return content


def icon_of(picture, **attributes):
    item = image(picture, **attributes)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"):
        del item[keyword]
    return item
