"""What nobody planned for comes out clean and valid, or is dropped by the profile, or is held with the reason."""

import io
import shutil
import warnings

import pydicom
import pytest

from deidentify.dataset import Element
from deidentify.deidentifier import Deidentifier
from deidentify.errors import InvalidResultError
from deidentify.profile import Profile
from deidentify.results import Dropped, DropReason, Hold, HoldReason
from tests.builders import ct_instance, write_part10
from tests.deidentify import nasty
from tests.deidentify.support import deidentified
from tests.deidentify.test_corpus import error_classes
from tests.deidentify.test_options import COLUMNS

CLEAN = dict(nasty.clean_ones())
CLEANING = ", ".join(name.replace("_", "-") for name in COLUMNS if name.startswith("clean"))
MOST = f"name: most\nbase: basic\nprivate: safe\noptions: [{CLEANING}]\n"


def assert_is_whole(written: bytes) -> None:
    """Read every value with another library."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", category=UserWarning)
        data = pydicom.dcmread(io.BytesIO(written))
        for element in data.iterall():
            _ = element.value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLEAN)
def test_it_comes_out_clean_and_whole(name):
    part10, planter = CLEAN[name]()
    assert planter.planted
    way = deidentified(part10)
    assert planter.found(way.written) == []
    assert_is_whole(way.written)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLEAN)
def test_it_comes_out_clean_with_the_options_that_clean(name):
    part10, planter = CLEAN[name]()
    assert planter.found(deidentified(part10, profile_text=MOST).written) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "dropped", "held"),
    [
        (nasty.private_class, DropReason.PRIVATE_SOP_CLASS, HoldReason.PROFILE),
        (nasty.encapsulated_pdf, DropReason.ENCAPSULATED_DOCUMENT, HoldReason.PROFILE),
    ],
)
def test_it_is_dropped_or_waits_with_a_reason_that_names_nothing(make, dropped, held):
    part10, planter = make()
    for text, kind, reason in (("", Dropped, dropped), ("sop_classes: {drop: []}", Hold, held)):
        engine = Deidentifier(Profile.from_yaml(f"name: one\nbase: basic\n{text}"))
        outcome = engine.disposition(engine.read(io.BytesIO(part10)))
        assert isinstance(outcome, kind)
        assert outcome.reason is reason
        assert planter.found(outcome.detail.encode()) == []


@pytest.mark.parametrize("vr", ["LO", "UN", "OB", "UT", "DS"])
def test_a_required_sequence_that_is_none_is_held_with_the_reason(vr):
    part10 = nasty.spliced(write_part10(ct_instance()), Element(0x00189362, vr, b"Zqxword "))
    with pytest.raises(InvalidResultError, match=r"\(0018,9362\), which is required") as caught:
        deidentified(part10)
    assert "Zqxword" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in CLEAN if not name.startswith(("all as", "syntax"))])
def test_dciodvfy_finds_no_new_class_of_error(name, tmp_path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    part10, _ = CLEAN[name]()
    written = deidentified(part10).written
    new = error_classes(written, tmp_path, "after") - error_classes(part10, tmp_path, "before")
    # The table takes the approval's number out and leaves a dummy for the committee's name, which then has no reason.
    assert {error for error in new if "ClinicalTrialProtocolEthicsCommitteeName" not in error} == set()
