"""Values planted in every kind of element must not be found in the written bytes."""

from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deidentify.dictionary import vr_table
from deidentify.tables import attribute_rows
from tests.builders import code, ct_instance, mr_instance, sr_instance, us_instance, write_part10
from tests.deidentify.support import deidentified

TEXT = ("LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "UR")


class Planter:
    """Hands out words that occur nowhere else."""

    def __init__(self) -> None:
        self.planted: list[bytes] = []

    def word(self) -> str:
        word = f"qzcanary{''.join(chr(97 + int(digit)) for digit in str(1000 + len(self.planted)))}xq"
        self.planted.append(word.encode())
        return word

    def found(self, written: bytes) -> list[bytes]:
        lowered = written.lower()
        return [word for word in self.planted if word in lowered]

    def value(self, vr: str) -> str | bytes | None:
        if vr in TEXT:
            return self.word()[:64]
        if vr in {"OB", "UN"}:
            return self.word().encode().ljust(20)
        return None


def public_tags() -> Iterator[tuple[int, str]]:
    for tag, vr in sorted(vr_table().items()):
        if tag >> 16 > 6 and tag & 0xFFFF and tag != 0x7FE00010 and tag >> 16 != 0xFFFE:
            yield tag, vr


def plant_everywhere(dataset: Dataset, planter: Planter, *, skip: frozenset[int]) -> None:
    for tag, vr in public_tags():
        value = planter.value(vr)
        if value is not None and tag not in skip:
            dataset.add_new(tag, vr, value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [ct_instance, mr_instance, us_instance, sr_instance])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_no_word_in_any_text_or_byte_element_survives(make, syntax):
    planter = Planter()
    instance = make()
    plant_everywhere(instance, planter, skip=frozenset((0x00080005,)))
    written = deidentified(write_part10(instance, transfer_syntax=syntax)).written
    assert len(planter.planted) > 700
    assert planter.found(written) == []


@pytest.mark.filterwarnings("ignore")
def test_no_word_survives_at_any_depth_in_private_in_un_or_behind_the_end():
    planter = Planter()
    instance = ct_instance()
    level: Dataset = instance
    for sequence in (
        "AcquisitionContextSequence",
        "SharedFunctionalGroupsSequence",
        "VOILUTSequence",
        "ProcedureCodeSequence",
    ):
        item = Dataset()
        plant_everywhere(item, planter, skip=frozenset((0x00080005,)))
        item.add_new(0x00091010, "LO", planter.word())
        setattr(level, sequence, Sequence([item]))
        level = item
    instance.ConceptNameCodeSequence = Sequence([Dataset()])
    for keyword, value in code(planter.word()[:16], "99LOCAL", planter.word()).items():
        setattr(instance.ConceptNameCodeSequence[0], keyword, value)
    instance.add_new(0x00990010, "LO", planter.word())
    instance.add_new(0x00991001, "UN", planter.word().encode())
    instance.add_new(0x00991002, "SQ", Sequence([Dataset()]))
    instance[0x00991002].value[0].PatientName = planter.word()
    instance.add_new(0x60003000, "OB", planter.word().encode().ljust(20))
    instance.add_new(0x60001500, "LO", planter.word())
    instance.add_new(0x50003000, "OB", planter.word().encode().ljust(20))
    instance.add_new(0xFFFCFFFC, "OB", planter.word().encode().ljust(20))
    original = write_part10(
        instance,
        preamble=planter.word().encode().ljust(128),
        SourceApplicationEntityTitle=planter.word()[:16],
        ImplementationVersionName=planter.word()[:16],
        PrivateInformationCreatorUID="1.2.3",
        PrivateInformation=planter.word().encode().ljust(20),
    )
    hidden = b"\xfe\xff\0\xe0\x1c\0\0\0\x10\0\x10\0\x14\0\0\0" + planter.word().encode().ljust(20)
    original += b"\xfe\x7f\x10\0UN\0\0" + len(hidden).to_bytes(4, "little") + hidden
    assert planter.found(deidentified(original).written) == []


def test_no_original_uid_or_date_survives():
    instance = ct_instance(
        PatientBirthDate="19570314",
        AcquisitionDateTime="20240229235530.123",
        DateOfLastCalibration=["20240101", "20240115"],
        IrradiationEventUID="1.2.826.0.1.3680043.10.1507.77.77",
    )
    written = deidentified(write_part10(instance)).written
    for value in (b"1.2.826.0.1.3680043.10.1507", b"20240229", b"20240101", b"20240115", b"19570314"):
        assert value not in written


@pytest.mark.filterwarnings("ignore")
def test_every_row_of_the_table_changes_what_it_should():
    """Each text row of Table E.1-1 that no option keeps, planted alone at the top and one level down."""
    planter = Planter()
    instance, item = ct_instance(), Dataset()
    for tag, row in attribute_rows().items():
        if row.vr in TEXT and tag >> 16 > 6:
            instance.add_new(tag, row.vr, planter.word())
            item.add_new(tag, row.vr, planter.word())
    instance.VOILUTSequence = Sequence([item])
    written = deidentified(write_part10(instance)).written
    assert planter.found(written) == []
