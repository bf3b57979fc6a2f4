"""Compressed images of every syntax that is encoded again, made with the encoders that tests have."""

import io
import zlib
from dataclasses import dataclass
from struct import pack

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels import get_encoder
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from deidentify.pixels.jpeg_lossless import LosslessForm, encode_lossless
from deidentify.pixels.source import DEFLATED_FRAMES
from tests.deidentify.pixels.files import image, part10

SYNTAXES = (
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    DEFLATED_FRAMES,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What kind of words the frames have."""

    photometric: str = "MONOCHROME2"
    allocated: int = 16
    stored: int = 12
    signed: bool = False

    @property
    def samples(self) -> int:
        return 1 if self.photometric.startswith("MONO") else 3

    def words(self, frames: int = 3, *, rows: int = 34, columns: int = 40) -> NDArray:
        """Return frames that differ, of shape (frames, rows, columns[, 3]), with all stored bits in use."""
        values = np.random.default_rng(7).integers(0, 1 << self.stored, (frames, rows, columns, self.samples))
        values -= (1 << (self.stored - 1)) if self.signed else 0
        return values.astype(f"{'i' if self.signed else 'u'}{self.allocated // 8}").reshape(
            (frames, rows, columns, *([3] if self.samples == 3 else []))
        )


def encoded(syntax: str, frame: NDArray, kind: Kind) -> bytes:
    """Return one compressed frame."""
    if syntax == DEFLATED_FRAMES:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(frame.tobytes()) + packer.flush()
    if syntax in {JPEGLossless, JPEGLosslessSV1}:
        cells = frame.reshape(*frame.shape[:2], -1).view(f"u{kind.allocated // 8}") & ((1 << kind.stored) - 1)
        names = (1, 2, 3)[: kind.samples]
        return encode_lossless(cells, LosslessForm(precision=kind.stored, component_ids=names, segments=b""))
    rows, columns = frame.shape[:2]
    options = {"rows": rows, "columns": columns, "samples_per_pixel": kind.samples, "number_of_frames": 1,
               "bits_allocated": kind.allocated, "bits_stored": kind.stored, "planar_configuration": 0,
               "pixel_representation": int(kind.signed), "photometric_interpretation": kind.photometric}  # fmt: skip
    loss = {JPEG2000: {"j2k_psnr": [30]}, JPEGLSNearLossless: {"jls_error": 2}}.get(syntax, {})
    # GDCM's encoder ends the process on frames of an odd number of bytes.
    plugin = "pydicom" if syntax == RLELossless else ""
    return get_encoder(syntax).encode(frame.tobytes(), encoding_plugin=plugin, **options, **loss)


def jpeg(frame: NDArray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(frame).save(written, "JPEG", quality=90)
    return written.getvalue()


def items(parts: list[tuple[bytes, ...]], *, has_table: bool) -> bytes:
    """Return encapsulated pixel data of frames that are given as fragments; pydicom writes the delimiter."""
    padded = [[part + b"\0" * (len(part) % 2) for part in fragments] for fragments in parts]
    lengths = [sum(8 + len(part) for part in fragments) for fragments in padded]
    offsets = [sum(lengths[:index]) for index in range(len(lengths))] if has_table else []
    table = pack(f"<{len(offsets)}L", *offsets)
    item = b"\xfe\xff\x00\xe0"
    body = b"".join(item + pack("<L", len(part)) + part for fragments in padded for part in fragments)
    return item + pack("<L", len(table)) + table + body


def file_of(syntax: str, kind: Kind, value: bytes, words: NDArray, **more) -> io.BytesIO:
    """Return the whole file."""
    sample = words[0] if len(words) == 1 else list(words)
    # GDCM writes no Secondary Capture with signed words or with white as the least.
    modality = "CT" if kind.samples == 1 else "OT"
    content = image(
        sample, modality=modality, bits_stored=kind.stored, PhotometricInterpretation=kind.photometric, **more
    )
    content.PixelData = value
    content["PixelData"].VR = "OB"
    content["PixelData"].is_undefined_length = True
    if syntax != DEFLATED_FRAMES:
        return part10(content, syntax)
    # pydicom does not know the syntax yet: written under another one of equal length
    whole = part10(content, UID("1.2.840.10008.1.2.4.50")).getvalue()
    return io.BytesIO(whole.replace(b"1.2.840.10008.1.2.4.50", DEFLATED_FRAMES.encode() + b"\0"))


def compressed(syntax: str, kind: Kind, words: NDArray, *, has_table: bool = True, **more) -> io.BytesIO:
    return file_of(syntax, kind, items([(encoded(syntax, frame, kind),) for frame in words], has_table=has_table),
                   words, **more)  # fmt: skip
