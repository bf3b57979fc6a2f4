"""Teaching files as a PACS marks them (IHE TCE): key object selections and Additional Teaching File Information.

A selection says which instances make a case and which of them are its key images; the information is the text that
goes with it. Everything in here is identified: the text is written by hand, beside a patient's images.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from deidentify.charsets import DEFAULT, Charset, charset_of
from deidentify.dataset import Element, ReceivedInstance, find, text_of
from deidentify.results import DelayReason

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
REPORT_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{tail}" for tail in ("11", "22", "33", "34"))
"""Basic Text, Enhanced, Comprehensive and Comprehensive 3D SR: what may hold Additional Teaching File Information."""

MOST_LISTED = 100_000
"""Instances of one list; no real study has as many."""
MOST_BYTES = 1 << 26
"""The largest selection or information that is read: a list of 100,000 instances takes about 15 MB."""
_MOST_ITEMS = 2_000
_DEEPEST = 8
_LONGEST_TEXT = 50_000
_MOST_FRAMES = 10_000

_CHARSET, _CONCEPT_NAME, _CONTENT = 0x00080005, 0x0040A043, 0x0040A730
_EVIDENCE, _IDENTICAL = 0x0040A375, 0x0040A525
_SERIES, _INSTANCES = 0x00081115, 0x00081199
_SOP_INSTANCE_UID, _REFERENCED_UID, _FRAMES = 0x00080018, 0x00081155, 0x00081160
_STUDY_UID = 0x0020000D
_VALUE_TYPE, _CONCEPT_CODE, _TEXT, _PERSON = 0x0040A040, 0x0040A168, 0x0040A160, 0x0040A123
_RADIOLOGY = "IHERADTF"

_MIRC_KEY = re.compile(r"mirc:([^\s=]+)=")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+")


class Purpose(StrEnum):
    """What a key object selection was made for."""

    TEACHING_FILE = "teaching-file"
    """To file a case: its list is the case."""
    KEY_IMAGES = "key-images"
    """To point out images, nothing more."""
    NOT_TEACHING = "not-teaching"
    """To export to somebody else: a trial, a collection, a publication."""
    OTHER = "other"
    """Anything else that such a document can say, a rejection for instance."""


PURPOSES = {
    ("TCE001", _RADIOLOGY): Purpose.TEACHING_FILE,
    ("TCE002", _RADIOLOGY): Purpose.NOT_TEACHING,
    ("TCE007", _RADIOLOGY): Purpose.NOT_TEACHING,
    ("TCE008", _RADIOLOGY): Purpose.NOT_TEACHING,
    ("113004", "DCM"): Purpose.KEY_IMAGES,
    ("113000", "DCM"): Purpose.KEY_IMAGES,
}
IGNORED = {
    "TCE002": "a selection for a clinical trial, not for teaching",
    "TCE007": "a selection for a research collection, not for teaching",
    "TCE008": "a selection for a publication, not for teaching",
}
"""Why a selection is not followed, by its title."""

DELAYS = {
    "TCE011": DelayReason.FINAL_REPORT,
    "TCE012": DelayReason.CLINICAL_INFORMATION,
    "TCE013": DelayReason.CONFIRMATION_OF_DIAGNOSIS,
    "TCE014": DelayReason.HISTOPATHOLOGY,
    "TCE015": DelayReason.LABORATORY_RESULTS,
    "TCE016": DelayReason.DISCHARGE,
    "TCE017": DelayReason.DEATH,
    "TCE018": DelayReason.EXPERT_REVIEW,
}


class Topic(StrEnum):
    """What a text of the Additional Teaching File Information is about."""

    AUTHOR = "author"
    AFFILIATION = "affiliation"
    CONTACT = "contact"
    ABSTRACT = "abstract"
    KEYWORDS = "keywords"
    HISTORY = "history"
    FINDINGS = "findings"
    DISCUSSION = "discussion"
    DIFFERENTIAL = "differential"
    DIAGNOSIS = "diagnosis"
    ANATOMY = "anatomy"
    PATHOLOGY = "pathology"
    ORGAN_SYSTEM = "organ-system"
    TITLE = "title"


TOPICS = {
    ("TCE101", _RADIOLOGY): Topic.AUTHOR,
    ("TCE102", _RADIOLOGY): Topic.AFFILIATION,
    ("TCE103", _RADIOLOGY): Topic.CONTACT,
    ("TCE104", _RADIOLOGY): Topic.ABSTRACT,
    ("TCE105", _RADIOLOGY): Topic.KEYWORDS,
    ("121060", "DCM"): Topic.HISTORY,
    ("121071", "DCM"): Topic.FINDINGS,
    ("TCE106", _RADIOLOGY): Topic.DISCUSSION,
    ("111023", "DCM"): Topic.DIFFERENTIAL,
    ("TCE107", _RADIOLOGY): Topic.DIAGNOSIS,
    ("112005", "DCM"): Topic.ANATOMY,
    ("111042", "DCM"): Topic.PATHOLOGY,
    ("TCE108", _RADIOLOGY): Topic.ORGAN_SYSTEM,
    ("TF001", "AGFAIMPAXEE"): Topic.TITLE,
}
_CATEGORY, _LEVEL, _CONFIRMED = ("TCE109", _RADIOLOGY), ("TCE110", _RADIOLOGY), ("TCE111", _RADIOLOGY)
_CATEGORIES = frozenset(f"TCE3{number:02d}" for number in range(1, 12))
_LEVELS = frozenset(("TCE201", "TCE202", "TCE203"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One instance of a selection's list."""

    identified_study_uid: str = field(repr=False)
    identified_sop_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyImage:
    """One image that the selection shows, in its place; ``frames`` count from 1, empty means all of them."""

    identified_sop_uid: str = field(repr=False)
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A key object selection."""

    purpose: Purpose
    ignored: str
    """Why it is not followed; empty when it is."""
    delay: DelayReason | None
    identified_sop_uid: str = field(repr=False)
    identified_listed: tuple[Listed, ...] = field(repr=False)
    identified_key_images: tuple[KeyImage, ...] = field(repr=False)
    identified_identical: tuple[str, ...] = field(repr=False)
    """SOP Instance UIDs of the same document in the other studies of one selection."""
    identified_title: str = field(repr=False)
    identified_owner: str = field(repr=False)
    identified_text: str = field(repr=False)
    """The description without what the MIRC extension says."""
    identified_observers: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingInformation:
    """Additional Teaching File Information."""

    identified_texts: tuple[tuple[Topic, str], ...] = field(repr=False)
    categories: tuple[str, ...]
    """Codes of TCE109, for example "TCE302"."""
    level: str
    """Code of TCE110, or empty."""
    has_confirmation: bool
    """Whether it says anything of a confirmed diagnosis: a hint only, for senders are known to swap yes and no."""


def purpose_of(received: ReceivedInstance) -> Purpose | None:
    """Return what a key object selection was made for; None for anything else."""
    if received.text(0x00080016) != KEY_OBJECT_SELECTION:
        return None
    return PURPOSES.get(_code_of(received.identified_elements, _CONCEPT_NAME), Purpose.OTHER)


def ignored_because(received: ReceivedInstance) -> str:
    """Return why a selection is not followed; empty when it is, or is none."""
    return IGNORED.get(_code_of(received.identified_elements, _CONCEPT_NAME)[0], "")


def is_teaching_information(received: ReceivedInstance) -> bool:
    """Tell whether a structured report is Additional Teaching File Information."""
    return received.text(0x00080016) in REPORT_CLASSES and _code_of(received.identified_elements, _CONCEPT_NAME) == (
        "TCE006",
        _RADIOLOGY,
    )


def read_manifest(received: ReceivedInstance) -> Manifest | None:
    """Return a key object selection; None when the instance is none.

    What is damaged in it is left out: a list that is too long or names no UID lists nothing.
    """
    purpose = purpose_of(received)
    if purpose is None:
        return None
    elements = received.identified_elements
    content = list(_content(elements))
    said = _description(content)
    return Manifest(
        purpose=purpose,
        ignored=ignored_because(received),
        delay=next((DELAYS[value] for value in _modifiers(content) if value in DELAYS), None),
        identified_sop_uid=received.text(_SOP_INSTANCE_UID),
        identified_listed=_listed(elements, _EVIDENCE),
        identified_key_images=_key_images(content),
        identified_identical=tuple(one.identified_sop_uid for one in _listed(elements, _IDENTICAL)),
        identified_title=said.get("title", ""),
        identified_owner=said.get("authorization/owner", ""),
        identified_text=said.get("freetext", ""),
        identified_observers=tuple(_persons(content)),
    )


def read_teaching_information(received: ReceivedInstance) -> TeachingInformation | None:
    """Return Additional Teaching File Information; None when the instance is none."""
    if not is_teaching_information(received):
        return None
    texts: list[tuple[Topic, str]] = []
    categories: dict[str, None] = {}
    level, has_confirmation = "", False
    for item, charset in _content(received.identified_elements):
        name = _code_of(item, _CONCEPT_NAME)
        value = _code_of(item, _CONCEPT_CODE)[0]
        if name in TOPICS and (text := _text_of(item, charset)):
            texts.append((TOPICS[name], text))
        elif name == _CATEGORY and value in _CATEGORIES:
            categories[value] = None
        elif name == _LEVEL and value in _LEVELS:
            level = level or value
        has_confirmation = has_confirmation or name == _CONFIRMED
    return TeachingInformation(
        identified_texts=tuple(texts), categories=tuple(categories), level=level, has_confirmation=has_confirmation
    )


# -- content ---------------------------------------------------------------------------------------------------------


def _content(elements: list[Element]) -> Iterator[tuple[list[Element], Charset]]:
    """Yield the content items at every depth, in order, as many as are ever read."""
    left = [_MOST_ITEMS]

    def below(level: list[Element], charset: Charset, depth: int) -> Iterator[tuple[list[Element], Charset]]:
        named = find(level, _CHARSET)
        charset = charset_of(named.value) if named is not None else charset
        for item in _items(level, _CONTENT):
            left[0] -= 1
            if left[0] < 0:
                return
            own = find(item, _CHARSET)
            yield item, charset_of(own.value) if own is not None else charset
            if depth < _DEEPEST:
                yield from below(item, charset, depth + 1)

    return below(elements, DEFAULT, 0)


def _items(elements: list[Element], tag: int) -> list[list[Element]]:
    element = find(elements, tag)
    return element.items or [] if element is not None else []


def _code_of(elements: list[Element], tag: int) -> tuple[str, str]:
    """Return (value, scheme) of the first code of a sequence, two empty texts where there is none."""
    for item in _items(elements, tag):
        return text_of(item, 0x00080100), text_of(item, 0x00080102)
    return "", ""


def _value(item: list[Element], tag: int, charset: Charset) -> str:
    element = find(item, tag)
    if element is None or element.items is not None or element.span is not None:
        return ""
    text = charset.decode(element.value[: 4 * _LONGEST_TEXT]).strip(" \0\r\n\t")
    return text[:_LONGEST_TEXT]


def _text_of(item: list[Element], charset: Charset) -> str:
    """Return a text, or the meaning of a code that stands in its place."""
    text = _value(item, _TEXT, charset)
    if text:
        return text
    for coded in _items(item, _CONCEPT_CODE):
        own = find(coded, _CHARSET)
        return _value(coded, 0x00080104, charset_of(own.value) if own is not None else charset)
    return ""


def _description(content: list[tuple[list[Element], Charset]]) -> dict[str, str]:
    """Return what the Key Object Descriptions say: ``freetext``, and by name what the MIRC extension adds."""
    said: dict[str, str] = {}
    for item, charset in content:
        if _code_of(item, _CONCEPT_NAME) != ("113012", "DCM"):
            continue
        text = _value(item, _TEXT, charset)
        marks = list(_MIRC_KEY.finditer(text))
        pieces = [("freetext", text[: marks[0].start()] if marks else text)]
        starts = [mark.start() for mark in marks] + [len(text)]
        pieces += [(mark[1].lower(), text[mark.end() : end]) for mark, end in zip(marks, starts[1:], strict=True)]
        for name, piece in pieces:
            if piece.strip():
                said[name] = f"{said[name]}\n{piece.strip()}" if name in said else piece.strip()
    return said


def _modifiers(content: list[tuple[list[Element], Charset]]) -> Iterator[str]:
    for item, _ in content:
        if _code_of(item, _CONCEPT_NAME) == ("113011", "DCM"):
            value, scheme = _code_of(item, _CONCEPT_CODE)
            if scheme == _RADIOLOGY:
                yield value


def _persons(content: list[tuple[list[Element], Charset]]) -> Iterator[str]:
    for item, charset in content:
        if person := _value(item, _PERSON, charset):
            yield person


def _key_images(content: list[tuple[list[Element], Charset]]) -> tuple[KeyImage, ...]:
    """Return the images in the order in which they stand; one that stands twice keeps its first place."""
    found: dict[str, dict[int, None] | None] = {}
    for item, _ in content:
        if text_of(item, _VALUE_TYPE) != "IMAGE":
            continue
        for reference in _items(item, _INSTANCES):
            uid = text_of(reference, _REFERENCED_UID)
            if not _is_uid(uid) or (uid not in found and len(found) >= MOST_LISTED):
                continue
            frames = _frames(text_of(reference, _FRAMES))
            earlier = found.setdefault(uid, {})
            # Once the whole image was meant, single frames of it say nothing more.
            found[uid] = None if earlier is None or not frames else earlier | dict.fromkeys(frames)
    return tuple(
        KeyImage(identified_sop_uid=uid, frames=tuple(frames)[:_MOST_FRAMES] if frames else ())
        for uid, frames in found.items()
    )


def _frames(text: str) -> list[int]:
    numbers = [part.strip() for part in text.split("\\")[:_MOST_FRAMES]]
    return [int(part) for part in numbers if part.isascii() and part.isdigit() and 0 < len(part) < 10]  # noqa: PLR2004


def _listed(elements: list[Element], tag: int) -> tuple[Listed, ...]:
    found: dict[str, Listed] = {}
    for study in _items(elements, tag):
        study_uid = text_of(study, _STUDY_UID)
        for series in _items(study, _SERIES):
            for reference in _items(series, _INSTANCES):
                uid = text_of(reference, _REFERENCED_UID)
                if not _is_uid(uid) or not _is_uid(study_uid):
                    continue
                if len(found) >= MOST_LISTED:
                    return ()
                found[uid] = Listed(identified_study_uid=study_uid, identified_sop_uid=uid)
    return tuple(found.values())


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and _UID.fullmatch(text) is not None  # noqa: PLR2004 - PS3.5 §9.1
