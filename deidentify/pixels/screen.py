"""The pixel screen: every frame of an instance is read; what is not harmless becomes black or holds the instance.

After the boxes were made black the same reader looks at the written frames once more: only what it then finds nothing
in is passed on.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from deidentify.errors import DetectorUnavailableError, PixelDecodeError
from deidentify.identity import IdentifiedTokens
from deidentify.pixel_policy import DEFAULT_POLICY, PixelPolicy
from deidentify.pixels.areas import Areas
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.decode import Frame, FrameFormat, iter_frames, read_format
from deidentify.pixels.detector import Image
from deidentify.pixels.doubt import second_look, without_pieces
from deidentify.pixels.engine import EngineSource, OcrEngine, load_engine
from deidentify.pixels.reading import Mask, Region, enlarged, once, read_at
from deidentify.pixels.repeats import read_changes
from deidentify.pixels.source import PixelSource, locate
from deidentify.pixels.spread import doubt_spread_letters
from deidentify.pixels.verdict import Judge, Judged, by_frame
from deidentify.pixels.views import views_of
from deidentify.results import HoldReason, PixelFinding, PixelVerdict, RegionFate, ScreenReport, TextClass
from deidentify.review import NO_REVIEW, PixelReview

_LARGE_PIXELS = 1 << 20
_SMALL_PIXELS = 320 * 320
_SLICE_MODALITIES = frozenset({"CT", "MR", "PT", "NM", "SEG", "RTDOSE"})
_GLANCED_AT = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("2", "2.1", "2.2", "4", "4.1", "4.4", "128", "128.1", "130")
)
"""Image storage of CT, MR and PET, plain, enhanced and legacy converted."""
_ULTRASOUND_MODALITIES = frozenset({"US", "IVUS"})

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """What stays the same for all frames of one instance."""

    source: PixelSource
    form: FrameFormat
    engine: OcrEngine
    header: HeaderWords
    may_glance: bool
    """Whether views of slices that the small screen sees nothing in are left at that."""

    def views(self, frame: Frame) -> list[Image]:
        """Return the views of one frame."""
        return views_of(frame, self.source.attributes)

    def read(self, view: Image, wanted: Mask | None = None) -> list[Region]:
        """Read one view, or a part of one, at every scale it needs; what stays in doubt is looked at again.

        What does not reach into what is ``wanted`` is known from the frame before.
        """
        if self.is_glanced_at and self.engine.glance is not None and not self.engine.glance.may_hold_text(view):
            return []
        seen: list[Region] = []
        for scale in self._scales():
            # By the size of the frame, not of a part of it: what is equal is read equally.
            whole = enlarged(scale, self.form.rows, self.form.columns)
            seen += read_at(self.engine, view, self.header, scale=whole)
        # What was written is read without a glance ahead, and has black boxes in it.
        return second_look(self.engine, view, self.header, once(seen), has_boxes=not self.may_glance, wanted=wanted)

    @property
    def is_glanced_at(self) -> bool:
        """Tell whether the small screen comes first: for slices, of which there are hundreds without a letter.

        On captures, single pictures and ultrasounds text is the rule, single letters among it, which it does not know;
        so it is on what says that something is burned in, in colour, or made from other images.
        """
        attributes = self.source.attributes
        stated = attributes.get("ImageType") or ()
        image_type = (stated,) if isinstance(stated, str) else tuple(stated)
        return (
            self.may_glance
            and self.source.sop_classes[0] in _GLANCED_AT
            and self.form.samples == 1
            and not self.form.is_palette
            and "SECONDARY" not in image_type
            and attributes.get("BurnedInAnnotation", "") != "YES"
        )

    def _scales(self) -> tuple[float, ...]:
        """Choose by measurement: the native scale loses small text, one larger scale finds as much as three."""
        pixels = self.form.rows * self.form.columns
        if pixels > _LARGE_PIXELS:
            return (1.0,)
        modality = str(self.source.attributes.get("Modality", ""))
        is_single = self.form.frames == 1 and modality not in _SLICE_MODALITIES
        if is_single or modality in _ULTRASOUND_MODALITIES:
            return (1.0, 2.0)
        return (2.0,) if pixels <= _SMALL_PIXELS else (1.5,)


class PixelScreener:
    """Reads the pixels of originals against their own header.

    Parameters
    ----------
    engine_source
        Gives the text engine when the first frame has to be read; the vendored models by default.
    """

    def __init__(self, *, engine_source: EngineSource = load_engine) -> None:
        self._engine_source = engine_source

    def screen(
        self,
        identified_file: BinaryIO,
        identified: IdentifiedTokens,
        on_progress: Progress | None = None,
        *,
        policy: PixelPolicy = DEFAULT_POLICY,
        review: PixelReview = NO_REVIEW,
    ) -> ScreenReport:
        """Read every frame of an original and report what its pixels hold.

        Parameters
        ----------
        identified_file
            The original, a complete Part 10 file; it is read from its start and left at no particular position.
        identified
            The tokens of its header, to recognise them in the picture.
        on_progress
            Called with (frames read, frames) after each frame.
        policy
            How the profile wants pixels to be treated.
        review
            What a person decided on the pixels of this instance.

        Returns
        -------
        ScreenReport
            CLEAR when every frame was read and held nothing but safe text; REDACT when every frame was read and what
            else they hold lies in the boxes of the report; NO_PIXELS when the object has none by its definition; else
            SUSPECT or NOT_EVALUATED with a hold reason. Faults become reports, not exceptions.
        """
        seen = _Seen()
        try:
            source = locate(identified_file)
            if source.element is None:
                return _without_pixels(source)
            reader = self._reader(source, identified, policy, seen, may_glance=True)
            areas = Areas.of(source.attributes, reader.form, policy)
            for index, found in _by_frame(reader, areas.look):
                seen.regions[index] = found
                seen.read = index + 1
                if on_progress is not None:
                    on_progress(seen.read, seen.frames)
        except (PixelDecodeError, DetectorUnavailableError) as fault:
            return seen.report(None, fault=fault.reason)
        judge = Judge(
            form=reader.form,
            header=reader.header,
            policy=policy,
            review=review,
            fixed=(*review.redact, *areas.of_device()),
            outside=areas.outside(),
        )
        return seen.report(judge.judged(seen.regions), fault=None)

    def still_there(
        self,
        written: BinaryIO,
        identified: IdentifiedTokens,
        report: ScreenReport,
        *,
        policy: PixelPolicy = DEFAULT_POLICY,
        review: PixelReview = NO_REVIEW,
        frames: Collection[int] | None = None,
    ) -> tuple[PixelFinding, ...]:
        """Read the frames of a written instance in which boxes were made black; return what should not be there.

        Parameters
        ----------
        written
            The instance as it was written, a complete Part 10 file.
        identified
            The tokens of the original header.
        report
            What the screen said of the original.
        policy, review
            Those that the screen was given.
        frames
            Those of them that have to be read, where the others were read before and are what they were.

        Raises
        ------
        PixelDecodeError
            A frame cannot be decoded any more.
        DetectorUnavailableError
            The models are not there.
        """
        seen = _Seen()
        reader = self._reader(locate(written), identified, policy, seen, may_glance=False)
        blackened = by_frame(report.boxes, seen.frames).keys()
        judge = Judge(form=reader.form, header=reader.header, policy=policy, review=replace(review, redact=()))
        seen.regions |= _by_frame(reader, only=blackened if frames is None else blackened & frozenset(frames))
        return tuple(one for one in judge.judged(seen.regions).findings if one.fate is not RegionFate.KEPT)

    def _reader(
        self,
        source: PixelSource,
        identified: IdentifiedTokens,
        policy: PixelPolicy,
        seen: "_Seen",
        *,
        may_glance: bool,
    ) -> _Reader:
        form = read_format(source)
        seen.frames = form.frames
        engine = self._engine_source()
        header = HeaderWords.of(identified, policy.words)
        reader = _Reader(source=source, form=form, engine=engine, header=header, may_glance=may_glance)
        is_behind = engine.glance is not None and reader.is_glanced_at
        seen.detector = f"{engine.name}, behind the small screen" if is_behind else engine.name
        return reader


@dataclass(slots=True)
class _Seen:
    """How far the reading of one instance got."""

    frames: int = 0
    read: int = 0
    detector: str = ""
    regions: dict[int, list[Region]] = field(default_factory=dict, repr=False)

    def report(self, judged: Judged | None, *, fault: HoldReason | None) -> ScreenReport:
        """Return the report, CLEAR or REDACT only where all was read and decided."""
        report = ScreenReport(
            verdict=PixelVerdict.NOT_EVALUATED, frames=self.frames, frames_read=self.read, detector=self.detector
        )
        if judged is None or self.read != self.frames:
            return replace(report, hold=fault or HoldReason.PIXELS_UNDECODABLE)
        report = replace(report, findings=judged.findings, identified_texts=judged.identified_texts)
        held = {one.text_class for one in judged.findings if one.fate is RegionFate.HELD}
        if held:
            is_legible = TextClass.IDENTIFYING in held
            reason = HoldReason.BURNED_IN_TEXT if is_legible else HoldReason.UNREADABLE_TEXT
            return replace(report, verdict=PixelVerdict.SUSPECT, hold=reason)
        if judged.boxes:
            return replace(report, verdict=PixelVerdict.REDACT, boxes=judged.boxes)
        return replace(report, verdict=PixelVerdict.CLEAR)


def _by_frame(
    reader: _Reader, look: Callable[[Frame], None] | None = None, *, only: Collection[int] | None = None
) -> Iterator[tuple[int, list[Region]]]:
    """Yield the regions of each frame, each text once, in its worst class.

    A frame equal to an earlier one has the same regions and is not read again; of others only what differs from the
    frame that was read before.
    """
    known: dict[bytes, list[Region]] = {}
    before: list[tuple[Image, list[Region]]] = []
    for frame in iter_frames(reader.source, reader.form):
        if only is not None and frame.index not in only:
            continue
        if look is not None:
            look(frame)
        digest = hashlib.sha256(frame.words.tobytes()).digest()
        if digest not in known:
            before = [(view, _read(reader, view, number, before)) for number, view in enumerate(reader.views(frame))]
            found = without_pieces([region for _, regions in before for region in regions], reader.header)
            known[digest] = doubt_spread_letters(once(found))
        yield frame.index, known[digest]


def _read(reader: _Reader, view: Image, number: int, before: Sequence[tuple[Image, list[Region]]]) -> list[Region]:
    if number < len(before) and before[number][0].shape == view.shape:
        return read_changes(*before[number], view, reader.read)
    return reader.read(view)


def _without_pixels(source: PixelSource) -> ScreenReport:
    if source.is_image:
        return ScreenReport(verdict=PixelVerdict.NOT_EVALUATED, frames=0, frames_read=0, hold=HoldReason.PIXELS_MISSING)
    return ScreenReport(verdict=PixelVerdict.NO_PIXELS, frames=0, frames_read=0)
