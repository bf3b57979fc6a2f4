"""What a profile makes of given files, shown before anybody trusts it: ``casebridge profile preview``.

The result identifies patients. It goes to the terminal of whoever asked, or into files that only they may read.
"""

import io
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from PIL import Image, ImageDraw

from api.errors import NotRenderableError, PartNotFoundError
from api.render import Renderer
from api.rendering import Rendering
from bridge.instance_holds import hold_by_error, hold_by_release, hold_by_screen
from bridge.pictures import boxed
from bridge.preview_names import picture_suffix, preview_suffix
from deidentify.deidentifier import Deidentifier
from deidentify.errors import DeidentificationError
from deidentify.parser import read_instance
from deidentify.pixels.screen import PixelScreener
from deidentify.preview import Change, Preview, PreviewRow
from deidentify.pseudonyms import PseudonymScope
from deidentify.release import released
from deidentify.results import DeidentifiedInstance, Dropped, Hold, ScreenReport

MOST_KEPT = 24
"""Pictures of one instance that are kept beside its original: a cine may have a name in each of its frames."""
_GAP, _HEADING = 8, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePreview:
    """What becomes of one file; everything in it is identified."""

    outcome: str
    """``delivered``, ``held``, ``dropped`` or ``unreadable``."""
    reason: str
    detail: str
    rows: tuple[PreviewRow, ...] = field(repr=False, default=())
    markers: tuple[str, ...] = ()
    """Codes of CID 7050 that stand in what is written."""
    notes: tuple[str, ...] = ()
    screen: ScreenReport | None = None
    identified_pictures: tuple[bytes, ...] = field(repr=False, default=())
    """PNG, before and after side by side with what the screen found, one for each frame with a finding or the first."""
    pictures_left_out: int = 0
    """Frames with a finding beyond those that pictures were made of."""

    def counts(self) -> dict[str, int]:
        """Return how many elements were changed in which way."""
        return dict(Counter(str(row.change) for row in self.rows))

    def values(self) -> dict[str, Any]:
        """Return what JSON can hold; it identifies."""
        screen = None
        if self.screen is not None:
            findings = zip(self.screen.findings, self.screen.identified_texts, strict=True)
            screen = {
                "verdict": self.screen.verdict.value,
                "frames": self.screen.frames,
                "findings": [{**asdict(finding), "text": text} for finding, text in findings],
            }
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "detail": self.detail,
            "counts": self.counts(),
            "markers": list(self.markers),
            "notes": list(self.notes),
            "screen": screen,
            "pictures": len(self.identified_pictures),
            "pictures_left_out": self.pictures_left_out,
            "elements": [asdict(row) for row in self.rows],
        }


class Previewer:
    """Takes instances through every step in memory, under one profile and as one case.

    Parameters
    ----------
    engine
        Has the profile.
    screener
        Reads the pixels; None leaves them unread.
    most_pictures
        How many pictures of one instance are made at most; None for all.
    scope
        Two that are to be compared share one; without it, its secret is made and forgotten.
    """

    def __init__(
        self,
        engine: Deidentifier,
        *,
        screener: PixelScreener | None,
        most_pictures: int | None,
        scope: PseudonymScope | None = None,
    ) -> None:
        self._engine = engine
        self._scope = scope or forgotten_scope()
        self._screener = screener
        self._most_pictures = most_pictures
        self._renderer = Renderer() if most_pictures != 0 else None

    def of(self, read: Callable[[], bytes]) -> FilePreview:
        """Return what becomes of an instance that ``read`` gives; whatever goes wrong is its outcome."""
        try:
            return self._steps(read())
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a preview shows what the pipeline would make of it
            hold = hold_by_error(error)
            return FilePreview(outcome="held", reason=hold.reason.value, detail=hold.detail)

    def _steps(self, identified: bytes) -> FilePreview:
        source, target = io.BytesIO(identified), io.BytesIO()
        received = self._engine.read(source)
        left_out = self._engine.disposition(received) or self._engine.hold_for_face(received)
        if isinstance(left_out, Dropped | Hold):
            outcome = "dropped" if isinstance(left_out, Dropped) else "held"
            return FilePreview(outcome=outcome, reason=left_out.reason.value, detail=left_out.detail)
        plan = self._engine.plan(received, self._scope)
        screen = None
        if self._screener is not None:
            source.seek(0)
            screen = self._screener.screen(source, plan.identified_tokens, policy=self._engine.pixel_policy)
        hold = hold_by_screen(screen) if screen is not None else None
        # What the screen holds is shown as its header would be written: the reviewer wants to see both.
        if self._screener is not None and screen is not None and hold is None:
            try:
                instance = released(self._engine, self._screener, plan, screen, identified_file=source, target=target)
                screen = instance.screen
            except DeidentificationError as error:
                hold, screen = hold_by_release(error, screen), replace(screen, hold=error.reason)
            except Exception as error:  # noqa: BLE001
                hold = hold_by_error(error)
        if hold is not None or screen is None:
            target.seek(0)
            target.truncate()
            instance = self._engine.write(plan, None, source, target)
            try:
                self._engine.verify(plan, target)
            except Exception as error:  # noqa: BLE001
                hold = hold or hold_by_error(error)
        target.seek(0)
        decisions = self._engine.decisions_for(received)
        rows = Preview(decisions, plan.identified_tokens).rows(received, read_instance(target))
        frames = self._frames(screen, instance)
        shown = frames[: self._most_pictures]
        return FilePreview(
            outcome="delivered" if hold is None else "held",
            reason=hold.reason.value if hold else "",
            detail=hold.detail if hold else "",
            rows=tuple(rows),
            markers=instance.report.options,
            notes=instance.report.notes,
            screen=screen,
            identified_pictures=tuple(self._pictures(identified, target.getvalue(), screen, shown)),
            pictures_left_out=len(frames) - len(shown),
        )

    def _frames(self, screen: ScreenReport | None, instance: DeidentifiedInstance) -> list[int]:
        """Return the frames that pictures are for."""
        if self._renderer is None or not instance.description.has_pixels:
            return []
        return (sorted({finding.frame for finding in screen.findings}) if screen is not None else []) or [0]

    def _pictures(
        self, identified: bytes, written: bytes, screen: ScreenReport | None, frames: Sequence[int]
    ) -> Iterator[bytes]:
        if self._renderer is None:
            return
        for frame in frames:
            try:
                halves = [self._renderer.png(io.BytesIO(one), Rendering(frame=frame)) for one in (identified, written)]
            except (NotRenderableError, PartNotFoundError):
                continue
            yield _side_by_side(halves, screen, frame)


def forgotten_scope() -> PseudonymScope:
    """Return a scope that nobody can make again."""
    return PseudonymScope(key=secrets.token_bytes(32), case_key=secrets.token_hex(16))


def _side_by_side(halves: list[bytes], screen: ScreenReport | None, frame: int) -> bytes:
    """Draw a frame before and after, with a box around each piece of text that was found in it."""
    before, after = boxed(halves[0], screen, frame), boxed(halves[1], None, frame)
    sheet = Image.new("RGB", (before.width + after.width + _GAP, max(before.height, after.height) + _HEADING))
    words = ImageDraw.Draw(sheet)
    words.text((2, 2), f"before, frame {frame + 1}", fill=(255, 255, 255))
    is_held = screen is not None and screen.hold is not None
    words.text((before.width + _GAP + 2, 2), "after" + ": held, nothing is blanked" * is_held, fill=(255, 255, 255))
    sheet.paste(before, (0, _HEADING))
    sheet.paste(after, (before.width + _GAP, _HEADING))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def beside(found: FilePreview, revision: str) -> Iterator[tuple[str, bytes]]:
    """Yield what is kept of a preview beside its original: suffix and content, what says how many pictures last."""
    kept = found.identified_pictures[:MOST_KEPT]
    for number, picture in enumerate(kept, 1):
        yield picture_suffix(revision, number), picture
    left_out = found.pictures_left_out + len(found.identified_pictures) - len(kept)
    yield preview_suffix(revision), as_json([replace(found, identified_pictures=kept, pictures_left_out=left_out)])


def as_json(previews: list[FilePreview]) -> bytes:
    """Return previews as JSON, by the places of their files in the call, never by their names."""
    return json.dumps([one.values() for one in previews], indent=1, ensure_ascii=False).encode() + b"\n"


def changed(rows: tuple[PreviewRow, ...]) -> list[PreviewRow]:
    """Return the rows in which something changed."""
    return [row for row in rows if row.change is not Change.SAME]
