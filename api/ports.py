"""What the API needs to know but does not own; ``bridge`` implements it and passes it in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cases.looks import RevisionImpact, StudyPreview
from cases.peers import NewPeerRule, PeerOverview, ShownPeerRule


class Readiness(Protocol):
    """What keeps this installation from doing its work: database, blobs, spool, workers."""

    def faults(self) -> Sequence[str]:
        """Return a sentence for each fault, without paths, addresses or identifiers; none when all is well."""
        ...

    def warnings(self) -> Sequence[str]:
        """Return a sentence for each thing that works and should not stay so."""
        ...


class PeerPolicy(Protocol):
    """Who may send: rules, who was turned away, who sent. Changes reach the receivers without a restart."""

    def overview(self) -> PeerOverview:
        """Return everything about who may send."""
        ...

    def allow(self, actor: str, rule: NewPeerRule) -> ShownPeerRule:
        """Let a peer in."""
        ...

    def allow_rejected(self, actor: str, rejected_id: str, *, note: str = "") -> ShownPeerRule:
        """Let in exactly the AE title that was rejected, from exactly its address."""
        ...

    def remove(self, actor: str, rule_id: str) -> None:
        """Take back a rule that was allowed."""
        ...


class ProfilePreview(Protocol):
    """What a profile makes of retained originals or of a file; what it gives of an instance identifies."""

    def request(self, actor: str, study: str, profile: str, *, most: int, has_pixels: bool) -> StudyPreview:
        """Ask for a preview of a study, by its key in the spool or the code of its receipt."""
        ...

    def get(self, preview_id: str) -> StudyPreview:
        """Return how far a preview is, in counts."""
        ...

    def identified_instance(self, actor: str, preview_id: str, number: int) -> Mapping[str, Any]:
        """Return the whole preview of one instance, from beside its original."""
        ...

    def identified_picture(self, actor: str, preview_id: str, number: int, picture: int) -> bytes:
        """Return a picture of one instance as PNG, before and after side by side."""
        ...

    def identified_file(
        self, actor: str, identified: bytes, profile: str, *, has_pixels: bool, has_pictures: bool
    ) -> Mapping[str, Any]:
        """Return what becomes of a file that was handed in; nothing of it is kept."""
        ...


class ProfileImpact(Protocol):
    """What another revision would change over the studies that arrived last, in counts."""

    def request(self, actor: str, first: str, second: str, *, last: int, most: int) -> RevisionImpact:
        """Ask for it."""
        ...

    def get(self, impact_id: str) -> RevisionImpact:
        """Return what was counted so far."""
        ...


class StudyMarks(Protocol):
    """What identifies a study to its operator; it lies beside the originals and goes with them."""

    def identified_accession_end(self, study_key: str) -> str | None:
        """Return the last characters of the Accession Number while an original of the study is there, else None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """
    One figure for ``/metrics``.

    ``name`` is snake case, begins with ``casebridge_`` and ends with its unit; label names and values are plain
    lower-case words (a figure with any other is left out, and so are more than 64 label sets of one name).
    """

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


class MetricsSource(Protocol):
    """Figures of the installation, for example objects by outcome and free bytes; the requests are counted by us."""

    def measurements(self) -> Iterable[Measurement]:
        """Return the present figures; every call gives the same names and label sets."""
        ...
