"""Which elements two written instances differ in."""

import io
from collections.abc import Callable

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless

from deidentify.changes import MOST_CHANGES, element_changes
from deidentify.errors import UnreadableInstanceError
from deidentify.results import ElementFate
from tests.builders import ct_instance, write_part10


def found(change: Callable[[Dataset], None]) -> list[tuple[str, str, str]]:
    """What differs after a change."""
    older, newer = ct_instance(study=1, number=1), ct_instance(study=1, number=1)
    change(newer)
    changes = element_changes(io.BytesIO(write_part10(older)), io.BytesIO(write_part10(newer)))
    return [(one.place, one.name, one.change.value) for one in changes]


def test_equal_instances_do_not_differ() -> None:
    assert found(lambda _: None) == []


def test_added_removed_and_changed_elements_are_named_and_their_values_are_not() -> None:
    def change(dataset: Dataset) -> None:
        dataset.DeviceSerialNumber = "4711"
        dataset.Modality = "MR"
        del dataset.SeriesInstanceUID

    assert found(change) == [
        ("(0008,0060)", "Modality", "changed"),
        ("(0018,1000)", "DeviceSerialNumber", "added"),
        ("(0020,000E)", "SeriesInstanceUID", "removed"),
    ]


def test_items_are_compared_by_their_places_and_told_once() -> None:
    def items(*values: str) -> Sequence:
        made = []
        for value in values:
            item = Dataset()
            item.CodeValue = value
            made.append(item)
        return Sequence(made)

    older, newer = ct_instance(study=1, number=1), ct_instance(study=1, number=1)
    older.ProcedureCodeSequence, newer.ProcedureCodeSequence = items("A", "B"), items("X", "Y", "Z")
    changes = element_changes(io.BytesIO(write_part10(older)), io.BytesIO(write_part10(newer)))

    assert [(one.place, one.change) for one in changes] == [
        ("(0008,1032).(0008,0100)", ElementFate.CHANGED),
        ("(0008,1032)", ElementFate.CHANGED),
    ]


def test_pixels_are_told_apart_native_and_encapsulated() -> None:
    def other_pixels(dataset: Dataset) -> None:
        dataset.PixelData = bytes([255]) + dataset.PixelData[1:]

    assert found(other_pixels) == [("(7FE0,0010)", "PixelData", "changed")]
    native, *compressed = [
        io.BytesIO(write_part10(ct_instance(study=1, number=1), **chosen))
        for chosen in (
            {},
            {"frames": [b"not looked at"], "transfer_syntax": JPEG2000Lossless},
            {"frames": [b"not looked it"], "transfer_syntax": JPEG2000Lossless},
        )
    ]
    for older, newer in ((native, compressed[0]), (compressed[0], native), (compressed[0], compressed[1])):
        assert [one.is_pixels for one in element_changes(older, newer)] == [True]
    assert element_changes(compressed[0], compressed[0]) == ()


def test_the_name_of_the_profile_is_no_difference() -> None:
    def change(dataset: Dataset) -> None:
        dataset.DeidentificationMethod = "another revision"

    assert found(change) == []


def test_the_answer_is_bounded() -> None:
    def change(dataset: Dataset) -> None:
        for element in range(MOST_CHANGES + 50):
            dataset.add_new(0x00191000 + element, "LO", "x")

    def with_pixels(dataset: Dataset) -> None:
        change(dataset)
        dataset.PixelData = bytes([255]) + dataset.PixelData[1:]

    assert len(found(change)) == MOST_CHANGES
    assert found(with_pixels)[0] == ("(7FE0,0010)", "PixelData", "changed")


def test_what_is_no_instance_is_an_error() -> None:
    with pytest.raises(UnreadableInstanceError):
        element_changes(io.BytesIO(b"x" * 200), io.BytesIO(b"y" * 200))
