"""The data and the score of the small screen; training needs torch and is not run here."""

import json

import numpy as np
import pytest

from benchmarks.burned_in.generate import Kind, made
from benchmarks.detector_runtimes import same_boxes
from benchmarks.small_screen.prepare import _masks, frames_of
from benchmarks.small_screen.score import scores_of
from benchmarks.small_screen.split import is_held_out, write_corpus
from deidentify.pixels.detector import Candidate
from deidentify.pixels.small_screen import load_small_screen


@pytest.fixture
def corpus(tmp_path):
    files = ["one/a.dcm", "suyashkumar+dicom/b.dcm", "one/CT_small.dcm"]
    for file in files:
        (tmp_path / "whole" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "whole" / file).write_bytes(file.encode())
    (tmp_path / "whole" / "manifest.json").write_text(json.dumps({"files": [{"file": file} for file in files]}))
    return tmp_path


def test_each_file_of_the_corpus_lies_on_one_side(corpus):
    sides = {}
    for held_out in (True, False):
        target = corpus / str(held_out)
        target.mkdir()
        assert write_corpus(corpus / "whole", target, held_out=held_out) == (2 if held_out else 1)
        sides[held_out] = {row["file"] for row in json.loads((target / "manifest.json").read_text())["files"]}
        assert all((target / file).read_bytes() == file.encode() for file in sides[held_out])
        assert all(is_held_out(file) == held_out for file in sides[held_out])
    assert not sides[True] & sides[False]


def test_masks_are_ink_of_whole_lines():
    masks = _masks(np.random.default_rng(1), (), 12)
    assert len(masks) == 12
    assert all(mask.dtype == np.uint8 and mask.max() > 128 and mask.shape[1] > mask.shape[0] for mask in masks)


def test_a_file_that_is_no_image_gives_no_frames(tmp_path):
    (tmp_path / "odd.dcm").write_bytes(b"\0" * 200)
    assert list(frames_of([tmp_path / "odd.dcm"])) == []


def test_the_frame_with_text_is_scored_and_clean_frames_are():
    kinds = {Kind.IDENTITY: None, Kind.NOTHING: None}
    for number in range(40):
        image = made(5, number)
        if image.kind in kinds and kinds[image.kind] is None:
            kinds[image.kind] = [one.score for one in scores_of(load_small_screen(), image)]
        if all(kinds.values()):
            break
    assert max(kinds[Kind.IDENTITY]) > 3 > min(kinds[Kind.NOTHING])


def box(x, angle=0.0, *, width=40.0, height=10.0):
    return Candidate(x=x, y=20, width=width, height=height, angle=angle, score=1)


def test_boxes_are_the_same_whichever_side_they_are_counted_from():
    assert same_boxes([box(30), box(90)], [box(90), box(30, 90, width=10, height=40)])
    assert not same_boxes([box(30)], [box(34)])
    assert not same_boxes([box(30)], [])
