"""Planes, bits and icons become pictures whatever the encoding; what cannot be decoded is a fault, never nothing."""

import io

import numpy as np
import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from deidentify.errors import PixelDecodeError, ProfileError
from deidentify.identity import IdentifiedTokens
from deidentify.parser import read_instance
from deidentify.pixels.engine import load_engine
from deidentify.pixels.layers import iter_layers, iter_texts
from deidentify.pixels.screen import PixelScreener
from deidentify.profile import Profile
from deidentify.results import PixelVerdict
from tests.builders import ct_instance, sr_instance, write_part10
from tests.corpus import ROOT, require_corpus
from tests.deidentify.pixels.files import NATIVE, image, part10
from tests.deidentify.pixels.layered import COLUMNS, FLAT, ROWS, drawn, icon_of, with_bits, with_overlay
from tests.deidentify.pixels.planting import phantom
from tests.deidentify.support import deidentified, shipped_text


@pytest.fixture
def random():
    return np.random.default_rng(6)


def layers_of(file):
    """Return (name, views of each frame) of each layer."""
    return [(layer.name, list(layer.frames)) for layer in iter_layers(file)]


def faults_of(file):
    for layer in iter_layers(file):
        with pytest.raises(PixelDecodeError) as caught:
            list(layer.frames)
        yield layer.name, str(caught.value)


# -- planes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", NATIVE)
def test_a_plane_is_a_picture_of_its_own_in_every_encoding(random, syntax):
    plane = drawn(random)
    content = with_overlay(image(FLAT), plane, big=syntax == ExplicitVRBigEndian)
    ((name, ((view,),)),) = layers_of(part10(content, syntax))
    assert name == "overlay 6000"
    assert view.dtype == np.uint8
    assert (view == plane * 255).all()


def test_every_frame_of_every_plane_is_there_whatever_its_size(random):
    odd = [drawn(random, text, rows=31, columns=77) for text in ("OKONKWO", "MARTA", "ERIK")]
    content = with_overlay(image(FLAT), *odd, group=0x6002)
    with_overlay(content, drawn(random), group=0x60FE)
    (first, frames), (second, _) = layers_of(part10(content))
    assert (first, second) == ("overlay 6002", "overlay 60FE")
    assert [(view == plane * 255).all() for (view,), plane in zip(frames, odd, strict=True)] == [True] * 3


def test_an_empty_plane_has_a_frame_and_nothing_to_see():
    content = with_overlay(image(FLAT), np.zeros((ROWS, COLUMNS), np.uint8))
    assert layers_of(part10(content)) == [("overlay 6000", [[]])]


def test_a_plane_without_pixel_data_is_seen_too(random):
    content = with_overlay(image(FLAT), drawn(random))
    del content.PixelData
    assert [name for name, _ in layers_of(part10(content))] == ["overlay 6000"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cut": 100}, "An overlay plane is shorter than announced."),
        ({"more": b"\1\0"}, "An overlay plane is longer than announced."),
    ],
)
def test_a_plane_of_another_length_is_a_fault(random, change, sentence):
    content = with_overlay(image(FLAT), drawn(random), **change)
    assert list(faults_of(part10(content))) == [("overlay 6000", sentence)]


def test_a_plane_of_no_or_gigantic_size_is_a_fault(random):
    for rows, frames in ((0, 1), (65535, 1 << 20)):
        content = with_overlay(image(FLAT), drawn(random))
        content[0x60000010].value = rows
        content.add_new(0x60000015, "IS", frames)
        assert list(faults_of(part10(content))) == [
            ("overlay 6000", "The announced size of an overlay plane is out of bounds.")
        ]


# -- bits in the words of the pixels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [12, 15, 3])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_bits_inside_the_words_are_a_picture_wherever_they_lie(random, position, syntax):
    planes = [drawn(random, text).astype(np.uint16) for text in ("OKONKWO", "ERIK")]
    words = [(FLAT & ~np.uint16(1 << position)) | (plane << position) for plane in planes]
    content = with_bits(image(words, bits_stored=12), position)
    ((name, frames),) = layers_of(part10(content, syntax))
    assert name == "overlay bits 6002"
    assert [(view == plane * 255).all() for (view,), plane in zip(frames, planes, strict=True)] == [True] * 2


def test_bits_outside_the_words_are_a_fault():
    (fault,) = faults_of(part10(with_bits(image(FLAT, bits_stored=12), 16)))
    assert fault == ("overlay bits 6002", "Overlay bits lie where the words of the pixels have none.")


def test_a_group_without_data_and_bits_is_nothing():
    assert layers_of(part10(with_bits(image(FLAT), 0, allocated=1))) == []


# -- icons -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_an_icon_is_seen_as_an_image_is(random, syntax):
    content = image(FLAT)
    content.IconImageSequence = Sequence([icon_of(drawn(random) * 200)])
    ((name, ((view, *_),)),) = layers_of(part10(content, syntax))
    assert name == "icon"
    assert (view > 0).sum() == (drawn(np.random.default_rng(6)) > 0).sum()


def test_a_large_icon_that_the_parser_leaves_in_the_file_is_seen(random):
    content = image(FLAT)
    large = phantom(random, 400, 400)
    content.IconImageSequence = Sequence([icon_of(large, bits_stored=12)])
    file = part10(content)
    icon = next(one for one in read_instance(file).identified_elements if one.tag == 0x00880200).items[0]
    assert next(one for one in icon if one.tag == 0x7FE00010).span is not None
    ((_, ((view, *_),)),) = layers_of(file)
    assert view.shape == (400, 400)
    assert np.corrcoef(view.reshape(-1), large.reshape(-1))[0, 1] > 0.99


def test_a_compressed_icon_is_decoded_and_a_native_one_beside_compressed_pixels_too(random):
    picture = drawn(random) * np.uint8(200)
    compressed = dcmread(part10(image(picture)))
    compressed.compress(RLELossless)
    content = image(picture)
    content.PixelData, content["PixelData"].is_undefined_length = compressed.PixelData, True
    packed, native = icon_of(picture), icon_of(picture)
    packed.PixelData, packed["PixelData"].VR = compressed.PixelData, "OB"
    packed["PixelData"].is_undefined_length = True
    content.IconImageSequence = Sequence([packed, native])
    first, second = layers_of(part10(content, RLELossless))
    assert (first[0], second[0]) == ("icon", "icon")
    assert (first[1][0][0] == second[1][0][0]).all()


def test_an_icon_that_is_no_picture_is_a_fault_of_that_icon_alone(random):
    content = image(FLAT)
    broken = icon_of(drawn(random))
    del broken.PhotometricInterpretation
    content.IconImageSequence = Sequence([broken, icon_of(drawn(random))])
    first, second = iter_layers(part10(content))
    with pytest.raises(PixelDecodeError):
        list(first.frames)
    assert second.name == "icon"


def test_an_image_deep_inside_other_sequences_is_seen(random):
    inner, outer = Dataset(), Dataset()
    inner.ReferencedImageSequence = Sequence([icon_of(drawn(random))])
    outer.SourceImageSequence = Sequence([inner])
    content = image(FLAT)
    content.update(outer)
    assert [name for name, _ in layers_of(part10(content))] == ["image in (0008,1140)"]


REAL = {
    "pydicom+pydicom/src/pydicom/data/test_files/examples_overlay.dcm": ["overlay 6000", "icon"],
    "pydicom+pydicom-data/data_store/data/MR-SIEMENS-DICOM-WithOverlays.dcm": ["overlay 6000", "icon"],
}


@pytest.mark.parametrize(("name", "layers"), REAL.items())
def test_real_files(name, layers):
    assert any(file.path == ROOT / name for file in require_corpus())
    with (ROOT / name).open("rb") as identified_file:
        found = layers_of(identified_file)
        expected = dcmread(ROOT / name).overlay_array(0x6000) * 255
    assert [layer for layer, _ in found] == layers
    assert (found[0][1][0][0] == expected).all()
    assert all(views for _, frames in found for views in frames)


# -- texts -------------------------------------------------------------------------------------------------------------


def texts_of(content):
    return [(text.name, text.identified_text) for text in iter_texts(read_instance(io.BytesIO(write_part10(content))))]


def test_the_texts_of_a_report_are_lines():
    assert texts_of(sr_instance()) == [
        ("report text", "Arztin Erfundene"),
        ("report text", "Baker cyst of the left knee, reported to Testperson"),
    ]
    assert "Baker" not in repr(list(iter_texts(read_instance(io.BytesIO(write_part10(sr_instance()))))))


def test_graphic_text_is_read_in_its_character_set_line_by_line():
    note, graphic = Dataset(), Dataset()
    note.UnformattedTextValue = "Müller\r\nKnie links"
    graphic.TextObjectSequence = Sequence([note])
    content = ct_instance(SpecificCharacterSet="ISO_IR 192", GraphicAnnotationSequence=Sequence([graphic]))
    assert texts_of(content) == [("graphic text", "Müller"), ("graphic text", "Knie links")]


def test_what_says_how_a_specimen_was_stained_is_no_report():
    step = Dataset()
    step.TextValue = "eosin"
    content = ct_instance(SpecimenPreparationStepContentItemSequence=Sequence([step]))
    assert texts_of(content) == []


# -- what is written ---------------------------------------------------------------------------------------------------

KEEPING = """\
name: keeping
base: basic
options: [retain-device-identity, retain-institution-identity, retain-uids, clean-graphics]
rules:
  - {keyword: ReferencedImageSequence, action: K, reason: r}
"""


@pytest.mark.parametrize("text", [shipped_text("teaching"), shipped_text("strict"), KEEPING])
def test_no_profile_writes_planes_or_the_pixels_of_icons(random, text):
    content = with_overlay(ct_instance(), drawn(random))
    content.IconImageSequence = Sequence([icon_of(drawn(random) * 200)])
    nested = Dataset()
    nested.ReferencedSOPClassUID, nested.ReferencedSOPInstanceUID = CTImageStorage, "1.2.3"
    with_overlay(nested, drawn(random))
    content.ReferencedImageSequence = Sequence([nested])
    assert len(layers_of(io.BytesIO(write_part10(content)))) == 3
    written = deidentified(write_part10(content), profile_text=text).written
    assert layers_of(io.BytesIO(written)) == []
    assert b"\x00\x60" not in b"".join(
        element.tag.group.to_bytes(2, "little") for element in dcmread(io.BytesIO(written)).iterall()
    )


@pytest.mark.parametrize("action", ["K", "C", "X/Z/U*"])
def test_no_rule_keeps_icons(action):
    rule = f"rules:\n  - {{keyword: IconImageSequence, action: {action}, reason: A thumbnail is wanted.}}\n"
    with pytest.raises(ProfileError, match="line 4: rule 1: an icon is a picture that nobody screens"):
        Profile.from_yaml(f"name: mine\nbase: basic\n{rule}")


@pytest.mark.parametrize("position", [12, 15])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_overlay_bits_in_the_words_stay_and_so_their_text_becomes_black_with_them(random, position, syntax):
    """The words are passed on as they are; the group that gives the bits a meaning goes."""
    picture = phantom(random) & np.uint16(0x0FFF)
    plane = drawn(random, "OKONKWO ADAEZE", *picture.shape).astype(np.uint16)
    content = with_bits(image(picture | plane << position, bits_stored=12), position)
    report = PixelScreener(engine_source=load_engine).screen(part10(content, syntax), IdentifiedTokens())
    assert (report.verdict, report.hold) == (PixelVerdict.REDACT, None)


def test_overlay_bits_are_written_as_they_came_without_the_group_that_explains_them(random):
    plane = drawn(random, rows=16, columns=16).astype(np.uint16)
    original = ct_instance(PixelData=(np.full((16, 16), 7, np.uint16) | plane << 12).tobytes())
    with_bits(original, 12)
    written = deidentified(write_part10(original)).dataset
    assert written.PixelData == original.PixelData
    assert 0x60020102 not in written
