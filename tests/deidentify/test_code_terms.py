"""A name can be a legal code string: only the words of terms stay where nothing requires the value."""

import pytest

from deidentify.code_terms import cleaned_code_string, code_terms, may_stay
from deidentify.dataset import Element
from deidentify.forms import CODE_STRING
from tests.builders import ct_instance, mr_instance, write_part10
from tests.deidentify.nasty import spliced
from tests.deidentify.support import deidentified

NOBODY = frozenset[str]()


def written(**attributes):
    return deidentified(write_part10(ct_instance(**attributes))).dataset


def test_a_name_of_nobody_in_the_header_goes_from_a_code_string():
    assert "BodyPartExamined" not in written(BodyPartExamined="ZQUILMER")
    assert written(ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "ZQUILMER"]).ImageType == [
        "ORIGINAL",
        "PRIMARY",
        "AXIAL",
        "UNKNOWN",
    ]
    assert written(ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "FAT ZQUILMER"]).ImageType[3] == "FAT"


@pytest.mark.parametrize("name", ["Testperson^Unreal", "Baker^Anna", "Zq^Ann", "Fisher^Mary"])
def test_the_patients_name_goes_from_a_code_string(name):
    family = name.split("^")[0].upper()
    result = written(PatientName=name, BodyPartExamined=family, ScanOptions=["HELICAL MODE", family])
    assert "BodyPartExamined" not in result
    assert result.ScanOptions[0] == "HELICAL MODE"
    assert family not in str(result.ScanOptions)


def test_a_patient_called_like_a_term_does_not_take_the_term_away():
    assert written(PatientName="Head^Anna", BodyPartExamined="HEAD").BodyPartExamined == "HEAD"
    assert written(PatientName="Axial^Anna").ImageType[2] == "AXIAL"


@pytest.mark.parametrize(
    "value",
    [
        b"ORIGINAL\\PRIMARY\\M\\FFE\\M\\FFE",
        b"DERIVED\\SECONDARY\\MPR\\CSAPARALLEL",
        b"ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI",
        b"ORIGINAL\\PRIMARY\\M\\NORM\\DIS2D\\FM3_2",
        b"DERIVED\\PRIMARY\\DIFFUSION\\TRACEW\\ND\\MOSAIC",
        b"HFS",
        b"LSPINE",
        b"YBR_FULL_422",
        b"ROW_COLUMN",
        b"DECY\\ATTN\\SCAT\\DTIM\\RADL\\NORM",
        b"",
    ],
)
def test_terms_stay_as_they_are(value):
    assert cleaned_code_string(value, NOBODY) == (value, 0)


def test_what_an_object_cannot_do_without_stays_unless_it_is_the_patients():
    result = deidentified(
        write_part10(mr_instance(ScanningSequence="ZQX", PhotometricInterpretation="NEWTERMX"))
    ).dataset
    assert result.PhotometricInterpretation == "NEWTERMX"


def test_the_list_of_terms_holds_no_name_of_the_commonest():
    commonest = ("smith", "johnson", "jones", "brown", "miller", "davis", "garcia", "mueller", "schmidt", "nguyen")
    assert code_terms().isdisjoint(commonest)
    assert not may_stay("smith", NOBODY)
    assert may_stay("ctp", NOBODY)
    assert not may_stay("lee", frozenset(("lee",)))


@pytest.mark.parametrize("value", [b"AXIAL/ZQUILMER", b"Head (Zquilmer)", b"axial zquilmer, post contrast"])
def test_what_is_left_of_an_illegal_code_string_is_legal(value):
    part10 = spliced(write_part10(ct_instance()), Element(0x00180015, "CS", value))
    kept = deidentified(part10).dataset.BodyPartExamined
    assert CODE_STRING.fullmatch(kept.encode())
    assert 0 < len(kept) <= 16
    assert "ZQUILMER" not in kept


def test_words_that_another_deidentifier_left_do_not_hold_the_instance():
    codes = {"CodeValue": "ZQ1", "CodingSchemeDesignator": "99LOCAL", "CodeMeaning": "Zquilmer"}
    instance = ct_instance(
        PatientName="Removed by CTP", ReferringPhysicianName="REMOVED", ProcedureCodeSequence=[codes]
    )
    assert deidentified(write_part10(instance)).dataset.ProcedureCodeSequence[0].CodeMeaning == "Removed"
