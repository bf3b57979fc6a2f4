"""Translated recipes on a planted file: the engine keeps nothing that the package would have taken out."""

import base64
import io
import json
import subprocess

import pydicom
import pytest
from pydicom.dataset import Dataset

from deidentify.deidentifier import Deidentifier
from deidentify.profile import Profile
from deidentify.recipe import translate_recipe
from deidentify.recipe_base import NEEDED
from deidentify.results import HoldReason
from tests.builders import code, ct_instance, write_part10
from tests.deidentify.support import deidentified
from tests.deidentify.test_recipe import ALL, RECIPES
from tests.tools import require_peer

pytest.importorskip("deidentify.rules", reason="this profile language has no rules by keyword")

_PEER = """
import base64, io, json, sys, tempfile, contextlib, pydicom
from deid.config import DeidRecipe
from deid.dicom.parser import DicomParser
given = json.load(sys.stdin)
def left_by(recipe):
    with tempfile.NamedTemporaryFile("w", suffix=".dicom") as file, contextlib.redirect_stdout(io.StringIO()):
        file.write(recipe)
        file.flush()
        data = pydicom.dcmread(io.BytesIO(base64.b64decode(given["file"])))
        parser = DicomParser(data, recipe=DeidRecipe(file.name))
        parser.parse()
    left = [one for one in parser.dicom.iterall() if one.VR != "SQ" and one.value not in (None, "")]
    return [[int(one.tag), str(one.value)] for one in left]
print("READ" + json.dumps({name: left_by(recipe) for name, recipe in given["recipes"].items()}))
"""


def planted() -> bytes:
    """Return a CT image with something to take out in many places."""
    item = Dataset()
    item.ScheduledProcedureStepDescription = "Thorax"
    item.RequestedProcedureID = "RP77"
    return write_part10(
        ct_instance(
            StudyDescription="CT Thorax",
            SeriesDescription="Thorax nativ",
            ProtocolName="Thorax",
            AccessionNumber="ACC778899",
            StudyID="ST4711",
            ReferringPhysicianName="Weber^Klara",
            OperatorsName="Muster^Hanna",
            InstitutionName="Kneifenberg",
            InstanceCreationDate="20240301",
            InstanceCreationTime="101112",
            PatientComments="Thorax",
            AdditionalPatientHistory="Thorax",
            ManufacturerModelName="SOMATOM",
            DeviceSerialNumber="SN5566",
            FrameOfReferenceUID="1.2.3.4.5.6",
            PatientPosition="HFS",
            ExposureTime="500",
            RequestAttributesSequence=[item],
            ProcedureCodeSequence=[code("P5-0800E", "SRT", "CT of thorax")],
        )
    )


def values(data: Dataset) -> set[tuple[int, str]]:
    return {(int(one.tag), str(one.value)) for one in data.iterall() if one.VR != "SQ" and one.value not in (None, "")}


def translated(recipe: str, **options: str) -> Dataset:
    """Return what the engine writes of the planted file under a translated recipe."""
    profile = translate_recipe(recipe, **options).profile_yaml
    return deidentified(planted(), profile_text=profile).dataset


def header_of(name: str) -> str:
    return "FORMAT dicom\n%header" + (RECIPES / name).read_text().partition("%header")[2]


RECIPE_TEXTS = {
    "shipped": header_of("deid.dicom"),
    "blanked": "FORMAT dicom\n%header\nBLANK contains:Description|Name\nBLANK StudyID\nREMOVE select:VR:TM",
    "replaced": "FORMAT dicom\n%header\nREPLACE contains:Description func:mine\nREPLACE StudyID a\nREMOVE endswith:UID",
    "inside": "FORMAT dicom\n%header\nREMOVE RequestAttributesSequence__ScheduledProcedureStepDescription",
    "a sequence": "FORMAT dicom\n%header\nREMOVE RequestAttributesSequence\nREMOVE PatientPosition",
    "dates": "FORMAT dicom\n%header\nREMOVE endswith:Date\nJITTER StudyDate 3\nREMOVE ExposureTime",
    "kept": "FORMAT dicom\n%header\nREMOVE contains:Patient\nKEEP PatientPosition",
}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
@pytest.mark.parametrize("loosen", ["", "The board has allowed it."])
def test_every_translation_is_a_profile(path, loosen):
    translation = translate_recipe(path.read_text(), name="translated", allow_loosening=loosen)
    assert Profile.from_yaml(translation.profile_yaml).name == "translated"


@pytest.fixture(scope="module")
def left_by_the_package():
    """What the package leaves of the planted file under each recipe; one process for all, it is slow to start."""
    given = json.dumps({"recipes": RECIPE_TEXTS, "file": base64.b64encode(planted()).decode()})
    done = subprocess.run([require_peer(), "-c", _PEER], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.partition("READ")[2])


@pytest.mark.parametrize("name", RECIPE_TEXTS)
def test_nothing_stays_that_the_package_takes_out(name, left_by_the_package):
    theirs = {tuple(one) for one in left_by_the_package[name]}
    original = values(pydicom.dcmread(io.BytesIO(planted())))
    taken = {one for one in original - theirs if one[0] not in NEEDED}
    assert taken
    registered = {one for one in taken if one[1].startswith("1.2.840.10008.")}
    assert not (values(translated(RECIPE_TEXTS[name])) & taken) - registered


@pytest.mark.parametrize("name", RECIPE_TEXTS)
def test_a_translated_recipe_keeps_no_more_than_the_base(name):
    base = deidentified(planted(), profile_text=translate_recipe("%header\n").profile_yaml).dataset
    original = values(pydicom.dcmread(io.BytesIO(planted())))
    kept = values(translated(RECIPE_TEXTS[name])) & original
    assert kept <= values(base) & original


def test_the_actions_on_a_file():
    lines = ("REMOVE StudyDescription", "BLANK ProtocolName", "REPLACE SeriesDescription x", "REMOVE PatientName")
    written = translated("%header\n" + "\n".join(lines))
    assert "StudyDescription" not in written
    assert not written.get("ProtocolName")
    assert not written.get("SeriesDescription")
    assert written.PatientName
    assert written.StudyDate
    assert written.StudyDate != "20240301"


def test_what_is_loosened_stays_with_a_reason_only():
    recipe = "%header\nKEEP DeviceSerialNumber\nKEEP PatientName\nKEEP StudyDate"
    assert "SN5566" not in str(translated(recipe))
    loosened = translated(recipe, allow_loosening="The board has allowed it.")
    assert loosened.DeviceSerialNumber == "SN5566"
    original = pydicom.dcmread(io.BytesIO(planted()))
    assert loosened.PatientName != original.PatientName
    assert loosened.StudyDate != original.StudyDate


@pytest.mark.parametrize(
    ("criteria", "is_held"),
    [
        (["contains Modality CT"], True),
        (["contains Modality MR"], False),
        (["equals Rows 16"], True),
        (["equals Rows 17"], False),
        (["notequals Rows 16"], False),
        (["contains ImageType PRIM", "+ notcontains Manufacturer NOBODY"], True),
        (["contains ImageType PRIM", "+ missing Modality"], False),
        (["missing Modality", "|| contains 0x00081030 thorax"], True),
    ],
)
def test_a_filter_holds_what_fits(criteria, is_held):
    profile = translate_recipe("%filter blacklist\nLABEL one\n" + "\n".join(criteria)).profile_yaml
    engine = Deidentifier(Profile.from_yaml(profile))
    found = engine.disposition(engine.read(io.BytesIO(planted())))
    assert (found is not None) is is_held
    assert not is_held or found.reason is HoldReason.PROFILE
