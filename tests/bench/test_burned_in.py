"""Generated text lies where its key says, the same for the same seed, and the score takes no miss for a find."""

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from benchmarks.burned_in import backgrounds, score
from benchmarks.burned_in.fonts import families, letters, writers
from benchmarks.burned_in.generate import Form, Image, Kind, made, part10
from benchmarks.burned_in.run import screen_all
from benchmarks.burned_in.score import _ink_covered, is_found, judged, screened
from benchmarks.burned_in.styles import Contrasts, Look, Place, Planted, Style, Turn, draw_lines, draw_style, ink_of
from benchmarks.burned_in.tables import goals, interval, section
from benchmarks.burned_in.texts import Line
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.source import locate
from deidentify.results import HoldReason, PixelFinding, PixelVerdict, ScreenReport, TextClass

LINE = Line(text="OKONKWO ADAEZE", what="name", script="Latin")
STYLE = Style(
    font=families()[1],
    height=14,
    contrast=0.5,
    look=Look.BARE,
    turn=Turn.LEVEL,
    place=Place.ANYWHERE,
    is_bright=True,
)
CLEAR = ScreenReport(verdict=PixelVerdict.CLEAR, frames=1, frames_read=1)


@pytest.fixture(autouse=True)
def no_corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("CASEBRIDGE_CORPUS", str(tmp_path / "absent"))
    backgrounds.real_files.cache_clear()
    yield
    backgrounds.real_files.cache_clear()


@pytest.fixture(scope="module")
def images() -> list[Image]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CASEBRIDGE_CORPUS", "/absent")
        backgrounds.real_files.cache_clear()
        return [made(3, number) for number in range(24)]


def planted(style: Style = STYLE, picture: np.ndarray | None = None) -> Planted:
    ground = np.full((256, 256), 1000, dtype=np.uint16) if picture is None else picture
    ground[0, 0], ground[0, 1] = 0, 4000
    (one,) = draw_lines(ground, [LINE], style, np.random.default_rng(4))
    return one


def finding(box, *, text_class=TextClass.IDENTIFYING, frame=0) -> PixelFinding:
    left, top, right, bottom = box
    return PixelFinding(
        frame=frame, x=left, y=top, width=right - left, height=bottom - top, text_class=text_class, score=0.9
    )


def holding(*found: PixelFinding) -> ScreenReport:
    return ScreenReport(
        verdict=PixelVerdict.SUSPECT, frames=1, frames_read=1, findings=found, hold=HoldReason.BURNED_IN_TEXT
    )


def test_the_same_seed_gives_the_same_images_and_another_does_not(images):
    for image in images[:6]:
        again, other = made(3, image.number), made(4, image.number)
        assert part10(again.data).getvalue() == part10(image.data).getvalue()
        assert again.planted == image.planted
        assert other.frames.shape != image.frames.shape or (other.frames != image.frames).any()


@pytest.mark.parametrize(
    ("contrasts", "under_a_fifth", "from_a_half"), [(Contrasts.USUAL, 0.022, 0.838), (Contrasts.EVEN, 1 / 9, 5 / 9)]
)
def test_lines_are_as_faint_as_those_of_the_goals_or_of_every_contrast_alike(contrasts, under_a_fifth, from_a_half):
    random = np.random.default_rng(5)
    drawn = np.array([draw_style(random, is_colour=False, contrasts=contrasts).contrast for _ in range(5000)])
    assert 0.1 <= drawn.min() < 0.12
    assert 0.98 < drawn.max() <= 1
    assert (drawn < 0.2).mean() == pytest.approx(under_a_fifth, abs=0.01)
    assert (drawn >= 0.5).mean() == pytest.approx(from_a_half, abs=0.02)


def test_a_seed_gives_the_same_images_but_for_their_contrast():
    usual, even = made(3, 1, Contrasts.USUAL), made(3, 1, Contrasts.EVEN)
    assert usual.planted
    assert [one.line for one in usual.planted] == [one.line for one in even.planted]
    assert usual.planted[0].style.contrast > even.planted[0].style.contrast


def test_usual_lines_reach_what_is_drawn_for_them_and_harmless_ones_can_be_seen_whole(monkeypatch):
    monkeypatch.setenv("CASEBRIDGE_CORPUS", "/absent")
    backgrounds.real_files.cache_clear()
    some = [made(5, number, Contrasts.USUAL) for number in range(60)]
    for image in some:
        assert all(one.contrast >= 0.8 * one.style.contrast for one in image.planted)
    picture = np.full((256, 256), 1000, dtype=np.uint16)
    picture[0, 0], picture[0, 1] = 0, 4000
    picture[:, :128] = 3000  # as bright as the ink, so that half of a long line is lost
    style = replace(STYLE, height=20, contrast=0.5)
    for seed in range(8):
        halved = picture.copy()
        (one,) = draw_lines(halved, [LINE], style, np.random.default_rng(seed), is_whole=True)
        left, top, right, bottom = one.box
        seen = np.abs(halved[top:bottom, left:right].astype(int) - picture[top:bottom, left:right])
        assert (seen[ink_of(one, halved.shape)] >= 0.1 * 4000).mean() >= 0.97 or one.style.look is Look.BOXED


def test_there_is_something_of_everything(images):
    assert {image.kind for image in images} == set(Kind)
    assert {image.form for image in images} >= {Form.GREY, Form.COLOUR, Form.STACK, Form.INVERTED}
    assert {image.is_named for image in images} == {True, False}
    for image in images:
        assert bool(image.planted) is (image.kind is not Kind.NOTHING)
        assert all(one.contrast >= 0.1 for one in image.planted)
        assert all(one.frame < len(image.frames) for one in image.planted)


def test_a_generated_file_shows_our_decoder_what_was_drawn(images):
    for image in images:
        source = locate(part10(image.data))
        decoded = np.stack([frame.words for frame in iter_frames(source, read_format(source))])
        assert (decoded == image.frames).all()


def test_the_header_names_who_is_drawn_or_somebody_else(images):
    named = {True: 0, False: 0}
    for image in images:
        header = dcmread(io.BytesIO(part10(image.data).getvalue()), stop_before_pixels=True)
        values = " ".join(str(header[name].value) for name in ("PatientID", "AccessionNumber", "OtherPatientIDs"))
        for one in image.planted:
            if one.line.what in {"record number", "accession number"}:
                assert (one.line.text.split()[-1] in values) is image.is_named
                named[image.is_named] += 1
    assert all(named.values())


@pytest.mark.parametrize(("look", "turn"), list(product(Look, Turn)))
def test_the_box_is_where_the_text_is(look, turn):
    style = replace(STYLE, look=look, turn=turn)
    before = np.full((256, 256), 1000, dtype=np.uint16)
    before[0, 0], before[0, 1] = 0, 4000
    after = before.copy()
    one = planted(style, after)
    rows, columns = np.nonzero(before != after)
    left, top, right, bottom = one.box
    pad = 0 if look is not Look.BOXED else max(2, one.thickness // 5)
    assert top - pad == rows.min()
    assert rows.max() + 1 == bottom + pad
    assert left - pad == columns.min()
    assert columns.max() + 1 == right + pad
    assert one.thickness == pytest.approx(min(right - left, bottom - top), abs=1) or turn is Turn.SLANTED


@pytest.mark.parametrize("turn", list(Turn))
def test_the_ink_of_the_key_is_what_was_drawn_and_a_word_of_two_is_not_all_of_it(turn):
    before = np.full((256, 256), 1000, dtype=np.uint16)
    before[0, 0], before[0, 1] = 0, 4000
    after = before.copy()
    one = planted(replace(STYLE, turn=turn), after)
    left, top, right, bottom = one.box
    drawn = after[top:bottom, left:right].astype(int) - 1000 >= 0.5 * 0.5 * 4000 - 1
    assert (ink_of(one, after.shape) == drawn).mean() > 0.99
    half = (left, top, right, (top + bottom) // 2) if bottom - top > right - left else (left, top, left + 60, bottom)
    whole, part = (_ink_covered(one, [finding(box)], after.shape) for box in (one.box, half))
    assert whole == 1
    assert 0.2 < part < 0.8


@pytest.mark.parametrize("contrast", [0.1, 0.3, 0.7])
def test_the_contrast_of_the_key_is_that_of_the_picture(contrast):
    picture = np.full((256, 256), 1000, dtype=np.uint16)
    one = planted(replace(STYLE, contrast=contrast), picture)
    left, top, right, bottom = one.box
    drawn = int(picture[top:bottom, left:right].max()) - 1000
    assert drawn / 4000 == pytest.approx(contrast, abs=0.01)
    assert one.contrast == pytest.approx(contrast, abs=0.01)


def test_lines_do_not_lie_on_each_other():
    lines = [replace(LINE, text=f"{LINE.text} {number}") for number in range(4)]
    for seed, place in product(range(6), Place):
        picture = backgrounds.phantom(np.random.default_rng(seed)).pixels
        drawn = draw_lines(picture, lines, replace(STYLE, place=place), np.random.default_rng(seed))
        taken = np.zeros(picture.shape, dtype=int)
        for one in drawn:
            left, top, right, bottom = one.box
            taken[top:bottom, left:right] += 1
        assert len(drawn) > 1
        assert taken.max() == 1


def test_fonts_write_only_what_they_have():
    assert writers("OKONKWO") == families()
    assert "bitmap, 11 px" not in writers("Παπαχρήστου")
    for family in families():
        ink = letters("Wg", family, 20)
        assert ink.max() > 0.5
        assert ink.any(axis=0)[[0, -1]].all()


@pytest.mark.parametrize("turn", list(Turn))
def test_a_box_over_the_picture_is_no_find_and_one_over_the_text_is(turn):
    one = planted(replace(STYLE, turn=turn))
    left, top, right, bottom = one.box
    assert is_found(one, [finding(one.box)])
    assert is_found(one, [finding((left - 4, top - 4, right + 4, bottom + 4))])
    assert not is_found(one, [finding((0, 0, 256, 256))])
    assert not is_found(one, [finding((0, 0, 256, 200)), finding((0, 56, 256, 256))])
    assert not is_found(one, [])


def test_only_text_that_may_not_stay_in_the_right_frame_and_half_of_it_is_a_find():
    one = planted()
    left, top, right, bottom = one.box
    third, half = left + (right - left) // 3, left + (right - left + 1) // 2
    assert not is_found(one, [finding(one.box, text_class=TextClass.SAFE)])
    assert not is_found(one, [finding(one.box, frame=1)])
    assert is_found(one, [finding(one.box, text_class=TextClass.UNREADABLE)])
    assert not is_found(one, [finding((left, top, third, bottom))])
    assert not is_found(one, [finding((left, top, third, bottom)), finding((left + 1, top, third, bottom))])
    assert is_found(one, [finding((left, top, third, bottom)), finding((third, top, half + 1, bottom))])


def test_a_screen_that_sees_nothing_and_one_that_holds_everything_reach_no_goal_of_the_other(images):
    blind = {goal.what: goal for goal in goals([judged(image, CLEAR) for image in images])}
    everything = [judged(image, holding(finding((0, 0, 10_000, 10_000)))) for image in images]
    careless = {goal.what: goal for goal in goals(everything)}
    finds = [what for what, goal in blind.items() if goal.is_least]
    assert all(blind[what].of for what in blind)
    assert [blind[what].count for what in finds] == [0, 0, 0, 0]
    assert all(goal.is_reached is not goal.is_least for what, goal in blind.items())
    assert careless["images that name somebody: held"].is_reached
    assert careless["regions that name somebody: found"].count == 0
    assert not any(goal.is_reached for goal in careless.values() if not goal.is_least)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"), [(0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (5, 10, 0.2366, 0.7634), (0, 0, 0, 1)]
)
def test_the_interval_is_that_of_wilson(count, of, low, high):
    assert interval(count, of) == pytest.approx((low, high), abs=1e-4)


def test_what_was_missed_is_drawn_and_told(images, monkeypatch, tmp_path):
    class Blind:
        def screen(self, *_args: object) -> ScreenReport:
            return CLEAR

    monkeypatch.setattr(score, "_screener", Blind)
    number = next(image.number for image in images if image.kind is Kind.IDENTITY)
    outcome = screened(3, number, tmp_path)
    assert [file.name for file in tmp_path.glob("*.png")] == [f"missed-identity-{number:05d}.png"]
    told = section([outcome], seed=3, contrasts=Contrasts.USUAL, pictures=tmp_path)
    assert {row[-1] for row in told.tables[1].rows} == {"**passed**"}
    assert len(told.tables[1].rows) == len(outcome.regions)
    assert any("The corpus is not here" in note for note in told.notes)


def test_harmless_images_that_were_held_are_told_by_the_style_of_their_faintest_line(images, tmp_path):
    safe = [image for image in images if image.kind is Kind.SAFE]
    held, kept = safe[0], safe[1:]
    outcomes = [judged(held, holding(finding((0, 0, 10, 10)))), *(judged(image, CLEAR) for image in kept)]
    told = dict(
        row[:2] for row in section(outcomes, seed=3, contrasts=Contrasts.EVEN, pictures=tmp_path).tables[3].rows
    )
    of_contrast = [row.split(" of ") for style, row in told.items() if style.startswith("contrast:")]
    assert sum(int(count) for count, _ in of_contrast) == 1
    assert sum(int(of) for _, of in of_contrast) == len(safe)
    faintest = min(held.planted, key=lambda one: one.contrast)
    assert told[f"font: {faintest.style.font}"].startswith("1 of ")


def test_a_few_images_go_through_the_screen_in_a_process_of_their_own(tmp_path):
    done: list[int] = []
    outcomes = screen_all(
        seed=3, count=4, contrasts=Contrasts.USUAL, pictures=tmp_path / "misses", processes=1, on_done=done.append
    )
    assert [outcome.number for outcome in outcomes] == [0, 1, 2, 3]
    assert done == [1, 2, 3, 4]
    named = [region for outcome in outcomes for region in outcome.regions if outcome.kind is Kind.IDENTITY]
    assert any(region.is_found for region in named)
    assert screen_all(seed=3, count=4, contrasts=Contrasts.USUAL, pictures=tmp_path, processes=1, minutes=1e-9) == []
