"""What becomes of text that was found: by policy, by what a person decided, and by default a person has to look."""

from dataclasses import replace

import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixel_policy import DEFAULT_POLICY, OutsideRegions, PixelPolicy
from deidentify.pixels.areas import Areas
from deidentify.pixels.boxes import Box, outside_of, remainder
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.decode import Frame, FrameFormat
from deidentify.pixels.detector import Candidate
from deidentify.pixels.reading import Region
from deidentify.pixels.verdict import Judge, by_frame
from deidentify.results import RegionFate, TextClass
from deidentify.review import MarkedBox, PixelReview

ROWS, COLUMNS = 400, 600
NAME = (20, 10, 160, 26)


def region(place, text="OKONKWO", text_class=TextClass.IDENTIFYING):
    left, top, right, bottom = place
    outline = Candidate(
        x=(left + right) / 2, y=(top + bottom) / 2, width=right - left, height=bottom - top, angle=0, score=0.9
    )
    return Region(outline=outline, text_class=text_class, score=0.9, identified_text=text)


def judge(frames=1, policy=DEFAULT_POLICY, **more):
    form = FrameFormat(
        frames=frames, rows=ROWS, columns=COLUMNS, samples=1, bits_allocated=8, bits_stored=8, shift=0,
        is_palette=False, options={},
    )  # fmt: skip
    header = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"okonkwo"})))
    return Judge(form=form, header=header, policy=policy, **{"review": PixelReview(), **more})


def marked(place, frame=None):
    left, top, right, bottom = place
    return MarkedBox(frame=frame, x=left, y=top, width=right - left, height=bottom - top)


def fates(judged):
    return [finding.fate for finding in judged.findings]


def test_legible_identifying_text_becomes_black_with_a_margin():
    judged = judge().judged({0: [region(NAME)]})
    assert fates(judged) == [RegionFate.REDACTED]
    [box] = judged.boxes
    assert (box.frame, box.x, box.y) == (0, 16, 6)
    assert (box.x + box.width, box.y + box.height) == (164, 30)


def test_a_profile_may_ask_for_a_person_instead():
    judged = judge(policy=PixelPolicy(redacts=False)).judged({0: [region(NAME)]})
    assert fates(judged) == [RegionFate.HELD]
    assert judged.boxes == ()


@pytest.mark.parametrize(("text_class", "fate"), [("unreadable", "held"), ("safe", "kept")])
def test_what_cannot_be_read_waits_and_what_is_harmless_stays(text_class, fate):
    judged = judge().judged({0: [region(NAME, "L", TextClass(text_class))]})
    assert [one.value for one in fates(judged)] == [fate]
    assert judged.boxes == ()


def test_a_box_that_takes_much_of_the_picture_waits():
    assert fates(judge().judged({0: [region((10, 10, 590, 190))]})) == [RegionFate.HELD]


def test_many_boxes_that_together_take_much_of_the_picture_wait():
    lines = [region((10, top, 590, top + 24)) for top in range(10, 380, 40)]
    assert set(fates(judge().judged({0: lines}))) == {RegionFate.HELD}


def test_text_in_most_of_the_frames_is_black_in_all():
    judged = judge(frames=4).judged({frame: [region(NAME)] for frame in (0, 1, 3)})
    assert {box.frame for box in judged.boxes} == {None}
    once = judge(frames=4).judged({2: [region(NAME)]})
    assert {box.frame for box in once.boxes} == {2}


def test_a_person_s_boxes_count_whatever_is_read():
    review = PixelReview(redact=(marked((0, 0, 200, 40)),))
    judged = judge(review=review, fixed=review.redact).judged({0: [region(NAME, "", TextClass.UNREADABLE)]})
    assert fates(judged) == [RegionFate.REDACTED]
    assert review.redact[0] in judged.boxes
    # A box that covers a part of it alone does not speak for it.
    half = PixelReview(redact=(marked((0, 0, 90, 40)),))
    judged = judge(review=half, fixed=half.redact).judged({0: [region(NAME, "", TextClass.UNREADABLE)]})
    assert fates(judged) == [RegionFate.HELD]


def test_what_a_reviewer_saw_stays_even_a_name():
    review = PixelReview(safe=(marked((0, 0, 200, 40), frame=0),))
    found = {0: [region(NAME)], 1: [region(NAME)]}
    assert fates(judge(frames=2, review=review).judged(found)) == [RegionFate.KEPT, RegionFate.REDACTED]


def test_what_a_reviewer_saw_in_another_image_is_no_word_for_a_name_or_a_date():
    review = PixelReview(safe_elsewhere=(marked((0, 0, 200, 40)),))
    kept = judge(review=review).judged({0: [region(NAME, "VOLUSON")]})
    assert fates(kept) == [RegionFate.KEPT]
    for text in ("OKONKWO", "12/03/1961", "4711823"):
        assert fates(judge(review=review).judged({0: [region(NAME, text)]})) == [RegionFate.REDACTED]


@pytest.mark.parametrize("policy", list(OutsideRegions))
def test_outside_the_regions_all_but_harmless_text_becomes_black(policy):
    outside = (Box(x=0, y=0, width=COLUMNS, height=60),) if policy is not OutsideRegions.READ else ()
    found = {0: [region(NAME, "", TextClass.UNREADABLE), region((300, 10, 340, 24), "MI", TextClass.SAFE)]}
    judged = judge(policy=PixelPolicy(outside_regions=policy), outside=outside).judged(found)
    black = np.zeros((ROWS, COLUMNS), dtype=bool)
    for box in by_frame(judged.boxes, 1).get(0, []):
        black[box.y : box.y + box.height, box.x : box.x + box.width] = True
    kept = (slice(10, 24), slice(300, 340))
    if policy is OutsideRegions.READ:
        assert fates(judged) == [RegionFate.HELD, RegionFate.KEPT]
        assert not black.any()
    elif policy is OutsideRegions.BLANK:
        assert fates(judged) == [RegionFate.REDACTED] * 2
        assert black[:60].all()
    else:
        assert fates(judged) == [RegionFate.REDACTED, RegionFate.KEPT]
        assert not black[kept].any()
        assert black[:60].mean() > 0.95
    assert not black[60:].any()


def test_boxes_of_frames_that_there_are_not_are_left_out():
    boxes = (marked(NAME), marked(NAME, frame=1), marked(NAME, frame=7))
    assert {frame: len(found) for frame, found in by_frame(boxes, 3).items()} == {0: 1, 1: 2, 2: 1}
    assert by_frame(boxes[1:], 3).keys() == {1}


def test_what_is_left_of_a_box_and_its_holes_are_all_of_it():
    random = np.random.default_rng(5)
    for _ in range(50):
        box = Box(x=7, y=9, width=40, height=30)
        holes = [
            Box(x=int(x), y=int(y), width=int(w), height=int(h))
            for x, y, w, h in random.integers((0, 0, 1, 1), (50, 40, 20, 15), (4, 4))
        ]
        count = np.zeros((60, 70), dtype=int)
        for part in remainder(box, holes):
            count[part.y : part.y + part.height, part.x : part.x + part.width] += 1
        wanted = np.zeros_like(count)
        wanted[9:39, 7:47] = 1
        for hole in holes:
            wanted[hole.y : hole.y + hole.height, hole.x : hole.x + hole.width] = 0
        assert np.array_equal(count, wanted)
    assert list(outside_of([], rows=3, columns=4)) == [Box(x=0, y=0, width=4, height=3)]


def test_areas_without_anything_in_them_are_left_alone():
    band, column = Box(x=0, y=0, width=COLUMNS, height=40), Box(x=570, y=40, width=30, height=340)
    areas = Areas(outside=(band, column), of_device=(replace(band, y=380, height=20),))
    words = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
    areas.look(Frame(index=0, words=words, bits_stored=8, shift=0, is_palette=False))
    assert areas.outside() == ()
    assert areas.of_device() == ()
    words = words.copy()
    words[5, 5] = words[390, 3] = 200
    areas.look(Frame(index=1, words=words, bits_stored=8, shift=0, is_palette=False))
    assert areas.outside() == (band,)
    assert [box.y for box in areas.of_device()] == [380]
