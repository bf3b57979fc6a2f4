import pytest
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.sop_class import (
    _MEDIA_CREATION_CLASSES,
    _NON_PATIENT_OBJECT_CLASSES,
    _PROCEDURE_STEP_CLASSES,
    _QR_CLASSES,
    _STORAGE_CLASSES,
    _STORAGE_COMMITMENT_CLASSES,
    _UNIFIED_PROCEDURE_STEP_CLASSES,
)

from scp.contexts import VERIFICATION, ProposedContext, answer_contexts, is_storage, is_uid

CT = "1.2.840.10008.5.1.4.1.1.2"


def _proposed(abstract: str, *transfer: str) -> ProposedContext:
    return ProposedContext(context_id=1, abstract_syntax=abstract, transfer_syntaxes=transfer)


def test_every_known_storage_class_is_storage():
    classes = {*_STORAGE_CLASSES.values(), *_NON_PATIENT_OBJECT_CLASSES.values()}
    classes |= {str(context.abstract_syntax) for context in AllStoragePresentationContexts}

    assert [uid for uid in classes if not is_storage(uid)] == []


@pytest.mark.parametrize(
    "uid",
    [
        "1.3.12.2.1107.5.9.1",  # private
        "1.2.840.10008.5.1.4.1.1.999.1",  # newer than any table
        "1.2.840.10008.5.1.4.1.1.12.77",  # retired, nameless in the tables
        "31",  # what a sender makes of UIDs stored as UN
    ],
)
def test_private_and_unknown_classes_are_storage(uid):
    assert is_storage(uid)


def test_known_services_are_not_storage():
    services = {
        VERIFICATION,
        "1.2.840.10008.1.3.10",
        "1.2.840.10008.1.20.2",
        "1.2.840.10008.5.1.4.31",
        *_STORAGE_COMMITMENT_CLASSES.values(),
        *_QR_CLASSES.values(),
        *_PROCEDURE_STEP_CLASSES.values(),
        *_UNIFIED_PROCEDURE_STEP_CLASSES.values(),
        *_MEDIA_CREATION_CLASSES.values(),
        "1.2.840.10008.1.2.1",
    }

    assert [uid for uid in services if is_storage(uid)] == []


@pytest.mark.parametrize(
    ("proposed", "result", "syntax"),
    [
        (_proposed(CT, "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2"), 0, "1.2.840.10008.1.2.4.90"),
        (_proposed(CT, "1.2.840.113619.5.2"), 0, "1.2.840.113619.5.2"),
        (_proposed(CT, "9.9.9.9"), 0, "9.9.9.9"),
        (_proposed(VERIFICATION, "1.2.840.10008.1.2"), 0, "1.2.840.10008.1.2"),
        (_proposed("1.2.840.10008.1.20.1", "1.2.840.10008.1.2"), 3, "1.2.840.10008.1.2"),
        (_proposed("not a uid", "1.2.840.10008.1.2"), 3, "1.2.840.10008.1.2"),
        (_proposed(CT, "not a uid", "1.2.840.10008.1.2"), 0, "1.2.840.10008.1.2"),
        (_proposed(CT), 4, ""),
    ],
)
def test_a_context_gets_the_first_transfer_syntax_that_can_be_stored(proposed, result, syntax):
    [answer] = answer_contexts((proposed,))

    assert (answer.result, answer.transfer_syntax) == (result, syntax)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.2.3", True), ("", False), ("1" * 65, False), ("1.2.x", False), ("²", False), (".", False)],
)
def test_uids_are_digits_and_dots(text, expected):
    assert is_uid(text) is expected
