"""What the pixel screen says of files: for programs as JSON, which has every frame, and counted for people."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.instance_holds import hold_by_screen
from bridge.offline_sources import Skip, described, find_sources
from bridge.screen_child import Screened
from deidentify.results import Hold, HoldReason, PixelFinding, PixelVerdict, RegionFate, ScreenReport, TextClass

__all__ = ["Count", "ScreenedFile", "counts_of", "entry_of", "find_files", "frames_read", "region_counts"]

KIND = "text"
"""What the screen looks for; other kinds of regions will have names of their own."""
_SENTENCES = {
    HoldReason.BURNED_IN_TEXT: "with text that may identify",
    HoldReason.UNREADABLE_TEXT: "with something like text that could not be read",
    HoldReason.PIXELS_MISSING: "images without pixel data",
    HoldReason.PIXELS_UNDECODABLE: "with frames that cannot be decoded",
    HoldReason.SCREEN_UNAVAILABLE: "the models of the screen cannot be loaded",
}
_NO_PIXELS = "of a kind without pixel data"
_REDACT = "with text that may identify, all of it in boxes that would be made black"


@dataclass(slots=True, kw_only=True)
class ScreenedFile:
    """One file that was given, or lies in a folder that was, and what the screen says of it."""

    identified_path: Path = field(repr=False)
    """As it was given, or below the folder that was."""
    outcome: Screened | Hold | Skip | None = None
    """None where the run ended before."""
    frames: int = 0
    """That the header announces."""

    @property
    def verdict(self) -> str:
        """Return the verdict of the pixels, or ``skipped`` or ``not-done``."""
        if isinstance(self.outcome, Screened):
            return self.outcome.report.verdict
        if isinstance(self.outcome, Hold):
            return PixelVerdict.NOT_EVALUATED
        return described(self.outcome)[0]

    @property
    def why(self) -> tuple[str, str]:
        """Return reason and sentence of a verdict that needs them, else two empty texts."""
        outcome = self.outcome
        if isinstance(outcome, Screened):
            hold = hold_by_screen(outcome.report)
            return (hold.reason, _unread_layers(outcome) or hold.detail) if hold is not None else ("", "")
        _, reason, sentence = described(outcome)
        return reason, sentence

    @property
    def is_read_image(self) -> bool:
        """Tell whether it has pixel data that were read to their end, whatever was found."""
        is_read = self.verdict in {PixelVerdict.CLEAR, PixelVerdict.REDACT, PixelVerdict.SUSPECT}
        return is_read and isinstance(self.outcome, Screened) and self.outcome.report.frames > 0

    @property
    def findings(self) -> tuple[PixelFinding, ...]:
        """Return what was found in it."""
        return self.outcome.report.findings if isinstance(self.outcome, Screened) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Files of one verdict, for one reason."""

    verdict: str
    reason: str
    sentence: str
    files: int


def find_files(identified_paths: Iterable[Path]) -> list[ScreenedFile]:
    """Return the files that were given and those of folders that were given, each once; links are not followed."""
    found: dict[str, ScreenedFile] = {}
    for given in identified_paths:
        is_folder = given.is_dir()
        for source in find_sources(given):
            path = given / source.identified_path if is_folder else given
            outcome = source.outcome if isinstance(source.outcome, Hold | Skip) else None
            found.setdefault(str(path), ScreenedFile(identified_path=path, outcome=outcome))
    return list(found.values())


def entry_of(file: ScreenedFile) -> dict[str, Any]:
    """Return what JSON has of one file; it identifies by its path, and by its text where that was asked for."""
    entry: dict[str, Any] = {"path": str(file.identified_path), "verdict": file.verdict}
    reason, sentence = file.why
    if reason:
        entry |= {"reason": reason, "detail": sentence}
    if isinstance(file.outcome, Screened):
        report, regions = file.outcome.report, _regions(file.outcome.report)
        entry |= {"frame_count": report.frames, "frames_read": report.frames_read}
        if file.outcome.redacted:
            entry |= {"redacted": file.outcome.redacted}
        entry |= {"frames": _frames(file.outcome, regions), "layers": _layers(file.outcome, regions)}
    return entry


def _unread_layers(screened: Screened) -> str:
    """Return which layers could not be read; empty where the pixel data could not be either."""
    report = screened.report
    unread = [layer.name for layer in screened.layers if not layer.is_read]
    is_by_layers = report.verdict is PixelVerdict.NOT_EVALUATED and report.frames_read == report.frames
    return f"not read: {', '.join(unread)}" if unread and is_by_layers else ""


Regions = dict[tuple[str, int], list[dict[str, Any]]]
"""(layer, frame) → what was found there."""


def _regions(report: ScreenReport) -> Regions:
    regions: Regions = defaultdict(list)
    for number, finding in enumerate(report.findings):
        text = {"text": report.identified_texts[number]} if report.identified_texts else {}
        regions[finding.layer, finding.frame].append(_region(finding) | text)
    return regions


def _layers(screened: Screened, regions: Regions) -> list[dict[str, Any]]:
    """Return what JSON has of each layer besides the pixel data; of its frames those alone where something is."""
    return [
        {
            "layer": layer.name,
            "verdict": _frame_verdict(
                layer.is_read, [one for (name, _), found in regions.items() if name == layer.name for one in found]
            ),
            "frame_count": layer.frames,
            "frames": [
                {"frame": frame, "regions": found} for (name, frame), found in regions.items() if name == layer.name
            ],
        }
        for layer in screened.layers
    ]


def _frames(screened: Screened, regions: Regions) -> list[dict[str, Any]]:
    report = screened.report
    pictures = dict(screened.pictures)
    return [
        {
            "frame": frame,
            "verdict": _frame_verdict(frame < report.frames_read, regions["", frame]),
            "regions": regions["", frame],
        }
        | ({"picture": pictures[frame]} if frame in pictures else {})
        | ({"picture": None} if frame in screened.not_drawn else {})
        for frame in range(report.frames)
    ]


def _region(finding: PixelFinding) -> dict[str, Any]:
    region: dict[str, Any] = {"kind": KIND, "text_class": finding.text_class.value, "fate": finding.fate.value}
    if finding.width:
        region |= {"x": finding.x, "y": finding.y, "width": finding.width, "height": finding.height}
        region["score"] = finding.score
    return region


def _frame_verdict(is_read: bool, regions: Sequence[dict[str, Any]]) -> str:
    fates = {region["fate"] for region in regions}
    if RegionFate.HELD in fates:
        return PixelVerdict.SUSPECT
    if RegionFate.REDACTED in fates:
        return PixelVerdict.REDACT
    return PixelVerdict.CLEAR if is_read else PixelVerdict.NOT_EVALUATED


# -- counts ------------------------------------------------------------------------------------------------------------


def counts_of(files: Iterable[ScreenedFile]) -> list[Count]:
    """Return how many files there are of each verdict and reason, the clear ones first, then what is most frequent."""
    counts = Counter((file.verdict, file.why[0], _sentence(file)) for file in files)
    ordered = sorted(counts.items(), key=lambda item: (item[0][0] != PixelVerdict.CLEAR, -item[1], item[0]))
    return [
        Count(verdict=verdict, reason=reason, sentence=sentence, files=number)
        for (verdict, reason, sentence), number in ordered
    ]


def _sentence(file: ScreenedFile) -> str:
    reason, sentence = file.why
    if file.verdict == PixelVerdict.NO_PIXELS:
        return _NO_PIXELS
    if file.verdict == PixelVerdict.REDACT:
        return _REDACT
    return next((words for known, words in _SENTENCES.items() if known == reason), sentence)


def region_counts(files: Iterable[ScreenedFile]) -> dict[str, dict[str, int]]:
    """Return for each class of text in how many regions, frames and files it was found."""
    found: dict[str, dict[str, int]] = {}
    for file in files:
        for text_class in TextClass:
            own = [finding for finding in file.findings if finding.text_class is text_class]
            counts = found.setdefault(text_class.value, {"regions": 0, "frames": 0, "files": 0})
            counts["regions"] += len(own)
            counts["frames"] += len({(finding.layer, finding.frame) for finding in own})
            counts["files"] += bool(own)
    return found


def frames_read(files: Iterable[ScreenedFile]) -> tuple[int, int]:
    """Return how many frames were read, of how many there are in files whose pixels were located."""
    reports = [file.outcome.report for file in files if isinstance(file.outcome, Screened)]
    return sum(report.frames_read for report in reports), sum(report.frames for report in reports)
