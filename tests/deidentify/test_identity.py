"""What identifies a patient is cut into the same words as the text that is cleaned and searched."""

import io

import pytest

from deidentify.identity import identified_tokens
from deidentify.parser import read_instance
from deidentify.vocabulary import words_of
from tests.builders import ct_instance, write_part10
from tests.deidentify.support import deidentified


@pytest.mark.parametrize("address", ["Cedar Sk. No:91", "Flat#7 O'Dwyer Court"])
def test_an_address_is_cut_into_words_as_text_is(address):
    received = read_instance(io.BytesIO(write_part10(ct_instance(PatientAddress=address))))
    own = identified_tokens(received).own_words
    assert {word for word in words_of(address) if len(word) > 1 and not word.isdigit()} <= own


def test_a_house_number_behind_a_colon_in_a_comment_holds_nothing_and_goes():
    written = deidentified(
        write_part10(ct_instance(PatientAddress="Cedar Sk. No:91", ImageComments="CT of No:91 abdomen"))
    )
    assert "No:91" not in written.dataset.ImageComments
    assert "abdomen" in written.dataset.ImageComments
