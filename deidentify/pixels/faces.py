"""Which images a face could be seen in or rendered from, by their header alone.

What cannot be told counts as yes: a warning costs its owner one thought, and a face that nobody thought of cannot be
taken back.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Literal

from deidentify.charsets import DEFAULT, Charset, charset_of
from deidentify.dataset import Element, ReceivedInstance, find
from deidentify.vocabulary import folded


class FaceRisk(StrEnum):
    """How a face could be seen."""

    PHOTOGRAPH = "photograph"
    """Somebody took a picture of the outside of a person, or may have."""
    VOLUME = "volume"
    """Slices of a head that are thin enough to render its surface."""
    RENDERING = "rendering"
    """A picture of such a surface."""


THINNEST_SAFE_MM = 3.5
"""Slices up to so thick count as thin. Thin series for volumes have 0.5 to 3 mm, PET mostly 3.3 mm, and from them lips,
nose and orbits come out; thick ones for reading slice by slice have 4 to 5 mm and more."""
SMALLEST_FACE_MM = 100.0
"""What is smaller than that in both directions holds no face, where nothing else says what it is."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_PHOTOGRAPHS = frozenset(f"{_STORAGE}77.1.{rest}" for rest in ("4", "4.1", "7"))
_ENDOSCOPY = frozenset(f"{_STORAGE}77.1.{rest}" for rest in ("1", "1.1"))
_EYE_PHOTOGRAPHS = frozenset(f"{_STORAGE}77.1.5.{rest}" for rest in ("1", "2"))
_PHOTOGRAPH_MODALITIES = frozenset(("XC", "ES", "DMS"))
_CRANIOFACIAL = f"{_STORAGE}13.1.2"
_ANGIOGRAPHIC_VOLUME = f"{_STORAGE}13.1.1"
_CAPTURE_CLASS = f"{_STORAGE}7"
_SLICE_MODALITIES = frozenset(("CT", "MR", "PT"))
_RENDERED = frozenset(("VOLREN", "VRT", "SSD", "3D", "VOLUME RENDERING", "CINEMATIC", "VXTL STATE"))

# Beginnings of words ("cerebr" is cerebral, cerebrum and cérébral), then words that are the beginning of others too.
_HEAD = tuple(
    """
    head brain skull crani cereb encephal encefal neuro face facial maxill mandib dent teeth tooth sinus paranas nasal
    naso orbit petrous temporal mastoid pituit sella hypophys neck cervic cspine carotid whole stroke vertex scalp
    trigem kopf schadel schaedel hirn gehirn gesicht kiefer felsenbein hals augen ohren cerveau visage cabeza cerebro
    cuello cabeca pescoco hoofd hersenen schedel gelaat aangezicht
    """.split()  # noqa: SIM905 - to be read as words
)
_HEAD_WORDS = frozenset(
    """
    ent ear ears eye eyes iac iacs orl tmj tmjs cmf nnh cns wb hno nose jaw auge ohr nase haupt hws tete crane rocher
    cou cara testa collo volto viso
    """.split()  # noqa: SIM905
)
_ELSEWHERE = tuple(
    """
    chest thora lung pulmo heart cardia coronar breast mamm abdom liver hepat pancrea kidney renal urin urogr bladder
    prostat pelvi pelvic bowel gastr stomach esoph oesoph uter ovar scrot testic lumbar lspine tspine sacr femur femor
    thigh tibia fibula ankle shoulder humer elbow forearm wrist finger extremit runoff aort enterogr colono
    brust bauch lunge leber niere becken schulter hufte huefte lws bws genou epaule rodilla
    """.split()  # noqa: SIM905
)
_ELSEWHERE_WORDS = frozenset(
    "abd cap tap hip hips knee knees leg legs arm arms hand hands foot toe toes calf colon rectum rectal knie".split()  # noqa: SIM905
)
_FAR_FROM_A_FACE = frozenset("finger fingers foot toe toes ankle ankles knee knees leg legs calf thigh".split())  # noqa: SIM905
"""What can be photographed without a face in the picture; a hand or an arm may be held before one."""
_INSIDE_OF_A_PERSON = (
    *("colon", "rect", "bowel", "gastr", "stomach", "duoden", "ileum", "bronch", "bladder", "uter", "joint", "knee"),
    *("esoph", "oesoph", "cystosc", "arthrosc"),
)
_INTO_THE_EYE = ("fundus", "ophthalmoscope", "specular", "keratoscope", "pupillograph", "endoscope")
_WORD = re.compile(r"[^\W\d_]+")

_SOP_CLASS, _MODALITY, _IMAGE_TYPE, _BODY_PART = 0x00080016, 0x00080060, 0x00080008, 0x00180015
_CHARSET, _CODE_MEANING = 0x00080005, 0x00080104
_TEXTS = (_BODY_PART, 0x00081030, 0x0008103E, 0x00181030, 0x00321060, 0x00400254)
"""Body part, and the descriptions of study, series, protocol, requested procedure and performed step."""
_ANATOMIC_REGION, _EYE_DEVICE = 0x00082218, 0x00220015
_THICKNESS, _SPACING, _PIXEL_SPACING = 0x00180050, 0x00180088, 0x00280030
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_FUNCTIONAL_GROUPS, _FRAME_ANATOMY = (0x52009229, 0x52009230), 0x00209071
_PIXEL_MEASURES = 0x00289110


def shows_face(received: ReceivedInstance) -> FaceRisk | None:
    """Tell how a face could be seen in an instance; None where its header says that it cannot.

    Photographs are of a face until they say that they are of something else. Slices of CT, MR and PET are, where they
    are thin, until they say that they are of another part of the body. Localizers are not: one of them is no volume.
    A single sagittal slice shows a profile all the same, whatever its thickness; nobody is warned of that.
    """
    sop_class, modality = received.text(_SOP_CLASS), received.text(_MODALITY)
    if sop_class in _EYE_PHOTOGRAPHS or modality == "OP":
        devices = _words(_meanings(received, _EYE_DEVICE, received.identified_elements))
        return None if _has(devices, _INTO_THE_EYE) else FaceRisk.PHOTOGRAPH
    if sop_class in _PHOTOGRAPHS | _ENDOSCOPY or modality in _PHOTOGRAPH_MODALITIES:
        return _by_photograph(received, is_endoscopy=sop_class in _ENDOSCOPY or modality == "ES")
    if sop_class == _CRANIOFACIAL:
        return FaceRisk.VOLUME
    if modality in _SLICE_MODALITIES or sop_class == _ANGIOGRAPHIC_VOLUME:
        return _by_slices(received, sop_class)
    return None


def _by_photograph(received: ReceivedInstance, *, is_endoscopy: bool) -> FaceRisk | None:
    words = _words(_said(received))
    if _is_of_a_head(words):
        return FaceRisk.PHOTOGRAPH
    is_elsewhere = _has(words, _INSIDE_OF_A_PERSON) if is_endoscopy else bool(words & _FAR_FROM_A_FACE)
    return None if is_elsewhere else FaceRisk.PHOTOGRAPH


def _by_slices(received: ReceivedInstance, sop_class: str) -> FaceRisk | None:
    words = _words(_said(received))
    is_head = _is_of_a_head(words)
    if not is_head and (words & _ELSEWHERE_WORDS or _has(words, _ELSEWHERE)):
        return None
    image_type = {part.strip() for part in received.text(_IMAGE_TYPE).split("\\")}
    if image_type & _RENDERED:
        return FaceRisk.RENDERING
    if "LOCALIZER" in image_type or sop_class == _CAPTURE_CLASS or sop_class.startswith(f"{_CAPTURE_CLASS}."):
        return None
    is_volume = _is_thin(received) and (is_head or _has_room(received))
    return FaceRisk.VOLUME if is_volume else None


def _is_thin(received: ReceivedInstance) -> bool:
    """Tell whether slices are thin, by thickness or spacing, whichever is less; unknown ones are."""
    known = [
        number
        for tag in (_THICKNESS, _SPACING)
        for value in _values(received, tag)
        if (number := _number(value)) is not None and number > 0
    ]
    return not known or min(known) <= THINNEST_SAFE_MM


def _has_room(received: ReceivedInstance) -> bool:
    """Tell whether a face fits into an image; it does where the size is not known."""
    order: Literal["little", "big"] = "little" if received.encoding.little else "big"
    sides = [find(received.identified_elements, tag) for tag in (_ROWS, _COLUMNS)]
    pixels = [int.from_bytes(side.value[:2], order) for side in sides if side is not None]
    for value in _values(received, _PIXEL_SPACING):
        spacing = [number for part in value.split(b"\\") if (number := _number(part)) is not None]
        if len(spacing) == len(pixels) == 2:  # noqa: PLR2004 - rows, columns
            return max(mm * count for mm, count in zip(spacing, pixels, strict=True)) >= SMALLEST_FACE_MM
    return True


def _values(received: ReceivedInstance, tag: int) -> Iterator[bytes]:
    """Yield the values of an attribute of slices, on the top level or in the functional groups of enhanced objects."""
    for elements in (received.identified_elements, *_inside(_groups(received), _PIXEL_MEASURES)):
        element = find(elements, tag)
        if element is not None and element.value.strip(b" \0"):
            yield element.value


def _groups(received: ReceivedInstance) -> Iterator[list[Element]]:
    for tag in _FUNCTIONAL_GROUPS:
        yield from _inside((received.identified_elements,), tag)


def _inside(levels: Iterable[list[Element]], tag: int) -> Iterator[list[Element]]:
    """Yield the items of a sequence on each of these levels."""
    for elements in levels:
        sequence = find(elements, tag)
        if sequence is not None:
            yield from sequence.items or ()


def _number(value: bytes) -> float | None:
    try:
        number = float(value.strip(b" \0"))
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _said(received: ReceivedInstance) -> Iterator[str]:
    """Yield the texts that say what an image is of."""
    charset = _charset(received)
    for tag in _TEXTS:
        found = find(received.identified_elements, tag)
        if found is not None:
            yield charset.decode(found.value)
    for elements in (received.identified_elements, *_inside(_groups(received), _FRAME_ANATOMY)):
        yield from _meanings(received, _ANATOMIC_REGION, elements)


def _meanings(received: ReceivedInstance, tag: int, elements: list[Element]) -> Iterator[str]:
    """Yield the meanings of a code sequence."""
    charset = _charset(received)
    for item in _inside((elements,), tag):
        meaning = find(item, _CODE_MEANING)
        if meaning is not None:
            yield charset.decode(meaning.value)


def _charset(received: ReceivedInstance) -> Charset:
    element = find(received.identified_elements, _CHARSET)
    return charset_of(element.value) if element is not None else DEFAULT


def _words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in texts for word in _WORD.findall(folded(text)))


def _is_of_a_head(words: frozenset[str]) -> bool:
    return bool(words & _HEAD_WORDS) or _has(words, _HEAD)


def _has(words: Iterable[str], beginnings: tuple[str, ...]) -> bool:
    return any(word.startswith(beginnings) for word in words)
