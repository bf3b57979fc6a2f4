"""What the API needs to know but does not own; ``bridge`` implements it and passes it in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cases.errands import Errand, ErrandState
from cases.peers import NewPeerRule, PeerOverview, ShownPeerRule
from cases.reruns import RerunCandidate


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


class Rerun(Protocol):
    """Making cases anew under another revision of a profile; the work is done where the originals are."""

    def candidates(self, revision: str) -> Sequence[RerunCandidate]:
        """Return the cases that have a revision, with what a re-run of each would find."""
        ...

    def plan(self, case_id: str) -> RerunCandidate:
        """Return what a re-run of a case would find."""
        ...

    def request(self, actor: str, case_id: str, profile: str) -> Errand:
        """Ask for a case to be made anew under ``NAME`` or ``NAME@REVISION``."""
        ...

    def request_all(self, actor: str, made_under: str, profile: str) -> Sequence[RerunCandidate]:
        """Ask for every case that has a revision; each tells what it got, or why it got nothing."""
        ...

    def list(self, *, case_id: str | None = None, state: ErrandState | None = None) -> Sequence[Errand]:
        """Return re-runs, the latest first."""
        ...

    def get(self, errand_id: str) -> Errand:
        """Return a re-run."""
        ...

    def decide(self, actor: str, errand_id: str, *, applies: bool) -> Errand:
        """Bring into its case what waits for an editor, or leave the case as it is."""
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
