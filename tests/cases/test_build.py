"""Where an image goes, and the order in which it is shown."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import build
from cases.model import CaseImage, CaseModality
from deidentify.results import PixelVerdict
from tests.cases.world import image, uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (1.0, 0.0, 0.0, 0.0, 0.7071, -0.7071)


def shown(name: str, number: int | None, z: float | None = None) -> CaseImage:
    return CaseImage(
        id=name,
        sop_instance_uid=uid(name),
        sop_class_uid="1.2",
        transfer_syntax_uid="1.2",
        instance_number=number,
        position=None if z is None else (0.0, 0.0, z),
        orientation=None if z is None else AXIAL,
        frames=1,
        rows=1,
        columns=1,
        has_pixels=True,
        verdict=PixelVerdict.CLEAR,
        blob_key=name,
        sha256="",
        size_bytes=1,
    )


def test_an_image_goes_by_its_study_modality_and_series() -> None:
    placed = build.place(image("x", orientation=AXIAL))
    assert (placed.modality, placed.perspective, placed.specifics) == (CaseModality.CT, "Axial", "AX LUNG")
    assert (placed.study_instance_uid, placed.series_instance_uid) == (uid("study"), uid("study/series"))
    assert build.place(image("x", modality="PT")).modality == CaseModality.NUCLEAR_MEDICINE


def test_a_projection_has_no_plane() -> None:
    assert build.place(image("x", modality="CR", orientation=AXIAL)).perspective == ""


@pytest.mark.parametrize(
    ("modality", "expected"),
    [
        ("CT", "CT"),
        ("MR", "MRI"),
        ("DX", "X-ray"),
        ("us ", "Ultrasound"),
        ("MG", "Mammography"),
        ("XA", "DSA (angiography)"),
        ("RF", "Fluoroscopy"),
        ("NM", "Nuclear medicine"),
        ("SM", "Pathology"),
        ("XC", "Photograph"),
        ("SEG", "Annotated image"),
        ("", "Annotated image"),
    ],
)
def test_every_modality_has_one_of_the_twelve_names(modality: str, expected: str) -> None:
    assert build.case_modality(modality) == expected


def test_there_are_twelve_modalities() -> None:
    assert len(CaseModality) == 12


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(AXIAL, "Axial"), (CORONAL, "Coronal"), (SAGITTAL, "Sagittal"), (OBLIQUE, ""), (None, ""), ((0.0,) * 6, "")],
)
def test_a_plane_is_named_where_it_is_one(orientation: tuple[float, ...] | None, expected: str) -> None:
    assert build.plane(orientation) == expected


def test_days_become_offsets_from_the_earliest() -> None:
    assert build.day_offsets(["20200301", "20200228", "", "garbage!"]) == (2, 0, 0, 0)
    assert build.day_offsets([]) == ()


def test_instance_numbers_give_the_order() -> None:
    images = [shown(f"i{n}", n, z=-n) for n in range(30)]
    mixed = random.Random(1).sample(images, 30)
    assert build.in_order(mixed) == tuple(images)


def test_without_clear_numbers_the_place_in_the_stack_gives_the_order() -> None:
    for number in (None, 1):
        images = [shown(f"i{n}", number, z=2.5 * n) for n in range(30)]
        mixed = random.Random(1).sample(images, 30)
        assert build.in_order(mixed) == tuple(images)


@given(st.permutations([shown("a", 2), shown("b", None), shown("c", None, z=1.0), shown("d", 2)]))
def test_the_order_does_not_depend_on_the_order_of_filing(images: list[CaseImage]) -> None:
    assert build.in_order(images) == build.in_order(sorted(images, key=lambda i: i.id))


def test_an_image_is_never_lost_by_ordering() -> None:
    images = [replace(shown(str(n), n % 3), position=None) for n in range(9)]
    assert sorted(i.id for i in build.in_order(images)) == [str(n) for n in range(9)]


def test_a_shell_shows_the_modalities_of_what_arrived() -> None:
    found = build.modalities_of_sop_classes(["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128", "9.9"])
    assert found == (CaseModality.CT, CaseModality.NUCLEAR_MEDICINE)
