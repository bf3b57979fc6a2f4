"""Images that go from one draft to another: what is asked for, what has to be written, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from cases.consents import DocumentFate

ERRAND_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMove:
    """What somebody asks for: all of a case, or studies and series of it."""

    from_case: str
    to_case: str = ""
    """Empty for a new draft."""
    studies: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedMove:
    """What an errand asks for."""

    from_case: str
    to_case: str
    """Id of the other case; a new draft gets it when all is written."""
    owner_id: str | None
    """Whose both cases are: where one goes to somebody else meanwhile, nothing is moved."""
    is_new: bool
    is_whole: bool
    studies: tuple[str, ...] = ()
    series: tuple[str, ...] = ()

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Self:
        """Return what an errand asks for."""
        return cls(**{**asked, "studies": tuple(asked["studies"]), "series": tuple(asked["series"])})

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "from_case": self.from_case,
            "to_case": self.to_case,
            "owner_id": self.owner_id,
            "is_new": self.is_new,
            "is_whole": self.is_whole,
            "studies": list(self.studies),
            "series": list(self.series),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingImage:
    """An image that goes to another case."""

    arrival_id: str
    received_study: str
    study_key: str
    sop_key: str
    blob_key: str
    born_in: str
    """The case whose pseudonyms it had first; empty where it is the one that it leaves."""
    has_original: bool
    """Whether the originals of all that goes there of its received study are there."""
    more_uids: tuple[str, ...] = ()
    """UIDs that are remembered of it and may not be in its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlan:
    """What there is to write."""

    from_case: str
    to_case: str
    secret_generation: int
    given_patient_id: str
    """Patient ID of the files of the other case, where it is known."""
    patient_blob: str
    """A file of the other case, which tells it otherwise; empty where there is none."""
    images: tuple[MovingImage, ...]
    arrivals: frozenset[str] = field(default_factory=frozenset)
    """All that goes: the images, and what is held, left out or a resend beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedMove:
    """An image as it is written for the other case."""

    arrival_id: str
    before: str
    """The blob that it was written from."""
    blob_key: str
    sha256: str
    size_bytes: int
    has_original: bool
    uids: Mapping[str, str]
    patient_id: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """What came of it, in counts."""

    images: int
    studies: int
    held: int
    duplicates: int
    """Images that the other case had already: they stay as it has them."""
    with_originals: int
    """Images whose pseudonyms are those that they had got there at once."""
    consent_document: DocumentFate = DocumentFate.NONE
    """Of the case that was left: it is sealed for that one, and cannot go to another."""

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "images": self.images,
            "studies": self.studies,
            "held": self.held,
            "duplicates": self.duplicates,
            "with_originals": self.with_originals,
            "consent_document": self.consent_document.value,
        }


def move_blob_key(case_id: str, arrival_id: str, errand_id: str, before: str) -> str:
    """Return where an image is written for another case: a place that nothing else ever uses.

    ``before`` is the blob that it is written from: it may be another one when it is written again.
    """
    mark = before.rsplit("/", 1)[-1].removesuffix(".dcm")[-ERRAND_DIGITS:]
    return f"cases/{case_id}/{arrival_id}-{errand_id[:ERRAND_DIGITS]}-{mark}.dcm"


def joined(first: str, second: str) -> str:
    """Return two texts as one: each as it was, with an empty line between; what both say is said once."""
    return first if not second or second == first else f"{first}\n\n{second}".strip()


def union(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Return what is in either list, each once."""
    return list(dict.fromkeys([*first, *second]))
