"""What a teaching file manifest (IHE TCE) makes of a case: which images are chosen, and what a draft begins with. Pure.

It holds keys of what the manifest lists and text that passed the privacy gate, never anything of the manifest itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from cases.model import CaseLevel, CaseSystem


class ManifestKind(StrEnum):
    """What a key object selection does."""

    TEACHING_FILE = "teaching-file"
    """Its list is the case."""
    KEY_IMAGES = "key-images"
    """It points out images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One instance of a manifest, by keyed hashes."""

    received_study: str
    """Row key of the study that it belongs to; that study may not have arrived."""
    sop_key: str
    is_listed: bool
    """Whether the list of evidence names it, not the content alone."""
    key_position: int | None
    """Its place among the key images, from 0; None when it is no key image."""
    key_frames: tuple[int, ...] = ()
    """Frames that were meant, from 1; empty for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewManifest:
    """A manifest as it is recorded."""

    arrival_id: str
    kind: ManifestKind
    group_key: str
    """Keyed hash that the copies of one selection over several studies share."""
    entries: tuple[ManifestEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What manifests say of one image."""

    is_selected: bool = True
    is_key: bool = False
    key_position: int | None = None
    key_frames: tuple[int, ...] = ()


SYSTEMS = {
    "TCE301": (CaseSystem.MUSCULOSKELETAL,),
    "TCE302": (CaseSystem.CHEST,),
    "TCE303": (CaseSystem.CARDIAC, CaseSystem.VASCULAR),
    "TCE304": (CaseSystem.GASTROINTESTINAL,),
    "TCE305": (CaseSystem.UROGENITAL,),
    "TCE306": (CaseSystem.CENTRAL_NERVOUS_SYSTEM,),
    "TCE307": (CaseSystem.VASCULAR, CaseSystem.INTERVENTIONAL),
    "TCE310": (CaseSystem.PAEDIATRICS,),
    "TCE311": (CaseSystem.BREAST,),
}
"""Category (TCE109) → systems. Nuclear medicine (TCE308) and ultrasound (TCE309) are no systems."""

LEVELS = {"TCE201": CaseLevel.PRIMARY, "TCE202": CaseLevel.INTERMEDIATE, "TCE203": CaseLevel.ADVANCED}


def systems_of(categories: Iterable[str]) -> list[CaseSystem]:
    """Return the systems of categories, each once."""
    return list(dict.fromkeys(system for category in categories for system in SYSTEMS.get(category, ())))
