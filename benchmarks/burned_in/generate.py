"""One image of the benchmark: a background, what is drawn on it, and a header that names the same person or another."""

import io
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MRImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    UltrasoundImageStorage,
)

from benchmarks.burned_in.backgrounds import Background, Picture, background
from benchmarks.burned_in.styles import Contrasts, Planted, draw_lines, draw_style
from benchmarks.burned_in.texts import header_of, identity_lines, person, safe_lines, side
from benchmarks.inputs import uid

__all__ = ["Form", "Image", "Kind", "made", "part10"]

_KINDS = (0.5, 0.2, 0.2, 0.1)
_NAMED_SHARE = 0.7
_STACK_SIDE = 160
_WHITE = 255
_CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "US": UltrasoundImageStorage,
    "NM": NuclearMedicineImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
}


class Kind(StrEnum):
    """What is drawn into an image."""

    IDENTITY = "identity"
    NOTHING = "no text"
    SAFE = "safe text"
    SIDE = "one L or R"


class Form(StrEnum):
    """How an image keeps its pixels."""

    GREY = "MONOCHROME2"
    INVERTED = "MONOCHROME1"
    WINDOWED = "hidden by the window of the header"
    PALETTE = "palette"
    FLAT_PALETTE = "hidden by the palette"
    COLOUR = "RGB"
    STACK = "one slice of a stack"


_FORMS = {
    Form.GREY: 0.46,
    Form.INVERTED: 0.1,
    Form.WINDOWED: 0.08,
    Form.PALETTE: 0.06,
    Form.FLAT_PALETTE: 0.04,
    Form.COLOUR: 0.18,
    Form.STACK: 0.08,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One generated image and its answer key."""

    number: int
    kind: Kind
    form: Form
    origin: str
    """Modality of the background, and whether it is real."""
    is_named: bool
    """The header names who is drawn into the pixels."""
    planted: tuple[Planted, ...]
    left_out: int
    """Lines that no font here writes, or that found no room."""
    frames: Picture = field(repr=False)
    """(frames, rows, columns[, 3]), as stored."""
    data: Dataset = field(repr=False)


def made(seed: int, number: int, contrasts: Contrasts = Contrasts.EVEN) -> Image:
    """Return an image; the same seed and number give the same one, where the same fonts and files are there."""
    random = np.random.default_rng((seed, number))
    kind = Kind(random.choice(list(Kind), p=_KINDS))
    form = Form(random.choice(list(_FORMS), p=list(_FORMS.values())))
    ground = background(random, is_colour=form is Form.COLOUR, most=_STACK_SIDE if form is Form.STACK else 512)
    frames = _frames(ground, form, random)
    who = person(random)
    is_named = bool(random.random() < _NAMED_SHARE)
    lines = {
        Kind.IDENTITY: lambda: identity_lines(who, random, int(random.integers(1, 4))),
        Kind.NOTHING: list,
        Kind.SAFE: lambda: safe_lines(random),
        Kind.SIDE: lambda: side(random),
    }[kind]()
    style = draw_style(random, is_colour=form is Form.COLOUR, marker=kind is Kind.SIDE, contrasts=contrasts)
    frame = int(random.integers(len(frames)))
    planted = draw_lines(
        frames[frame],
        lines,
        style,
        random,
        frame=frame,
        contrasts=contrasts,
        is_whole=kind in {Kind.SAFE, Kind.SIDE},
    )
    if lines and not planted:
        kind = Kind.NOTHING
    header = header_of(who if is_named else person(random))
    return Image(
        number=number,
        kind=kind,
        form=form,
        origin=f"{ground.modality}, {ground.origin}",
        is_named=is_named,
        planted=tuple(planted),
        left_out=len(lines) - len(planted),
        frames=frames,
        data=_described(header, frames, form, ground.modality, number),
    )


def _frames(ground: Background, form: Form, random: np.random.Generator) -> Picture:
    pixels = ground.pixels
    if form in {Form.PALETTE, Form.FLAT_PALETTE}:
        pixels = (pixels.astype(np.float64) * (_WHITE / max(1, int(pixels.max())))).astype(np.uint8)
    if form is not Form.STACK:
        return pixels[None].copy()
    # Neighbours: the same place a little further on, with noise of its own.
    noise = max(1.0, 0.01 * float(pixels.max()))
    slices = [np.roll(pixels, (number, -number), axis=(0, 1)) for number in range(int(random.integers(4, 7)))]
    noisy = [one + random.normal(0, noise, one.shape) for one in slices]
    return np.clip(np.stack(noisy), 0, int(pixels.max())).astype(np.uint16)


def _described(header: Dataset, frames: Picture, form: Form, modality: str, number: int) -> Dataset:
    is_colour = frames.ndim == 4
    bits = frames.dtype.itemsize * 8
    stored = bits if bits == 8 else max(8, int(frames.max()).bit_length())
    header.SOPClassUID = _CLASSES.get(modality, DigitalXRayImageStorageForPresentation)
    header.SOPInstanceUID, header.SeriesInstanceUID, header.StudyInstanceUID = (
        uid(6, part, number + 1) for part in (3, 2, 1)
    )
    header.Modality = modality
    header.SamplesPerPixel = 3 if is_colour else 1
    header.PhotometricInterpretation = {
        Form.COLOUR: "RGB",
        Form.INVERTED: "MONOCHROME1",
        Form.PALETTE: "PALETTE COLOR",
        Form.FLAT_PALETTE: "PALETTE COLOR",
    }.get(form, "MONOCHROME2")
    if is_colour:
        header.PlanarConfiguration = 0
    if len(frames) > 1:
        header.NumberOfFrames = len(frames)
    header.Rows, header.Columns = frames.shape[1:3]
    header.BitsAllocated, header.BitsStored, header.HighBit = bits, stored, stored - 1
    header.PixelRepresentation = 0
    if form is Form.WINDOWED:
        # Everything lies above the window, so that a viewer shows white only.
        header.WindowCenter, header.WindowWidth = "-2000", "2"
    if header.PhotometricInterpretation == "PALETTE COLOR":
        _add_palette(header, is_flat=form is Form.FLAT_PALETTE)
    content = frames.tobytes()
    header.add_new(0x7FE00010, "OB" if bits == 8 else "OW", content + b"\0" * (len(content) % 2))
    return header


def _add_palette(header: Dataset, *, is_flat: bool) -> None:
    ramp = np.zeros(256) if is_flat else np.arange(256) / 255
    for colour, power in (("Red", 0.7), ("Green", 1.0), ("Blue", 1.6)):
        table = (ramp**power * 65535).astype("<u2")
        setattr(header, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        header[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(header, f"{colour}PaletteColorLookupTableData", table.tobytes())
        header[f"{colour}PaletteColorLookupTableData"].VR = "OW"


def part10(data: Dataset) -> io.BytesIO:
    """Return a data set as a file."""
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = UID(data.SOPClassUID)
    data.file_meta.MediaStorageSOPInstanceUID = UID(data.SOPInstanceUID)
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    file.seek(0)
    return file
