"""The meanings that PS3.16 gives can be written, and say the same."""

from deidentify.concepts import standard_meaning
from tests.builders import code, ct_instance, write_part10
from tests.deidentify.support import deidentified


def test_a_unit_is_not_made_another_by_a_letter_that_the_character_set_lacks():
    assert standard_meaning("UCUM", "uV") == "uV"
    instance = ct_instance(
        SpecificCharacterSet=None, MeasurementUnitsCodeSequence=[code("uV", "UCUM", "uV in the lead of Qzfremd")]
    )
    written = deidentified(write_part10(instance)).dataset
    assert written.MeasurementUnitsCodeSequence[0].CodeMeaning == "uV"
    assert written.MeasurementUnitsCodeSequence[0].CodeValue == "uV"
