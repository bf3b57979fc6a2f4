"""The pixel screen: every frame of an instance is read, and anything but safe text holds the instance."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import BinaryIO

from deidentify.errors import DetectorUnavailableError, PixelDecodeError
from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.decode import Frame, FrameFormat, iter_frames, read_format
from deidentify.pixels.doubt import second_look
from deidentify.pixels.engine import EngineSource, OcrEngine, load_engine
from deidentify.pixels.reading import Region, overlap, read_view
from deidentify.pixels.source import PixelSource, locate
from deidentify.pixels.spread import doubt_spread_letters
from deidentify.pixels.views import views_of
from deidentify.results import HoldReason, PixelFinding, PixelVerdict, ScreenReport, TextClass

_BOX_MARGIN = 0.25
_SAME_TEXT_OVERLAP = 0.5
_LARGE_PIXELS = 1 << 20
_SMALL_PIXELS = 320 * 320
_SLICE_MODALITIES = frozenset({"CT", "MR", "PT", "NM", "SEG", "RTDOSE"})
_ULTRASOUND_MODALITIES = frozenset({"US", "IVUS"})
_SEVERITY = {TextClass.IDENTIFYING: 2, TextClass.UNREADABLE: 1, TextClass.SAFE: 0}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """What stays the same for all frames of one instance."""

    source: PixelSource
    form: FrameFormat
    engine: OcrEngine
    header: HeaderWords

    def regions(self, frame: Frame) -> list[Region]:
        """Read every view of one frame at every scale it needs; return each text once, in its worst class."""
        found: list[Region] = []
        for view in views_of(frame, self.source.attributes):
            seen: list[Region] = []
            for scale in self._scales():
                seen += read_view(self.engine, view, self.header, scale=scale)
            found += second_look(self.engine, view, self.header, _once(seen))
        return doubt_spread_letters(_once(found))

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
        self, identified_file: BinaryIO, identified: IdentifiedTokens, on_progress: Progress | None = None
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

        Returns
        -------
        ScreenReport
            CLEAR when every frame was read and held nothing but safe text; NO_PIXELS when the object has none by its
            definition; else SUSPECT or NOT_EVALUATED with a hold reason. Faults become reports, not exceptions.
        """
        frames = read = 0
        name = ""
        regions: list[tuple[int, Region]] = []
        form = None
        try:
            source = locate(identified_file)
            if source.element is None:
                return _without_pixels(source)
            form = read_format(source)
            frames = form.frames
            engine = self._engine_source()
            name = engine.name
            reader = _Reader(source=source, form=form, engine=engine, header=HeaderWords.of(identified))
            for index, found in _by_frame(reader):
                regions += [(index, region) for region in found]
                read = index + 1
                if on_progress is not None:
                    on_progress(read, frames)
        except (PixelDecodeError, DetectorUnavailableError) as fault:
            return _report(form=form, frames=frames, read=read, regions=regions, detector=name, fault=fault.reason)
        return _report(form=form, frames=frames, read=read, regions=regions, detector=name, fault=None)


def _by_frame(reader: _Reader) -> Iterable[tuple[int, list[Region]]]:
    """Yield the regions of each frame; a frame equal to an earlier one has the same regions and is not read again."""
    known: dict[bytes, list[Region]] = {}
    for frame in iter_frames(reader.source, reader.form):
        digest = hashlib.sha256(frame.words.tobytes()).digest()
        if digest not in known:
            known[digest] = reader.regions(frame)
        yield frame.index, known[digest]


def _once(regions: list[Region]) -> list[Region]:
    """Drop what another region covers that is at least as bad: the same text seen in another view."""
    ordered = sorted(regions, key=lambda region: (_SEVERITY[region.text_class], region.score), reverse=True)
    kept: list[Region] = []
    for region in ordered:
        if not any(overlap(other, region) >= _SAME_TEXT_OVERLAP for other in kept):
            kept.append(region)
    return kept


def _without_pixels(source: PixelSource) -> ScreenReport:
    if source.is_image:
        return ScreenReport(verdict=PixelVerdict.NOT_EVALUATED, frames=0, frames_read=0, hold=HoldReason.PIXELS_MISSING)
    return ScreenReport(verdict=PixelVerdict.NO_PIXELS, frames=0, frames_read=0)


def _report(
    *,
    form: FrameFormat | None,
    frames: int,
    read: int,
    regions: list[tuple[int, Region]],
    detector: str,
    fault: HoldReason | None,
) -> ScreenReport:
    findings, texts = [], []
    for index, region in regions:
        assert form is not None
        left, top, right, bottom = region.box(form.columns, form.rows, margin=_BOX_MARGIN)
        findings.append(
            PixelFinding(
                frame=index,
                x=left,
                y=top,
                width=right - left,
                height=bottom - top,
                text_class=region.text_class,
                score=round(region.score, 3),
            )
        )
        texts.append(region.identified_text)
    report = ScreenReport(
        verdict=PixelVerdict.CLEAR,
        frames=frames,
        frames_read=read,
        findings=tuple(findings),
        detector=detector,
        identified_texts=tuple(texts),
    )
    if fault is not None or read != frames:
        return replace(report, verdict=PixelVerdict.NOT_EVALUATED, hold=fault or HoldReason.PIXELS_UNDECODABLE)
    classes = {finding.text_class for finding in findings}
    if TextClass.IDENTIFYING in classes:
        return replace(report, verdict=PixelVerdict.SUSPECT, hold=HoldReason.BURNED_IN_TEXT)
    if TextClass.UNREADABLE in classes:
        return replace(report, verdict=PixelVerdict.SUSPECT, hold=HoldReason.UNREADABLE_TEXT)
    return report
