"""What the API needs to know but does not own; ``bridge`` implements it and passes it in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cases.errands import Errand, ErrandState
from cases.holds import HoldSummary
from cases.looks import RevisionImpact, StudyPreview
from cases.moves import NewMove
from cases.peers import NewPeerRule, PeerOverview, ShownPeerRule
from cases.profiles import Meaning, NamedProfile, ProfileSource, ShownProfile, ShownRoute
from cases.reruns import RerunCandidate
from cases.reviews import Decision, Reviewed
from cases.users import User
from deidentify.profile_facts import AttributeFacts, Question
from deidentify.review import PixelReview
from deidentify.translation import Translation


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


class CaseMoves(Protocol):
    """Moving images between drafts; they are written anew where the keys are, and brought there all at once."""

    def request(self, viewer: User, new: NewMove, *, version: int | None = None) -> Errand:
        """Ask for images to go to another draft, or to a new one; ``version`` is that of the case asked about."""
        ...

    def list(self, case_id: str) -> Sequence[Errand]:
        """Return what was asked for about a case, the latest first."""
        ...


class ConsentSeal(Protocol):
    """Seals documents of consents to a key whose private half is elsewhere: what it gives, nobody opens here."""

    @property
    def key_id(self) -> str:
        """Which key it is."""
        ...

    def seal(self, identified_document: bytes, case_id: str) -> bytes:
        """Return a document, sealed for its case."""
        ...


class HoldDecisions(Protocol):
    """Held images: what they show, and what is decided on them; who looked is in the audit log before it is read."""

    def identified_texts(self, actor: str, hold: HoldSummary) -> Sequence[str | None]:
        """Return what was read at each finding of a hold, from beside its original; None where that is gone."""
        ...

    def identified_frame(
        self, actor: str, hold: HoldSummary, frame: int, *, boxes: PixelReview | None, size: int | None
    ) -> bytes:
        """Return a frame of the original as PNG, with what was found and decided drawn in where that is given."""
        ...

    def decide(self, viewer: User, hold_id: str, decision: Decision, *, version: int | None) -> Reviewed:
        """Decide on a held image, and on others of its series or layout."""
        ...

    def undo(self, viewer: User, hold_id: str) -> Reviewed:
        """Take the last decision on an image back."""
        ...


class ProfileDesk(Protocol):
    """What profiles say, what their names mean, and which of them routes have. Decisions count from the next case on.

    What is wrong with a text is raised as ``ProfileError``; ``replaces`` is what the caller believes to stand there
    until now, and what does not is a ``VersionConflictError``.
    """

    def listed(self) -> Sequence[NamedProfile]:
        """Return what each name means, without its publications."""
        ...

    def named(self, name: str) -> NamedProfile:
        """Return what a name means, with its publications."""
        ...

    def shown(self, source: ProfileSource) -> ShownProfile:
        """Return a text and what it says, or its faults."""
        ...

    def explained(self, source: ProfileSource, question: Question) -> Sequence[AttributeFacts]:
        """Return what becomes of an attribute, or of all that table, options and rules name, and by which line."""
        ...

    def translated(self, text: str, *, name: str = "", allow_loosening: str = "") -> Translation:
        """Return the profile that a script or recipe of another program becomes."""
        ...

    def schema(self) -> Mapping[str, Any]:
        """Return the JSON Schema of the language."""
        ...

    def publish(self, actor: str, source: ProfileSource, *, note: str = "", replaces: str | None = None) -> Meaning:
        """Let a profile's name mean a text."""
        ...

    def roll_back(self, actor: str, name: str, *, replaces: str | None = None) -> Meaning:
        """Let a name mean again what it meant before."""
        ...

    def routes(self) -> Sequence[ShownRoute]:
        """Return the profile of each route, those of the settings included that nothing goes before."""
        ...

    def route_history(self, called_ae: str, calling_ae: str) -> Sequence[ShownRoute]:
        """Return what was set for a route, the latest first."""
        ...

    def set_route(
        self,
        actor: str,
        called_ae: str,
        calling_ae: str,
        *,
        name: str,
        revision: str = "",
        replaces: str | None = None,
    ) -> ShownRoute:
        """Give a route the newest revision of a profile, or a pinned one."""
        ...

    def roll_back_route(
        self, actor: str, called_ae: str, calling_ae: str, *, to_settings: bool = False, replaces: str | None = None
    ) -> ShownRoute:
        """Give a route what it had before, or leave it to the settings."""
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
