"""What stands in a file besides its pixel data: each layer read as a picture of its own, texts line by line."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from deidentify.errors import DetectorUnavailableError, PixelDecodeError
from deidentify.identity import IdentifiedTokens
from deidentify.parser import read_instance
from deidentify.pixels.classify import HeaderWords, classify
from deidentify.pixels.detector import Image
from deidentify.pixels.doubt import second_look
from deidentify.pixels.engine import EngineSource, OcrEngine, load_engine
from deidentify.pixels.layers import iter_layers, iter_texts
from deidentify.pixels.reading import Region, once, read_view
from deidentify.results import HoldReason, PixelFinding, RegionFate, TextClass

_LARGE_PIXELS = 1 << 20
_BOX_MARGIN = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCount:
    """How much there is of one layer. Layers of one name are counted as one, their frames one behind the other."""

    name: str
    frames: int
    """Of texts: their lines."""
    is_read: bool = True
    """Whether all of it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """What stands in the layers of a file."""

    layers: tuple[LayerCount, ...] = ()
    findings: tuple[PixelFinding, ...] = ()
    """With the name of their layer and the number of its frame. A line of text has no box: its numbers are all 0."""
    identified_texts: tuple[str, ...] = field(default=(), repr=False)
    """What each finding says, in the same order."""
    detector: str = ""
    """Empty where there was no picture to read."""
    fault: HoldReason | None = None
    """Why not all was read."""


def screen_layers(
    identified_file: BinaryIO, identified: IdentifiedTokens, engine_source: EngineSource = load_engine
) -> LayerReport:
    """Read every layer of an original.

    Parameters
    ----------
    identified_file
        The original; it is read from its start and left at no particular position.
    identified
        The tokens of its header, to recognise them.
    engine_source
        Gives the text engine when the first picture has to be read.

    Returns
    -------
    LayerReport
        One layer that cannot be read takes none of the others away.

    Raises
    ------
    UnreadableInstanceError
        When the data set cannot be parsed to its end.
    """
    reading = _Reading(header=HeaderWords.of(identified), engine_source=engine_source)
    for layer in iter_layers(identified_file):
        reading.pictures(layer.name, layer.frames)
    for text in iter_texts(read_instance(identified_file)):
        reading.line(text.name, text.identified_text)
    return reading.report()


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What was read so far."""

    header: HeaderWords
    engine_source: EngineSource
    detector: str = ""
    fault: HoldReason | None = None
    frames: dict[str, int] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    findings: list[PixelFinding] = field(default_factory=list)
    identified_texts: list[str] = field(default_factory=list, repr=False)

    def pictures(self, name: str, frames: Iterator[list[Image]]) -> None:
        """Read the frames of one layer as far as they can be."""
        self.frames.setdefault(name, 0)
        try:
            for views in frames:
                number = self.frames[name]
                self.frames[name] += 1
                for view in views:
                    self._picture(name, number, view)
        except (PixelDecodeError, DetectorUnavailableError) as fault:
            self.fault = fault.reason
            self.unread.add(name)

    def _picture(self, name: str, number: int, view: Image) -> None:
        engine = self.engine_source()
        self.detector = engine.name
        rows, columns = view.shape[:2]
        for region in _regions(engine, view, self.header):
            left, top, right, bottom = region.box(columns, rows, margin=_BOX_MARGIN)
            finding = PixelFinding(
                frame=number,
                x=left,
                y=top,
                width=right - left,
                height=bottom - top,
                text_class=region.text_class,
                score=round(region.score, 3),
                layer=name,
                fate=_fate(region.text_class),
            )
            self._found(finding, region.identified_text)

    def line(self, name: str, identified_text: str) -> None:
        """Class one line of text."""
        number = self.frames.get(name, 0)
        self.frames[name] = number + 1
        text_class = classify(identified_text, self.header)
        finding = PixelFinding(
            frame=number,
            x=0,
            y=0,
            width=0,
            height=0,
            text_class=text_class,
            score=1.0,
            layer=name,
            fate=_fate(text_class),
        )
        self._found(finding, identified_text)

    def _found(self, finding: PixelFinding, identified_text: str) -> None:
        self.findings.append(finding)
        self.identified_texts.append(identified_text)

    def report(self) -> LayerReport:
        """Return what was read."""
        return LayerReport(
            layers=tuple(
                LayerCount(name=name, frames=frames, is_read=name not in self.unread)
                for name, frames in self.frames.items()
            ),
            findings=tuple(self.findings),
            identified_texts=tuple(self.identified_texts),
            detector=self.detector,
            fault=self.fault,
        )


def _fate(text_class: TextClass) -> RegionFate:
    """Return what becomes of text in a layer: nothing there is made black."""
    return RegionFate.KEPT if text_class is TextClass.SAFE else RegionFate.HELD


def _regions(engine: OcrEngine, view: Image, header: HeaderWords) -> list[Region]:
    """Read one view, small ones enlarged as well; return each text once, in its worst class."""
    scales = (1.0, 2.0) if view.shape[0] * view.shape[1] <= _LARGE_PIXELS else (1.0,)
    seen = [region for scale in scales for region in read_view(engine, view, header, scale=scale)]
    return once(second_look(engine, view, header, once(seen)))
