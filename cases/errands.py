"""Work on the retained originals of a study that somebody asked for: to make a case anew, to preview a profile.

An errand is a generation of its study without new instances, so that the job engine runs it when nothing else works
on that study, and takes it up again after a crash.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class ErrandKind(StrEnum):
    """What is to be done with the originals."""

    RERUN = "rerun"
    """Make the images of a case anew under another revision."""
    PREVIEW = "preview"
    """Show what a revision makes of originals; what identifies lies beside them."""
    MOVE = "move"
    """Write images of a case anew as those of another, and take them there."""
    IMPACT = "impact"
    """Count what would change from one revision to another."""


class ErrandState(StrEnum):
    """Where an errand stands."""

    QUEUED = "queued"
    RUNNING = "running"
    IN_REVIEW = "in-review"
    """Worked through; an editor decides whether a case that others may see gets it."""
    DONE = "done"
    DISCARDED = "discarded"
    FAILED = "failed"


ARRIVALS = "arrivals"
"""Of what an errand asks for: the instances that it is about, where it is not about all of its case."""
AT_WORK = frozenset({ErrandState.QUEUED, ErrandState.RUNNING})
UNFINISHED = AT_WORK | {ErrandState.IN_REVIEW}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewErrand:
    """What somebody asks for."""

    kind: ErrandKind
    profile: str
    revision: str
    """Of the profile to work under."""
    base_revision: str = ""
    """What it is compared with: the one that the case has."""
    case_id: str | None = None
    other_case_id: str | None = None
    """Where the images of the case go."""
    requested_by: str
    group_id: str = ""
    """Ties errands that were asked for at once; none for one that stands alone."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What is to be done with which originals, by their keys; see ``cases.looks.Asked``."""
    is_review: bool = False
    """Whether it is about single images of a case, after a person decided on their pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What somebody asked for, and how far it is."""

    id: str
    kind: ErrandKind
    received_study: str
    """Row key of the study whose originals it needs."""
    study_key: str
    """Key of the study in the spool."""
    generation: int
    case_id: str | None
    profile: str
    revision: str
    base_revision: str
    state: ErrandState
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None = None
    decided_by: str = ""
    total: int = 0
    """Instances to work on; 0 until it began."""
    done: int = 0
    reason: str = ""
    """Why it failed or was discarded, as a sentence."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """Counts and names of attributes, never a value; of a re-run see ``cases.reruns.RerunResult``, of others
    ``cases.looks``."""
    group_id: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)
    is_review: bool = False
    """Whether it is about single images of a case, after a person decided on their pixels."""
    other_case_id: str | None = None
    """Where the images of the case go."""
