"""Which of several arrivals under one SOP Instance UID counts."""

from dataclasses import replace
from datetime import UTC, datetime

from bridge.resends import Resends, decide, encoded_differently
from cases.intake import InstanceOutcome, ReceivedInstance
from deidentify.compare import Fingerprint

NATIVE, COMPRESSED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"


def arrived(number: int, *, sop: int = 1, syntax: str = NATIVE, **known: object) -> ReceivedInstance:
    """Return an arrival; higher numbers came later."""
    instance = ReceivedInstance(
        arrival_id=f"{number:032x}",
        received_study="study-route",
        study_key="study",
        sop_key=f"{sop:032x}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid=syntax,
        calling_ae="PACS",
        called_ae="CASEBRIDGE",
        peer_address="127.0.0.1",
        association_id="association",
        received_at=datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC),
        size_bytes=100,
        generation=1,
        outcome=InstanceOutcome.RECEIVED,
        reason="",
        detail="",
        case_id=None,
        duplicate_of=None,
        fingerprint_dataset="",
        fingerprint_pixels="",
        is_purged=False,
    )
    return replace(instance, **known)  # type: ignore[arg-type]


def prints(**content: str) -> dict[str, Fingerprint]:
    """Return fingerprints by arrival: ``a1="header/pixels"`` is that of arrival 1."""
    found = {}
    for name, spelled in content.items():
        header, _, pixels = spelled.partition("/")
        found[f"{int(name[1:]):032x}"] = Fingerprint(dataset=header, pixels=pixels)
    return found


def numbers(instances: object) -> list[int]:
    return sorted(int(instance.arrival_id, 16) for instance in instances)  # type: ignore[attr-defined]


def replaced(resends: Resends) -> dict[int, list[int]]:
    return {int(key, 16): numbers(old) for key, old in resends.superseded.items()}


def test_what_came_once_is_worked_on() -> None:
    found = decide([arrived(1), arrived(2, sop=2)], [], prints(a1="h/p", a2="h/p"))

    assert numbers(found.fresh) == [1, 2]
    assert not found.duplicates
    assert not found.conflicts
    assert not found.superseded


def test_an_identical_resend_is_a_duplicate_of_the_first() -> None:
    found = decide([arrived(2)], [arrived(1, outcome=InstanceOutcome.FILED)], prints(a1="h/p", a2="h/p"))

    assert not found.fresh
    assert [(numbers([new]), numbers([old])) for new, old in found.duplicates] == [([2], [1])]


def test_an_identical_resend_of_what_was_dropped_does_not_bring_it_back() -> None:
    found = decide([arrived(2)], [arrived(1, outcome=InstanceOutcome.DROPPED)], prints(a1="h/p", a2="h/p"))

    assert not found.fresh
    assert len(found.duplicates) == 1


def test_the_newest_header_takes_the_place_of_all_before_it() -> None:
    found = decide([arrived(2), arrived(3)], [arrived(1)], prints(a1="h1/p", a2="h2/p", a3="h3/p"))

    assert numbers(found.fresh) == [3]
    assert replaced(found) == {3: [1, 2]}


def test_a_resend_of_a_header_that_was_replaced_counts_as_new_again() -> None:
    earlier = [arrived(1, outcome=InstanceOutcome.SUPERSEDED), arrived(2, outcome=InstanceOutcome.FILED)]

    found = decide([arrived(3)], earlier, prints(a1="h1/p", a2="h2/p", a3="h1/p"))

    assert numbers(found.fresh) == [3]
    assert replaced(found) == {3: [2]}


def test_different_pixels_hold_new_and_old_alike() -> None:
    found = decide([arrived(2)], [arrived(1, outcome=InstanceOutcome.FILED)], prints(a1="h/p1", a2="h/p2"))

    assert not found.fresh
    assert numbers(found.conflicts) == [1, 2]


def test_a_third_that_equals_one_of_a_conflict_is_its_duplicate() -> None:
    found = decide([arrived(1), arrived(2), arrived(3)], [], prints(a1="h/p1", a2="h/p2", a3="h/p1"))

    assert numbers(found.conflicts) == [1, 2]
    assert [numbers(pair) for pair in found.duplicates] == [[1, 3]]
    assert not found.fresh


def test_a_third_with_another_header_joins_the_conflict() -> None:
    found = decide([arrived(1), arrived(2), arrived(3)], [], prints(a1="h/p1", a2="h/p2", a3="h3/p1"))

    assert numbers(found.conflicts) == [1, 2, 3]


def test_what_could_not_be_parsed_gives_way_to_what_can() -> None:
    found = decide([arrived(2)], [arrived(1, outcome=InstanceOutcome.HELD)], prints(a2="h/p"))

    assert numbers(found.fresh) == [2]
    assert replaced(found) == {2: [1]}


def test_a_resend_that_cannot_be_parsed_is_held_by_itself() -> None:
    found = decide([arrived(2)], [arrived(1, outcome=InstanceOutcome.FILED)], prints(a1="h/p"))

    assert numbers(found.fresh) == [2]
    assert not found.superseded
    assert not found.conflicts


def test_the_order_of_arrival_counts_and_not_that_of_the_list() -> None:
    found = decide([arrived(3), arrived(1), arrived(2)], [], prints(a1="h1/p", a2="h2/p", a3="h3/p"))

    assert numbers(found.fresh) == [3]


def test_pixels_that_differ_under_one_uid_are_decoded_before_they_are_compared() -> None:
    native, compressed, other = arrived(1), arrived(2, syntax=COMPRESSED), arrived(3, sop=2)
    known = prints(a1="h/p1", a2="h/p2", a3="h/p3")

    doubtful = encoded_differently([native, compressed, other], known)

    assert doubtful == {native.arrival_id, compressed.arrival_id}


def test_equal_pixel_bytes_need_no_decoding() -> None:
    assert encoded_differently([arrived(1), arrived(2)], prints(a1="h/p", a2="h2/p")) == set()


def test_what_something_else_stands_for_needs_no_decoding() -> None:
    gone = arrived(1, outcome=InstanceOutcome.DUPLICATE)

    assert encoded_differently([gone, arrived(2)], prints(a1="h/p", a2="h/p2")) == set()
