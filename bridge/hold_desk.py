"""Held images for the HTTP API: what they show, read where the originals are, and what is decided on them.

Who looked is in the audit log before anything that identifies is read.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from api.errors import GoneError, NotRenderableError, PartNotFoundError
from bridge.engine import EngineClient, EngineError
from bridge.keys import load_keys
from bridge.pool import ChildDiedError, Pool, PoolStartError, TaskTimeoutError
from bridge.profile_book import FOLDER
from bridge.spool_keys import load_spool_keys
from cases.errors import StoreUnavailableError
from cases.holds import HoldSummary
from cases.reruns import ERRAND_DIGITS
from cases.reviews import Decision, Reviewed
from cases.store import Audit, Database, Reviews
from cases.users import User
from config.settings import Settings
from deidentify.review import MarkedBox, PixelReview
from scp.errors import SealBrokenError, SpoolKeyMissingError
from scp.spool import Spool

if TYPE_CHECKING:
    from bridge.hold_pictures import FrameTask, Mark

T = TypeVar("T")

log = logging.getLogger("casebridge.holds")

LOOK = "hold.look"
TIMEOUT_S = 120.0
"""How long one picture may take before its process is ended."""
_PLACE = ("frame", "x", "y", "width", "height")


class Pictures(Protocol):
    """Runs what draws, in a child process."""

    def run(self, work: "Callable[[FrameTask], T]", task: "FrameTask") -> T:
        """Run it."""
        ...


class PicturesOnDemand:
    """One child process that draws, started with the first picture; whoever comes second waits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._pool: Pool | None = None

    def run(self, work: "Callable[[FrameTask], T]", task: "FrameTask") -> T:
        """Run a function in the child process; see ``Pool.run``."""
        with self._lock:
            if self._pool is None:
                self._pool = self._started()
        return self._pool.run(work, task)

    def close(self) -> None:
        """End the child process; it ends with this one anyway."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
            self._pool = None

    def _started(self) -> Pool:
        # What decodes images takes a second to load, and is not needed to start.
        from bridge.pipeline import Tools, start_child  # noqa: PLC0415

        tools = Tools(
            keys=load_keys(self._settings.secret_file),
            spool_keys=load_spool_keys(self._settings),
            spool_root=self._settings.spool_dir,
            blob_url=self._settings.blob_url,
            profile_folder=self._settings.data_dir / FOLDER,
            log_level=self._settings.log_level,
        )
        return Pool(1, initializer=start_child, initargs=(tools,), timeout_s=TIMEOUT_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDesk:
    """Implements ``api.ports.HoldDecisions``."""

    database: Database
    spool: Spool
    client: EngineClient
    pictures: Pictures

    # -- looking ------------------------------------------------------------------------------------------------------

    def identified_texts(self, actor: str, hold: HoldSummary) -> Sequence[str | None]:
        """Return what was read at each finding, from beside the original; None where it is gone or of another reading.

        Raises
        ------
        StoreUnavailableError
            When the spool cannot be read now.
        """
        nothing: list[str | None] = [None] * len(hold.findings)
        if not hold.findings:
            return nothing
        self._note_look(actor, hold, {"texts": len(hold.findings)})
        identified_content = self._beside(hold)
        if identified_content is None:
            return nothing
        try:
            identified: list[Mapping[str, Any]] = json.loads(identified_content)["findings"]
            places = [tuple(found[name] for name in _PLACE) for found in identified]
            identified_texts = [str(found["text"]) for found in identified]
        except (ValueError, KeyError, TypeError):
            log.warning("what was read in a held image is not what was written", extra={"hold": hold.id})
            return nothing
        own = [tuple(getattr(found, name) for name in _PLACE) for found in hold.findings]
        return list(identified_texts) if own == places else nothing

    def identified_frame(
        self, actor: str, hold: HoldSummary, frame: int, *, boxes: PixelReview | None, size: int | None
    ) -> bytes:
        """Return a frame of the original as PNG.

        Raises
        ------
        PartNotFoundError
            When the image has no such frame.
        NotRenderableError
            When it cannot be decoded.
        GoneError
            When the original is gone.
        StoreUnavailableError
            When the spool cannot be read now.
        """
        # What decodes images takes a second to load, and is not needed to start.
        from bridge.hold_pictures import FrameFault, FrameTask, picture  # noqa: PLC0415
        from bridge.pipeline import Task  # noqa: PLC0415

        self._note_look(actor, hold, {"frame": frame})
        whole = Task(
            study_key=hold.study_key, sop_key=hold.sop_key, arrival_id=hold.arrival_id, case_id="", hospital=""
        )
        marks = tuple(_marks(hold, boxes)) if boxes is not None else ()
        try:
            identified_png = self.pictures.run(picture, FrameTask(task=whole, frame=frame, size=size, marks=marks))
        except (ChildDiedError, TaskTimeoutError, MemoryError):
            raise NotRenderableError("This frame cannot be shown: it takes too much memory or time.") from None
        except PoolStartError:
            raise StoreUnavailableError("the process that draws held images does not start") from None
        match identified_png:
            case FrameFault.GONE:
                raise GoneError("The original is gone.")
            case FrameFault.NO_SUCH_FRAME:
                raise PartNotFoundError("The image has no such frame.")
            case FrameFault.UNDECODABLE:
                raise NotRenderableError("This frame cannot be decoded.")
            case _:
                return identified_png

    def _note_look(self, actor: str, hold: HoldSummary, detail: dict[str, str | int | bool | None]) -> None:
        with self.database.write() as session:
            Audit(session).append(actor, LOOK, f"hold {hold.id}", detail)

    def _beside(self, hold: HoldSummary) -> bytes | None:
        name = f"findings-{hold.errand_id[:ERRAND_DIGITS]}.json" if hold.errand_id else "findings.json"
        if not self.spool.is_there():
            raise StoreUnavailableError("the spool is not there")
        try:
            return self.spool.read_beside(hold.study_key, hold.sop_key, hold.arrival_id, name)
        except SpoolKeyMissingError as error:
            raise StoreUnavailableError(error.comment) from None
        except SealBrokenError:
            log.exception("what was read in a held image is not what was written")
            return None
        except OSError as error:
            raise StoreUnavailableError(f"the spool cannot be read ({type(error).__name__})") from None

    # -- deciding -----------------------------------------------------------------------------------------------------

    def decide(self, viewer: User, hold_id: str, decision: Decision, *, version: int | None) -> Reviewed:
        """Decide on a held image, and on others of its series or layout; see ``Reviews.decide``.

        Raises
        ------
        StoreUnavailableError
            When no worker ever ran here that could look at the images again.
        """
        with self.database.write() as session:
            reviewed = Reviews(session).decide(viewer, hold_id, decision, version=version)
            self._ask(session, reviewed)
            detail = {"scope": decision.scope.value, "boxes": len(decision.boxes), "left": reviewed.left}
            self._note_decision(Audit(session), viewer, hold_id, reviewed, detail)
        return reviewed

    def undo(self, viewer: User, hold_id: str) -> Reviewed:
        """Take the last decision on an image back; see ``Reviews.undo``.

        Raises
        ------
        StoreUnavailableError
            When no worker ever ran here that could look at the image again.
        """
        with self.database.write() as session:
            reviewed = Reviews(session).undo(viewer, hold_id)
            self._ask(session, reviewed)
            self._note_decision(Audit(session), viewer, hold_id, reviewed, {})
        return reviewed

    def _ask(self, session: Any, reviewed: Reviewed) -> None:
        for errand in reviewed.errands:
            if errand.id not in reviewed.new_errands:
                continue
            count = len(errand.asked["arrivals"])
            try:
                self.client.enqueue_study(session, errand.received_study, errand.generation, instances=count)
            except EngineError as error:
                raise StoreUnavailableError(f"{error}; start one, then decide again") from None

    def _note_decision(
        self, audit: Audit, viewer: User, hold_id: str, reviewed: Reviewed, detail: Mapping[str, str | int]
    ) -> None:
        """Write an entry for each hold that was reached: whoever asks for one finds all that was done to it."""
        for one in reviewed.holds:
            of = {} if one == hold_id else {"by": hold_id}
            told: dict[str, str | int | bool | None] = {**detail, "reached": len(reviewed.holds), **of}
            audit.append(viewer.name, f"hold.{reviewed.action}", f"hold {one}", told)


def _marks(hold: HoldSummary, review: PixelReview) -> "Iterator[tuple[Mark, MarkedBox]]":
    from bridge.hold_pictures import Mark  # noqa: PLC0415

    for found in hold.findings:
        if not found.layer:
            place = MarkedBox(frame=found.frame, x=found.x, y=found.y, width=found.width, height=found.height)
            yield Mark(found.text_class.value), place
    for box in review.redact:
        yield Mark.REDACT, box
    for box in (*review.safe, *review.safe_elsewhere):
        yield Mark.KEPT, box
