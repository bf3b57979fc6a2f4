"""Instances in which boxes were made black, as they are written: pixels, header and whatever opens them."""

import io
import subprocess
from dataclasses import replace

import gdcm
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from deidentify.deidentifier import Deidentifier
from deidentify.errors import PixelScreenError, TextRemainsError
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.source import DEFLATED_FRAMES, locate
from deidentify.release import released
from deidentify.results import PixelFinding, PixelVerdict, RegionFate, ScreenReport, TextClass
from deidentify.review import MarkedBox
from tests.builders import uid
from tests.deidentify.pixels.compressed import SYNTAXES, Kind, compressed, file_of, items, jpeg
from tests.deidentify.pixels.files import NATIVE, image, part10
from tests.deidentify.support import profile, scope
from tests.tools import require_tool

BOXES = (MarkedBox(frame=1, x=4, y=5, width=17, height=6),)
INSIDE = (1, slice(5, 11), slice(4, 21))
MORE = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SmallestImagePixelValue": 3,
    "LargestImagePixelValue": 4000,
    "BurnedInAnnotation": "YES",
    "PatientID": "KNR-558211",
    "PatientName": "Okonkwo^Adaeze",
}


def written(file, boxes=BOXES, *, verdict=PixelVerdict.REDACT):
    """Return plan, instance and file after the engine made boxes black."""
    engine, target = Deidentifier(profile()), io.BytesIO()
    file.seek(0)
    plan = engine.plan(engine.read(file), scope())
    frames = plan.description.frames
    screen = ScreenReport(verdict=verdict, frames=frames, frames_read=frames, boxes=tuple(boxes))
    instance = engine.write(plan, screen, file, target)
    engine.verify(plan, target)
    return plan, instance, target


def words_of(file):
    file.seek(0)
    source = locate(file)
    return np.stack([frame.words for frame in iter_frames(source, read_format(source))])


def native(syntax):
    words = Kind().words()
    return part10(image(list(words), bits_stored=12, **MORE), syntax)


@pytest.mark.parametrize("syntax", [*NATIVE, *SYNTAXES])
def test_an_instance_of_every_syntax_is_black_inside_and_as_it_was_outside(syntax, tmp_path):
    file = native(syntax) if syntax in NATIVE else compressed(syntax, Kind(), Kind().words(), **MORE)
    before = words_of(file)
    plan, instance, target = written(file)
    after = words_of(target)
    assert not (after[INSIDE] & 0xFFF).any()
    assert (before[INSIDE] & 0xFFF).any()
    after[INSIDE] = before[INSIDE]
    assert np.array_equal(before, after)
    assert instance.screen.boxes == BOXES
    assert instance.uid_of_original == plan.description.sop_instance_uid != instance.description.sop_instance_uid
    assert instance.size_bytes == len(target.getvalue())
    if syntax != DEFLATED_FRAMES:  # newer than the other readers
        opened_elsewhere(target, tmp_path)


def opened_elsewhere(target, folder):
    """Let GDCM decode the pixels, and DCMTK parse the whole file."""
    path = folder / "redacted.dcm"
    path.write_bytes(target.getvalue())
    dumped = subprocess.run(
        [require_tool("dcmdump"), "+P", "0008,0018", str(path)], capture_output=True, text=True, check=True
    )
    assert dcmread(path).SOPInstanceUID in dumped.stdout
    assert not dumped.stderr
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    assert len(reader.GetImage().GetBuffer()) == 3 * 34 * 40 * 2


def test_the_header_says_what_the_pixels_are_now():
    file = native(ExplicitVRLittleEndian)
    before = dcmread(file)
    _, instance, target = written(file)
    after = dcmread(io.BytesIO(target.getvalue()))
    assert after.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID == instance.description.sop_instance_uid
    assert "SmallestImagePixelValue" not in after
    assert "LargestImagePixelValue" not in after
    assert after.BurnedInAnnotation == "NO"
    assert "113101" in [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert before.StudyInstanceUID != after.StudyInstanceUID


def test_the_same_boxes_are_the_same_change_and_others_another():
    uids = [
        written(native(ExplicitVRLittleEndian), boxes)[1].description.sop_instance_uid
        for boxes in (BOXES, BOXES, (replace(BOXES[0], x=5),))
    ]
    assert uids[0] == uids[1] != uids[2]


def test_a_box_in_every_frame_is_black_in_every_frame():
    _, instance, target = written(native(ImplicitVRLittleEndian), [replace(BOXES[0], frame=None)])
    assert not words_of(target)[:, 5:11, 4:21].any()
    assert [box.frame for box in instance.screen.boxes] == [0, 1, 2]


def test_what_names_the_instance_itself_follows():
    content = image(list(Kind().words()), bits_stored=12, **MORE)
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = content.SOPClassUID, content.SOPInstanceUID
    other = Dataset()
    other.ReferencedSOPClassUID, other.ReferencedSOPInstanceUID = content.SOPClassUID, uid(1, 2, 9)
    content.ReferencedImageSequence = Sequence([item, other])
    plan, _, target = written(part10(content))
    after = dcmread(io.BytesIO(target.getvalue()))
    named = [one.ReferencedSOPInstanceUID for one in after.ReferencedImageSequence]
    assert named[0] == after.SOPInstanceUID
    assert named[1] not in {after.SOPInstanceUID, plan.description.sop_instance_uid}


def test_frames_that_changed_are_derived_and_the_others_are_not():
    content = image(list(Kind().words()), bits_stored=12, **MORE)
    content.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    groups = []
    for _ in range(3):
        kind, group = Dataset(), Dataset()
        kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
        group.CTImageFrameTypeSequence = Sequence([kind])
        groups.append(group)
    content.PerFrameFunctionalGroupsSequence = Sequence(groups)
    after = dcmread(io.BytesIO(written(part10(content))[2].getvalue()))
    types = [group.CTImageFrameTypeSequence[0].FrameType[0] for group in after.PerFrameFunctionalGroupsSequence]
    assert types == ["ORIGINAL", "DERIVED", "ORIGINAL"]


def test_baseline_jpeg_keeps_its_syntax_and_its_history():
    frames = [np.random.default_rng(3).integers(0, 255, (48, 64), dtype=np.uint8) for _ in range(3)]
    kind = Kind(allocated=8, stored=8)
    file = file_of(
        JPEGBaseline8Bit, kind, items([(jpeg(frame),) for frame in frames], has_table=True), np.stack(frames),
        LossyImageCompression="01", LossyImageCompressionRatio="9.5", LossyImageCompressionMethod="ISO_10918_1", **MORE,
    )  # fmt: skip
    before = words_of(file)
    _, instance, target = written(file)
    after = dcmread(io.BytesIO(target.getvalue()))
    assert after.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert (after.LossyImageCompression, after.LossyImageCompressionRatio) == ("01", 9.5)
    (box,) = instance.screen.boxes
    words = words_of(target)
    inside = (box.frame, slice(box.y, box.y + box.height), slice(box.x, box.x + box.width))
    assert not words[INSIDE].any()
    words[inside] = before[inside]
    assert np.array_equal(words, before)


def test_an_object_that_becomes_native_says_so():
    frames = [np.random.default_rng(3).integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    progressive = []
    for frame in frames:
        made = io.BytesIO()
        Image.fromarray(frame).save(made, "JPEG", quality=90, progressive=True)
        progressive.append((made.getvalue(),))
    kind = Kind(photometric="YBR_FULL_422", allocated=8, stored=8)
    file = file_of(JPEGBaseline8Bit, kind, items(progressive, has_table=True), np.stack(frames), **MORE)
    _, instance, target = written(file)
    after = dcmread(io.BytesIO(target.getvalue()))
    assert after.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian == instance.description.transfer_syntax_uid
    assert (after.PhotometricInterpretation, after.PlanarConfiguration) == ("RGB", 0)
    assert not words_of(target)[INSIDE].any()


def test_a_redaction_without_boxes_or_boxes_without_a_redaction_are_refused():
    with pytest.raises(PixelScreenError, match="where"):
        written(native(ExplicitVRLittleEndian), ())
    with pytest.raises(PixelScreenError, match="where"):
        written(native(ExplicitVRLittleEndian), verdict=PixelVerdict.CLEAR)


def test_float_pixels_stay_in_their_own_element():
    content = image(np.zeros((32, 32), np.uint32))
    del content.PixelData
    values = np.ones((32, 32), np.float32)
    values[0, 0] = 0
    content.FloatPixelData = values.tobytes()
    _, _, target = written(part10(content), [replace(BOXES[0], frame=0)])
    after = words_of(target)[0]
    assert not after[5:11, 4:21].any()
    assert after.sum() == 32 * 32 - 6 * 17 - 1


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_elements_behind_the_pixels_stay_behind_them(syntax):
    file = native(syntax) if syntax in NATIVE else compressed(syntax, Kind(), Kind().words(), **MORE)
    whole = written(file)[2].getvalue()
    assert dcmread(io.BytesIO(whole))[0x7FE00010].tag == list(dcmread(io.BytesIO(whole)).keys())[-1]


class Reader:
    """A screen of the written file that gives what it was told to, one answer for each time it is asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def still_there(self, *_args, frames, **_options):
        self.asked.append(frames)
        return self.answers.pop(0)


def left(fate=RegionFate.REDACTED):
    return PixelFinding(frame=1, x=30, y=20, width=8, height=5, text_class=TextClass.IDENTIFYING, score=0.9, fate=fate)


def release(*answers, boxes=BOXES, reader=None):
    file, target, engine = native(ExplicitVRLittleEndian), io.BytesIO(), Deidentifier(profile())
    plan = engine.plan(engine.read(file), scope())
    screen = ScreenReport(verdict=PixelVerdict.REDACT, frames=3, frames_read=3, boxes=boxes)
    instance = released(engine, reader or Reader(*answers), plan, screen, identified_file=file, target=target)
    return instance, target


def test_what_is_seen_only_when_its_neighbour_is_black_becomes_black_too():
    instance, target = release((left(),), ())
    words = words_of(target)
    assert not words[INSIDE].any()
    assert not words[1, 20:25, 30:38].any()
    assert len(instance.screen.boxes) == 2
    assert len(instance.screen.findings) == len(instance.screen.identified_texts) == 1
    assert instance.size_bytes == len(target.getvalue())


def test_what_does_not_go_away_or_is_for_a_person_holds():
    with pytest.raises(TextRemainsError):
        release((left(),), (left(),), (left(),))
    with pytest.raises(TextRemainsError) as caught:
        release((left(RegionFate.HELD),))
    assert caught.value.findings == (left(RegionFate.HELD),)


def test_frames_in_which_nothing_was_left_are_not_read_once_more():
    reader = Reader((left(),), ())
    release(boxes=[replace(BOXES[0], frame=None)], reader=reader)
    assert reader.asked == [None, frozenset({1})]
