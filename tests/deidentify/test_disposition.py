import io

import pytest

from deidentify.deidentifier import Deidentifier
from deidentify.results import Dropped, DropReason, Hold, HoldReason
from tests.builders import ct_instance, secondary_capture_instance, sr_instance, write_part10
from tests.deidentify.support import profile

STORAGE = "1.2.840.10008.5.1.4.1.1."


def verdict(instance, profile_name="teaching", **meta):
    engine = Deidentifier(profile(profile_name))
    return engine.disposition(engine.read(io.BytesIO(write_part10(instance, **meta))))


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        (ct_instance(SOPClassUID="1.2.3.4"), DropReason.PRIVATE_SOP_CLASS),
        (ct_instance(SOPClassUID=STORAGE + "66"), DropReason.RAW_DATA),
        (sr_instance(SOPClassUID=STORAGE + "88.67"), DropReason.DOSE_REPORT),
        (ct_instance(SOPClassUID=STORAGE + "11.1"), DropReason.PRESENTATION_STATE),
        (ct_instance(SOPClassUID=STORAGE + "104.1"), DropReason.ENCAPSULATED_DOCUMENT),
        (ct_instance(SOPClassUID=STORAGE + "77.1.4.1"), DropReason.VIDEO),
        (
            ct_instance(SOPClassUID=STORAGE + "77.1.6", ImageType=["DERIVED", "PRIMARY", "LABEL", "NONE"]),
            DropReason.SLIDE_LABEL,
        ),
        (ct_instance(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), DropReason.SCREEN_CAPTURE),
        (ct_instance(ImageType=["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]), DropReason.SCREEN_CAPTURE),
        (secondary_capture_instance(SeriesDescription="Dose Report"), DropReason.SCREEN_CAPTURE),
        (secondary_capture_instance(SeriesDescription="Patient Protocol"), DropReason.SCREEN_CAPTURE),
        (ct_instance(SOPClassUID="1.2.840.10008.1.3.10"), DropReason.MEDIA_DIRECTORY),
        (ct_instance(SOPClassUID=STORAGE + "9.4.1"), DropReason.PROFILE),
        (ct_instance(SOPClassUID="1.2.840.10008.5.1.4.39.1"), DropReason.PROFILE),
    ],
)
def test_the_default_leaves_out(instance, reason):
    outcome = verdict(instance)
    assert isinstance(outcome, Dropped)
    assert outcome.reason is reason


def test_video_syntaxes_are_left_out():
    outcome = verdict(ct_instance(), transfer_syntax="1.2.840.10008.1.2.4.102", frames=[b"\0" * 8])
    assert isinstance(outcome, Dropped)
    assert outcome.reason is DropReason.VIDEO


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        (ct_instance(SOPClassUID=STORAGE + "999.1"), HoldReason.UNSUPPORTED_SOP_CLASS),
        (ct_instance(StudyInstanceUID=None), HoldReason.UNREADABLE),
        (ct_instance(SOPClassUID=""), HoldReason.UNREADABLE),
    ],
)
def test_what_cannot_be_handled_waits(instance, reason):
    engine = Deidentifier(profile())
    data = _lenient(instance)
    outcome = engine.disposition(engine.read(io.BytesIO(data)))
    assert isinstance(outcome, Hold)
    assert outcome.reason is reason
    assert outcome.detail


def _lenient(instance):
    """Write an instance that pydicom would not accept as a file."""
    data = write_part10(ct_instance())
    buffer = io.BytesIO()
    instance.save_as(buffer, implicit_vr=False, little_endian=True)
    return data[: data.index(b"\x08\0\x05\0CS")] + buffer.getvalue()


@pytest.mark.parametrize("make", [ct_instance, secondary_capture_instance, sr_instance])
def test_images_and_reports_go_on(make):
    assert verdict(make()) is None


def test_a_report_waits_where_the_profile_cannot_clean_it():
    outcome = verdict(sr_instance(), "strict")
    assert isinstance(outcome, Hold)
    assert outcome.reason is HoldReason.PROFILE
