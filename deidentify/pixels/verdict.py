"""What becomes of the text that was found: it is kept, becomes black, or a person has to look.

Boxes that are black whatever is read (a person drew them, a device burns in there) come first; then what a reviewer
said; then the class of the text. Default deny: only harmless text stays without anybody's word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from deidentify.pixel_policy import OutsideRegions, PixelPolicy
from deidentify.pixels.boxes import Box, remainder
from deidentify.pixels.classify import HeaderWords, is_evident
from deidentify.pixels.decode import FrameFormat
from deidentify.pixels.reading import Region
from deidentify.results import PixelFinding, RegionFate, ScreenReport, TextClass
from deidentify.review import MarkedBox, PixelReview

_MARGIN = 0.25
"""Share of a line's height that its box is grown by on every side."""
_COVERED = 0.9
"""Share of a region that boxes have to cover to speak for it."""
_LARGEST_SHARE = 0.25
"""Share of the frame beyond which one box is not made black without a person."""
_LARGEST_SUM = 0.4
"""The same of all boxes of one frame."""
_SAME_PLACE = 0.5
_STANDING_SHARE = 0.5
"""Text that stands at one place in so many of the frames stands there in all, whether or not it was seen in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What decides on the regions of one instance."""

    form: FrameFormat
    header: HeaderWords
    policy: PixelPolicy
    review: PixelReview
    fixed: tuple[MarkedBox, ...] = ()
    """Boxes that become black whatever is read."""
    outside: tuple[Box, ...] = ()
    """What lies in no region of an ultrasound and has something in it: black in every frame, by policy but for harmless
    text."""

    def judged(self, regions: Mapping[int, Sequence[Region]]) -> "Judged":
        """Decide on the regions of all frames, by frame."""
        findings: list[PixelFinding] = []
        texts: list[str] = []
        for frame, found in sorted(regions.items()):
            judged = [(self._finding(frame, region), region.identified_text) for region in found]
            findings += self._bounded([finding for finding, _ in judged])
            texts += [text for _, text in judged]
        boxes = {*self.fixed, *self._outside(findings), *(_marked(one) for one in _blackened(findings))}
        return Judged(
            findings=tuple(findings),
            identified_texts=tuple(texts),
            boxes=_ordered(boxes | self._standing(findings)),
        )

    def _finding(self, frame: int, region: Region) -> PixelFinding:
        left, top, right, bottom = region.box(self.form.columns, self.form.rows, margin=_MARGIN)
        core = _box(region.box(self.form.columns, self.form.rows))
        return PixelFinding(
            frame=frame,
            x=left,
            y=top,
            width=right - left,
            height=bottom - top,
            text_class=region.text_class,
            score=round(region.score, 3),
            fate=self._fate(frame, region, core),
        )

    def _outside(self, findings: Sequence[PixelFinding]) -> set[MarkedBox]:
        """Return what becomes black outside the regions, by frame where harmless text stays in some."""
        kept: dict[int, list[Box]] = {}
        for one in findings:
            if one.fate is RegionFate.KEPT:
                kept.setdefault(one.frame, []).append(_box_of(one))
        if not kept:
            return {_everywhere(box) for box in self.outside}
        return {
            replace(_everywhere(part), frame=frame)
            for frame in range(self.form.frames)
            for box in self.outside
            for part in remainder(box, kept.get(frame, ()))
        }

    def _fate(self, frame: int, region: Region, core: Box) -> RegionFate:
        if is_covered(core, in_frame(self.fixed, frame)):
            return RegionFate.REDACTED
        is_outside = is_covered(core, self.outside)
        keeps_safe = self.policy.outside_regions is OutsideRegions.BLANK_BUT_SAFE_TEXT
        if is_outside and not (keeps_safe and region.text_class is TextClass.SAFE):
            return RegionFate.REDACTED
        if region.text_class is TextClass.SAFE or is_covered(core, in_frame(self.review.safe, frame)):
            return RegionFate.KEPT
        if is_covered(core, in_frame(self.review.safe_elsewhere, frame)) and not is_evident(
            region.identified_text, self.header
        ):
            return RegionFate.KEPT
        is_legible = region.text_class is TextClass.IDENTIFYING
        return RegionFate.REDACTED if is_legible and self.policy.redacts else RegionFate.HELD

    def _bounded(self, findings: list[PixelFinding]) -> list[PixelFinding]:
        """Hold what would take too much of the picture away; boxes that a person drew are not counted."""
        frame_pixels = self.form.rows * self.form.columns
        own = [
            one
            for one in findings
            if one.fate is RegionFate.REDACTED
            and not is_covered(_box_of(one), [*in_frame(self.fixed, one.frame), *self.outside])
        ]
        is_too_much = sum(one.width * one.height for one in own) > _LARGEST_SUM * frame_pixels
        large = {one for one in own if is_too_much or one.width * one.height > _LARGEST_SHARE * frame_pixels}
        return [replace(one, fate=RegionFate.HELD) if one in large else one for one in findings]

    def _standing(self, findings: Sequence[PixelFinding]) -> set[MarkedBox]:
        """Return, for every frame, the boxes of text that stands at one place in most of the frames."""
        if self.form.frames < 2:  # noqa: PLR2004 - a single picture
            return set()
        groups: list[tuple[PixelFinding, set[int], list[PixelFinding]]] = []
        for one in _blackened(findings):
            for first, frames, members in groups:
                if _share_covered(_box_of(one), [_box_of(first)]) >= _SAME_PLACE:
                    frames.add(one.frame)
                    members.append(one)
                    break
            else:
                groups.append((one, {one.frame}, [one]))
        return {
            replace(_marked(member), frame=None)
            for _, frames, members in groups
            if len(frames) >= max(2, _STANDING_SHARE * self.form.frames)
            for member in members
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was decided on the regions of one instance."""

    findings: tuple[PixelFinding, ...]
    identified_texts: tuple[str, ...] = field(repr=False)
    """What was read in each of them."""
    boxes: tuple[MarkedBox, ...]
    """What becomes black."""


def with_more(screen: ScreenReport, remains: Sequence[PixelFinding]) -> ScreenReport:
    """Return a report in which what was still read becomes black too; nobody knows its text."""
    return replace(
        screen,
        boxes=_ordered({*screen.boxes, *map(_marked, remains)}),
        findings=(*screen.findings, *remains),
        identified_texts=(*screen.identified_texts, *[""] * len(remains)),
    )


def in_frame(boxes: Sequence[MarkedBox], frame: int) -> list[Box]:
    """Return the boxes of one frame."""
    return [
        Box(x=one.x, y=one.y, width=one.width, height=one.height)
        for one in boxes
        if one.frame is None or one.frame == frame
    ]


def by_frame(boxes: Sequence[MarkedBox], frames: int) -> dict[int, list[Box]]:
    """Return boxes by frame, for the frames that have any; those of frames that there are not are left out."""
    listed = {frame: in_frame(boxes, frame) for frame in _frames_of(boxes, frames)}
    return {frame: found for frame, found in listed.items() if found}


def _frames_of(boxes: Sequence[MarkedBox], frames: int) -> list[int]:
    if any(one.frame is None for one in boxes):
        return list(range(frames))
    return sorted({one.frame for one in boxes if one.frame is not None and 0 <= one.frame < frames})


def is_covered(box: Box, others: Sequence[Box]) -> bool:
    """Tell whether boxes together cover enough of another one to speak for it."""
    return _share_covered(box, others) >= _COVERED


def _share_covered(box: Box, others: Sequence[Box]) -> float:
    if not others:
        return 0.0
    covered = np.zeros((box.height, box.width), dtype=bool)
    for other in others:
        left, top = max(0, other.x - box.x), max(0, other.y - box.y)
        right, bottom = other.x + other.width - box.x, other.y + other.height - box.y
        if right > left and bottom > top:
            covered[top:bottom, left:right] = True
    return float(covered.mean())


def _ordered(boxes: set[MarkedBox]) -> tuple[MarkedBox, ...]:
    """Order boxes, and leave out those that stand for every frame already."""
    kept = [one for one in boxes if one.frame is None or replace(one, frame=None) not in boxes]
    return tuple(
        sorted(kept, key=lambda one: (-1 if one.frame is None else one.frame, one.y, one.x, one.height, one.width))
    )


def _blackened(findings: Sequence[PixelFinding]) -> list[PixelFinding]:
    return [one for one in findings if one.fate is RegionFate.REDACTED]


def _everywhere(box: Box) -> MarkedBox:
    return MarkedBox(x=box.x, y=box.y, width=box.width, height=box.height)


def _marked(finding: PixelFinding) -> MarkedBox:
    return MarkedBox(frame=finding.frame, x=finding.x, y=finding.y, width=finding.width, height=finding.height)


def _box_of(finding: PixelFinding) -> Box:
    return Box(x=finding.x, y=finding.y, width=finding.width, height=finding.height)


def _box(edges: tuple[int, int, int, int]) -> Box:
    left, top, right, bottom = edges
    return Box(x=left, y=top, width=right - left, height=bottom - top)
