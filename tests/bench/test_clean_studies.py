"""Clean studies are the same for the same seed, no slice is like another, and what was read is counted once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from benchmarks.burned_in import backgrounds
from benchmarks.clean_studies import run, volumes
from benchmarks.clean_studies.run import Plan, read_studies
from benchmarks.clean_studies.tables import SliceOutcome, section, tally
from benchmarks.clean_studies.volumes import real_volumes, slice_file, study_of
from deidentify.results import PixelVerdict
from tests.corpus import ROOT, require_corpus


def forget() -> None:
    backgrounds.real_files.cache_clear()
    volumes._groups.cache_clear()
    volumes.real_volumes.cache_clear()
    volumes._real.cache_clear()
    volumes.study_of.cache_clear()


@pytest.fixture
def no_corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("CASEBRIDGE_CORPUS", str(tmp_path / "absent"))
    forget()
    yield
    forget()


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    require_corpus()
    monkeypatch.setenv("CASEBRIDGE_CORPUS", str(ROOT))
    forget()
    yield
    forget()


def outcome(study: int, place: int, verdict: PixelVerdict = PixelVerdict.CLEAR, origin: str = "CT, real"):
    return SliceOutcome(
        study=study, place=place, volume="one", origin=origin, verdict=verdict.value, boxes=0, cpu_s=0.5
    )


def test_the_same_seed_gives_the_same_slice_and_every_slice_is_another(no_corpus):
    first = slice_file(study_of(3, 1), 4, 20).getvalue()
    forget()
    assert slice_file(study_of(3, 1), 4, 20).getvalue() == first
    slices = [dcmread(slice_file(study_of(3, 1), place, 20)) for place in range(20)]
    assert len({one.PixelData for one in slices}) == 20
    assert len({one.SOPInstanceUID for one in slices}) == 20
    assert len({(one.StudyInstanceUID, one.PatientName, one.pixel_array.shape) for one in slices}) == 1
    assert dcmread(slice_file(study_of(4, 1), 4, 20)).PixelData != slices[4].PixelData


def test_neighbours_are_alike_and_the_ends_of_a_study_are_not(no_corpus):
    near, next_to_it, far = (
        dcmread(slice_file(study_of(3, 1), place, 300)).pixel_array.astype(float) for place in (0, 1, 299)
    )
    assert np.corrcoef(near.ravel(), next_to_it.ravel())[0, 1] > 0.97
    assert np.corrcoef(near.ravel(), far.ravel())[0, 1] < 0.97


def test_without_the_corpus_there_are_phantoms_of_both_modalities(no_corpus):
    made = [study_of(3, number).volume for number in range(4)]
    assert {(one.modality, one.origin) for one in made} == {("CT", "phantom"), ("MR", "phantom")}


def test_every_second_study_comes_from_another_real_volume(corpus):
    names = real_volumes()
    assert len(names) >= 10
    assert {name[:2] for name in names} == {"CT", "MR"}
    real = [study_of(3, number).volume for number in range(0, 8, 2)]
    assert [one.name for one in real] == list(names[:4])
    assert all(np.ptp(picture) > 0 for one in real for picture in one.pictures)
    assert study_of(3, 1).volume.origin == "phantom"


@pytest.mark.parametrize("is_spread", [True, False])
def test_a_plan_reads_every_slice_once(is_spread):
    plan = Plan(seed=1, studies=3, slices=300, is_spread=is_spread)
    chunks = list(plan.chunks())
    places = [(study, place) for study, chunk in chunks for place in range(chunk, plan.slices, plan.all_chunks)]
    assert sorted(places) == [(study, place) for study in range(3) for place in range(300)]
    assert [study for study, _ in chunks[:3]] == ([0, 1, 2] if is_spread else [0, 0, 0])
    assert len(list(Plan(seed=1, studies=3, most_chunks=2).chunks())) == 6


def test_a_study_with_one_hold_is_held_and_one_in_part_is_not_whole():
    outcomes = [outcome(0, place) for place in range(3)]
    outcomes += [outcome(1, 0), outcome(1, 1, PixelVerdict.SUSPECT), outcome(1, 2, PixelVerdict.NOT_EVALUATED)]
    outcomes += [outcome(2, 0, PixelVerdict.REDACT)]
    counted = tally(outcomes, 3)
    assert (counted.studies, counted.held, counted.blackened) == (3, 1, 1)
    assert (counted.whole, counted.whole_held, counted.whole_blackened) == (2, 1, 0)
    assert (counted.slices, counted.slices_held, counted.slices_blackened) == (7, 2, 1)
    told = section(outcomes, 1, 3)
    assert [row[1] for row in told.tables[0].rows] == ["1 of 2", "0 of 2", "1 of 3", "1 of 3", "2 of 7", "1 of 7"]
    assert told.tables[0].rows[0][-1] == "**missed**"


@pytest.mark.parametrize(("held", "verdict"), [(0, "reached"), (12, "**missed**"), (8, "too few to tell")])
def test_a_goal_is_reached_only_where_the_studies_can_show_it(held, verdict):
    verdicts = [PixelVerdict.SUSPECT] * held + [PixelVerdict.CLEAR] * (200 - held)
    outcomes = [outcome(number, 0, verdict) for number, verdict in enumerate(verdicts)]
    assert section(outcomes, 1, 1).tables[0].rows[0][-1] == verdict


def test_what_was_read_is_kept_and_another_screen_reads_it_again(no_corpus, tmp_path, monkeypatch):
    plan = Plan(seed=3, studies=1, slices=3)
    done: list[int] = []
    first = read_studies(plan, kept=tmp_path / "kept.jsonl", pictures=tmp_path / "pictures", on_done=done.append)
    assert [one.place for one in first] == [0, 1, 2]
    assert done == [0, 3]
    assert read_studies(plan, kept=tmp_path / "kept.jsonl", minutes=1e-9) == first
    monkeypatch.setattr(run, "screen_version", lambda: "another")
    assert read_studies(plan, kept=tmp_path / "kept.jsonl", minutes=1e-9) == []
