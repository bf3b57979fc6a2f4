"""What an instance says of its own de-identification is what was done, not what the profile wished for."""

import io
from dataclasses import replace

import pydicom
import pytest
from pydicom.sequence import Sequence

from deidentify.deidentifier import Deidentifier
from deidentify.errors import PixelScreenError
from deidentify.profile import Profile
from deidentify.results import Dropped, DropReason, Hold
from tests.builders import ct_instance, dataset, sr_instance, write_part10
from tests.deidentify.support import clear_screen, deidentified, profile, scope

STORAGE = "1.2.840.10008.5.1.4.1.1."
FACES = "name: faces\nbase: basic\noptions: [clean-pixel-data, clean-recognizable-visual-features]\n"
GRAPHICS = "name: drawn\nbase: basic\noptions: [clean-graphics]\nsop_classes: {drop: []}\n"


def codes_of(data):
    return [item.CodeValue for item in data.DeidentificationMethodCodeSequence]


def written_with(text, instance, **screen):
    engine, source, target = Deidentifier(Profile.from_yaml(text)), io.BytesIO(write_part10(instance)), io.BytesIO()
    plan = engine.plan(engine.read(source), scope())
    engine.write(plan, replace(clear_screen(plan), **screen), source, target)
    return pydicom.dcmread(io.BytesIO(target.getvalue()))


def test_faces_are_marked_as_cleaned_only_when_the_screen_cleaned_them():
    with pytest.raises(PixelScreenError, match="faces"):
        written_with(FACES, ct_instance())
    done = written_with(FACES, ct_instance(RecognizableVisualFeatures="YES"), visual_features_cleaned=True)
    assert {"113101", "113102"} <= set(codes_of(done))
    assert done.RecognizableVisualFeatures == "NO"


def test_an_instance_without_pixels_claims_neither_option_of_the_screen():
    text = FACES.replace("options: [", "options: [clean-structured-content, ")
    done = deidentified(write_part10(sr_instance()), profile_text=text).dataset
    assert not {"113101", "113102"} & set(codes_of(done))
    assert "RecognizableVisualFeatures" not in done
    assert "BurnedInAnnotation" not in done


def presentation_state():
    text = dataset(
        BoundingBoxAnnotationUnits="PIXEL", AnchorPointAnnotationUnits="PIXEL", AnchorPoint=[4.0, 4.0],
        AnchorPointVisibility="Y", UnformattedTextValue="Baker cyst of Testperson Zqxword",
    )  # fmt: skip
    graphic = dataset(
        GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=2,
        GraphicData=[1.0, 1.0, 9.0, 9.0], GraphicType="POLYLINE", GraphicFilled="N",
    )  # fmt: skip
    drawn = dataset(GraphicLayer="ZQXLAYER", TextObjectSequence=[], GraphicObjectSequence=[])
    drawn.TextObjectSequence, drawn.GraphicObjectSequence = Sequence([text]), Sequence([graphic])
    state = sr_instance(
        SOPClassUID=STORAGE + "11.1", Modality="PR", ContentSequence=None, ContentLabel="LIVER",
        ContentDescription="for Testperson", PresentationCreationDate="20240301", PresentationCreationTime="101500",
    )  # fmt: skip
    state.GraphicAnnotationSequence = Sequence([drawn])
    state.GraphicLayerSequence = Sequence([dataset(GraphicLayer="ZQXLAYER", GraphicLayerOrder=1)])
    state.add_new(0x60003000, "OW", b"Zqxword!")
    state.add_new(0x60004000, "LT", "Zqxword")
    state.add_new(0x50003000, "OW", b"Zqxword!")
    return state


def test_graphics_are_cleaned_where_the_option_says_so():
    way = deidentified(write_part10(presentation_state()), profile_text=GRAPHICS)
    (drawn,) = way.dataset.GraphicAnnotationSequence
    assert drawn.TextObjectSequence[0].UnformattedTextValue == "Baker cyst of"
    assert drawn.GraphicObjectSequence[0].GraphicData == [1.0, 1.0, 9.0, 9.0]
    assert "113103" in codes_of(way.dataset)
    assert b"Zqxword" not in way.written
    assert b"ZQXLAYER" not in way.written
    assert drawn.GraphicLayer == way.dataset.GraphicLayerSequence[0].GraphicLayer
    assert {element.tag.group >> 8 for element in way.dataset}.isdisjoint({0x50, 0x60})


def test_a_presentation_state_waits_where_its_graphics_are_not_cleaned():
    engine = Deidentifier(Profile.from_yaml(GRAPHICS.replace("clean-graphics", "retain-uids")))
    outcome = engine.disposition(engine.read(io.BytesIO(write_part10(presentation_state()))))
    assert isinstance(outcome, Hold)


def test_the_default_drops_presentation_states():
    engine = Deidentifier(profile())
    outcome = engine.disposition(engine.read(io.BytesIO(write_part10(presentation_state()))))
    assert isinstance(outcome, Dropped)
    assert outcome.reason is DropReason.PRESENTATION_STATE


def test_the_option_is_not_claimed_where_nothing_is_drawn():
    done = deidentified(write_part10(ct_instance()), profile_text=GRAPHICS).dataset
    assert "113103" not in codes_of(done)


def test_a_dose_report_goes_on_where_structured_content_is_cleaned_and_it_is_not_dropped():
    report = sr_instance(SOPClassUID=STORAGE + "88.67")
    text = GRAPHICS.replace("clean-graphics", "clean-structured-content")
    assert "113104" in codes_of(deidentified(write_part10(report), profile_text=text).dataset)


def test_the_revision_stands_whole_behind_a_long_name():
    text = f"name: {'a' * 40}\nbase: basic\n"
    written = deidentified(write_part10(ct_instance()), profile_text=text).dataset.DeidentificationMethod
    assert len(written) == 64
    assert written.endswith(f"a {Profile.from_yaml(text).revision}")
