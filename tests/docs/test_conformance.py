"""docs/conformance.md says what scp/ does. Written anew by: python -m tests.docs.conformance_tables."""

import re

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bridge import commitments
from scp import arrival
from scp.commitment_data import MAX_REFERENCES, FailureReason
from scp.contexts import VERIFICATION, ProposedContext, answer_contexts
from scp.peers import Refusal
from scp.server import ReceiverSettings
from scp.status import COMMENT_LENGTH, Status
from tests.docs.conformance_tables import (
    FAILURES,
    PAGE,
    REFUSALS,
    STATUS_NAMES,
    comments_by_status,
    with_tables,
)

TEXT = PAGE.read_text()
UIDS = re.findall(r"^\| .* \| ([\d.]+) \|$", TEXT, re.MULTILINE)


def section(begin: str, end: str) -> str:
    return TEXT.partition(begin)[2].partition(end)[0]


def test_the_tables_equal_the_code() -> None:
    assert with_tables(TEXT) == TEXT, "write them anew with: .venv/bin/python -m tests.docs.conformance_tables"


def test_every_status_and_every_refusal_has_its_words() -> None:
    assert set(STATUS_NAMES) == set(Status)
    assert set(REFUSALS) == set(Refusal)
    assert set(FAILURES) == set(FailureReason)


def test_every_failure_of_storage_tells_the_peer_what_to_do() -> None:
    comments = comments_by_status()
    storage = {Status.OUT_OF_RESOURCES, Status.DATA_SET_MISMATCH, Status.CANNOT_UNDERSTAND}
    assert storage <= set(comments)
    assert all(len(comment) <= COMMENT_LENGTH for pairs in comments.values() for comment, _ in pairs)


@pytest.mark.parametrize("uid", [uid for uid in UIDS if uid.startswith(("1.2.840.10008.5.1.4", "1.2.840.10008.5.1.1"))])
def test_every_class_of_the_table_is_accepted_in_every_transfer_syntax(uid: str) -> None:
    syntaxes = [each for each in UIDS if each.startswith("1.2.840.10008.1.2")]
    proposed = tuple(
        ProposedContext(context_id=2 * index + 1, abstract_syntax=uid, transfer_syntaxes=(syntax,))
        for index, syntax in enumerate(syntaxes)
    )
    answers = answer_contexts(proposed)
    assert [answer.transfer_syntax for answer in answers if answer.is_accepted] == syntaxes


def test_the_first_proposed_transfer_syntax_is_chosen() -> None:
    proposed = ProposedContext(
        context_id=1, abstract_syntax=CTImageStorage, transfer_syntaxes=("1.2.3.4", str(ExplicitVRLittleEndian))
    )
    (answer,) = answer_contexts((proposed,))
    assert answer.transfer_syntax == "1.2.3.4"
    assert VERIFICATION not in UIDS


def test_the_facts_of_the_association_equal_the_code() -> None:
    policies = section("### 4.1", "### 4.2")
    assert f"{ReceiverSettings().max_pdu_bytes:,} bytes" in policies
    assert arrival.IMPLEMENTATION_CLASS_UID in policies
    assert arrival.IMPLEMENTATION_VERSION in policies


def test_the_facts_of_storage_commitment_equal_the_code() -> None:
    commitment = section("#### 4.2.3", "### 4.3")
    assert f"{MAX_REFERENCES:,} instances" in commitment
    assert f"after {commitments.FIRST_RETRY_S:.0f} s" in commitment
    assert commitments.LAST_RETRY_S == 1800
    assert commitments.GIVE_UP_H == 48


def test_the_window_equals_the_code() -> None:
    assert f"{ReceiverSettings().max_operations} at most" in section("### 4.1", "### 4.2")
