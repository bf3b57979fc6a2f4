"""The preview shows before and after, which line did it, and which pieces of a text go."""

import io

from pydicom.sequence import Sequence

from deidentify.deidentifier import Deidentifier
from deidentify.parser import read_instance
from deidentify.preview import Change, Preview, PreviewRow
from deidentify.profile import Profile
from tests.builders import ct_instance, dataset, write_part10
from tests.deidentify.support import clear_screen, profile, scope


def preview_of(part10: bytes, used: Profile | None = None) -> dict[str, PreviewRow]:
    engine = Deidentifier(used or profile())
    source, target = io.BytesIO(part10), io.BytesIO()
    received = engine.read(source)
    plan = engine.plan(received, scope())
    engine.write(plan, clear_screen(plan), source, target)
    rows = Preview(engine.decisions_for(received), plan.identified_tokens).rows(received, read_instance(target))
    return {row.place: row for row in rows}


def test_each_kind_of_change_is_told_with_the_line_that_made_it():
    instance = ct_instance(PatientName="Doe^Jane", StudyDescription="CT Abdomen Doe", InstitutionName="Klinik", KVP=120)
    instance.AccessionNumber = "ACC-1"
    rows = preview_of(write_part10(instance))
    assert rows["(0010,0010)"].change is Change.CHANGED
    assert rows["(0010,0010)"].identified_before == "Doe^Jane"
    assert (rows["(0008,0080)"].change, rows["(0008,0080)"].source) == (Change.REMOVED, "Table E.1-1")
    assert rows["(0008,0050)"].change is Change.EMPTIED
    assert rows["(0018,0060)"].change is Change.SAME
    assert (rows["(0012,0062)"].change, rows["(0012,0062)"].after) == (Change.ADDED, "YES")
    assert (rows["(0008,1030)"].by, rows["(0008,1030)"].source) == ("option", "clean-descriptors")


def test_pieces_of_a_text_that_go_are_marked():
    row = preview_of(write_part10(ct_instance(PatientName="Doe^Jane", StudyDescription="CT Abdomen Doe")))[
        "(0008,1030)"
    ]
    (start, end, reason), *_ = row.identified_marks
    assert (row.identified_before[start:end], reason) == ("Doe", "own")
    assert row.after == "CT Abdomen"


def test_elements_of_items_have_their_place():
    instance = ct_instance()
    instance.RequestAttributesSequence = Sequence([dataset(RequestedProcedureID="RP-77", ScheduledProcedureStepID="S")])
    rows = preview_of(write_part10(instance))
    assert rows["(0040,0275)[0].(0040,1001)"].identified_before == "RP-77"
    assert rows["(0040,0275)[0].(0040,1001)"].change in {Change.REMOVED, Change.EMPTIED, Change.CHANGED}


def test_private_elements_say_which_policy_took_them():
    instance = ct_instance()
    block = instance.private_block(0x0019, "SOMEBODY", create=True)
    block.add_new(0x01, "LO", "Doe")
    row = preview_of(write_part10(instance))["(0019,1001)"]
    assert (row.change, row.by, row.source) == (Change.REMOVED, "private", "private: remove")


def test_a_row_shows_no_value_in_its_repr():
    assert "Doe" not in repr(preview_of(write_part10(ct_instance(PatientName="Doe^Jane")))["(0010,0010)"])


def test_binary_numbers_are_shown_as_numbers_and_bulk_as_its_size():
    rows = preview_of(write_part10(ct_instance()))
    assert rows["(0028,0010)"].identified_before == rows["(0028,0010)"].after != ""
    assert rows["(7FE0,0010)"].after.endswith("bytes")
