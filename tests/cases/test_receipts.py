"""A receipt accounts for all that was sent of a study, whatever happened in whatever order."""

import random
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from cases.errors import CaseNotFoundError, InvalidChangeError
from cases.evidence import EvidenceRule, ListedInstances, ReceiptState
from cases.intake import (
    AssociationOutcome,
    AssociationSummary,
    DeclinedContext,
    Destination,
    InstanceFacts,
    InstanceOutcome,
    NewArrival,
    Refusal,
)
from cases.model import CaseStatus
from cases.receipts import CODE_ALPHABET, CODE_LENGTH, Place, Receipt, ReceiptSummary, SettledBy, read_code
from cases.store import Cases, Database, Holds, Intake, Receipts
from cases.store import evidence as sources
from cases.store.receipts import ReceiptFilter
from cases.users import Role, User
from tests.cases.test_intake import association
from tests.cases.world import (
    CT_IMAGE_STORAGE,
    HOLD,
    INBOX,
    NOON,
    arrival,
    file,
    file_study,
    image,
    key,
    open_shell,
    receive,
    route,
    user,
)

ANN = route("ann")
SC = "1.2.840.10008.5.1.4.1.1.7"
ROOT = User(id="", name="root", role=Role.ADMIN, draft_limit=0)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def receipts(database: Database, viewer: User = ROOT, **filters: Any) -> tuple[ReceiptSummary, ...]:
    with database.read() as session:
        return Receipts(session).list(viewer, filters=ReceiptFilter(**filters)).items


def receipt(database: Database, study: str, destination: Destination = ANN, viewer: User = ROOT) -> Receipt:
    with database.read() as session:
        code = session.execute(
            text("SELECT receipt_code FROM received_study WHERE key = :key"), {"key": f"{key(study)}-{destination.id}"}
        ).scalar_one()
        return Receipts(session).get(viewer, code)


def inspected(database: Database, arrivals: list[NewArrival], *facts: InstanceFacts) -> None:
    with database.write() as session:
        for one, known in zip(arrivals, facts, strict=True):
            Intake(session).set_fingerprint(one.arrival_id, dataset="d" * 64, pixels="p" * 64, facts=known)


def numbered(number: int | None, series: str = "s1", **stated: int) -> InstanceFacts:
    return InstanceFacts(series_key=key(series), instance_number=number, **stated)


def record(database: Database, summary: AssociationSummary) -> None:
    with database.write() as session:
        Intake(session).record_association(summary)


def test_a_code_is_short_unique_and_stays(database: Database) -> None:
    for number in range(30):
        receive(database, ANN, f"s{number}")
    before = {one.study_key: one.code for one in receipts(database)}
    receive(database, ANN, "s3", [arrival("s3", "late")])
    after = {one.study_key: one.code for one in receipts(database)}
    assert before == after
    assert len(set(before.values())) == 30
    assert all(len(code) == CODE_LENGTH and set(code) <= set(CODE_ALPHABET) for code in before.values())


def test_a_code_that_is_taken_is_not_given_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter(["AAAAAAA", "AAAAAAA", "BBBBBBB"])
    monkeypatch.setattr("cases.store.intake.new_code", lambda: next(codes))
    receive(database, ANN, "one")
    receive(database, ANN, "two")
    assert {one.code for one in receipts(database)} == {"AAAAAAA", "BBBBBBB"}


@pytest.mark.parametrize("written", ["K7Q10MF", "k7q10mf", "K7QiOMF", "k7q-lOmf", " K7Q 10MF "])
def test_a_code_is_known_however_somebody_writes_it_down(written: str) -> None:
    assert read_code(written) == "K7Q10MF"


@pytest.mark.parametrize("written", ["", "K7Q10M", "K7Q10MFF", "K7Q10MU", "K7Q10M%", "Ⅻ7Q10MF"])
def test_what_is_no_code_is_none(database: Database, written: str) -> None:
    receive(database, ANN, "s")
    assert read_code(written) == ""
    with pytest.raises(CaseNotFoundError), database.read() as session:
        Receipts(session).get(ROOT, written)


def eventful(database: Database) -> list[NewArrival]:
    """One study with an object in every place; two associations, one of which another study came on too."""
    objects = [arrival("s", str(number), association="a1") for number in range(9)]
    objects[8] = replace(objects[8], sop_class_uid=SC)
    removed = receive(database, ANN, "s", objects[:1])
    shell = open_shell(database, ANN, "s")
    file(database, shell, removed[0], image("s/0", study="s"))
    with database.write() as session:
        Cases(session).remove(user(database, "eve", Role.EDITOR), shell.case_id)
    receive(database, ANN, "s", objects[1:])
    shell = open_shell(database, ANN, "s")
    file(database, shell, objects[1], image("s/1", study="s", number=1))
    with database.write() as session:
        intake, holds = Intake(session), Holds(session)
        intake.finish(objects[2].arrival_id, InstanceOutcome.DROPPED, "screen-capture")
        holds.hold(shell.case_id, objects[3].arrival_id, HOLD)
        intake.finish(objects[4].arrival_id, InstanceOutcome.DUPLICATE, duplicate_of=objects[1].arrival_id)
        intake.finish(objects[5].arrival_id, InstanceOutcome.SUPERSEDED, duplicate_of=objects[1].arrival_id)
        holds.hold(shell.case_id, objects[6].arrival_id, HOLD)
        intake.mark_purged([objects[6].arrival_id], NOON)
        intake.finish(objects[8].arrival_id, InstanceOutcome.DROPPED, "screen-capture")
    receive(database, ANN, "other", [arrival("other", "1", association="a1"), arrival("other", "2", association="a2")])
    record(
        database,
        association(
            "a1",
            stored=10,
            refusals=(
                Refusal(sop_class_uid=CT_IMAGE_STORAGE, status=0xC000, reason="unreadable", count=2),
                Refusal(sop_class_uid=SC, status=0xA700, reason="full", count=1),
            ),
            declined=(DeclinedContext(abstract_syntax="1.2.3", reason="not a storage service"),),
        ),
    )
    refused = (Refusal(sop_class_uid=SC, status=0xC000, reason="unreadable", count=4),)
    record(database, association("a2", outcome=AssociationOutcome.LOST, rule="connection-lost", refusals=refused))
    return objects


def test_a_receipt_has_every_object_in_one_place_with_its_class_and_reason(database: Database) -> None:
    eventful(database)
    found = receipt(database, "s")
    sums = found.summary.sums
    assert {place: getattr(sums, place.value) for place in Place} == {
        **dict.fromkeys(Place, 1),
        Place.DROPPED: 2,
    }
    assert (sums.stored, sums.refused, sums.sent, sums.adds_up) == (9, 3, 12, True)
    assert [(line.place.value, line.sop_class_uid, line.reason, line.count) for line in found.lines] == [
        ("filed", CT_IMAGE_STORAGE, "", 1),
        ("removed", CT_IMAGE_STORAGE, "", 1),
        ("waiting", CT_IMAGE_STORAGE, "", 1),
        ("dropped", CT_IMAGE_STORAGE, "screen-capture", 1),
        ("dropped", SC, "screen-capture", 1),
        ("held", CT_IMAGE_STORAGE, "burned-in-text", 1),
        ("duplicate", CT_IMAGE_STORAGE, "", 1),
        ("superseded", CT_IMAGE_STORAGE, "", 1),
        ("expired", CT_IMAGE_STORAGE, "burned-in-text", 1),
    ]
    assert found.declined == (("1.2.3", 1),)
    assert [case.status for case in found.summary.cases] == [CaseStatus.REMOVED, CaseStatus.DRAFT]
    assert found.summary.done_at is None, "one object waits"


def test_refused_objects_are_counted_once_in_the_study_that_their_association_brought_first(
    database: Database,
) -> None:
    eventful(database)
    first, other = receipt(database, "s"), receipt(database, "other")
    assert [(one.status, one.count, one.counted_in) for one in first.refusals] == [
        (0xA700, 1, first.summary.code),
        (0xC000, 2, first.summary.code),
    ]
    assert [(one.association_id, one.count, one.counted_in) for one in other.refusals] == [
        ("a1", 1, first.summary.code),
        ("a1", 2, first.summary.code),
        ("a2", 4, other.summary.code),
    ]
    assert (first.summary.sums.refused, other.summary.sums.refused) == (3, 4)


def test_the_receipts_add_up_to_the_sum_of_everything_that_was_sent(database: Database) -> None:
    eventful(database)
    file_study(database, INBOX, "third", 3)
    with database.read() as session:
        total = Intake(session).summary().total
    found = receipts(database)
    assert all(one.sums.adds_up for one in found)
    assert sum(one.sums.stored for one in found) == total.stored == 14
    assert sum(one.sums.refused for one in found) == total.refused == 7
    assert sum(one.sums.sent for one in found) == total.sent
    for place, there in ((Place.HELD, total.held), (Place.DROPPED, total.dropped), (Place.WAITING, total.in_progress)):
        assert sum(getattr(one.sums, place.value) for one in found) == there


def test_associations_that_ended_alike_stand_together(database: Database) -> None:
    eventful(database)
    receive(database, ANN, "other", [arrival("other", "3", association="open")])
    found = receipt(database, "other").associations
    assert [(one.outcome, one.rule, one.count) for one in found] == [
        (AssociationOutcome.LOST, "connection-lost", 1),
        (AssociationOutcome.RELEASED, "", 1),
        (None, "", 1),
    ]


def test_the_series_show_what_numbers_are_missing(database: Database) -> None:
    arrivals = receive(database, ANN, "s", 5)
    inspected(
        database,
        arrivals,
        numbered(1, "axial"),
        numbered(2, "axial"),
        numbered(6, "axial"),
        numbered(9, "axial"),
        numbered(1, "scout"),
    )
    found = receipt(database, "s")
    assert [(one.number, one.facts.objects, one.gaps) for one in found.series] == [(1, 4, ((3, 5), (7, 8))), (2, 1, ())]
    assert found.summary.judgement.state is ReceiptState.UNKNOWN
    assert found.summary.judgement.evidence[0].rule is EvidenceRule.INSTANCE_NUMBERS


@pytest.mark.parametrize(
    ("stated", "state", "missing", "rule"),
    [
        ({}, "probably-complete", 0, "instance-numbers"),
        ({"stated_study": 3}, "complete", 0, "study-count"),
        ({"stated_study": 5}, "short", 2, "study-count"),
        ({"stated_series": 4}, "short", 1, "series-count"),
        ({"stated_series": 3}, "probably-complete", 0, "series-count"),
        ({"acquisition_number": 1, "stated_acquisition": 3}, "probably-complete", 0, "acquisition-count"),
        ({"acquisition_number": 1, "stated_acquisition": 9}, "unknown", 0, "acquisition-count"),
    ],
)
def test_what_the_headers_state_is_held_against_what_came(
    database: Database, stated: dict[str, int], state: str, missing: int, rule: str
) -> None:
    arrivals = receive(database, ANN, "s", 3)
    again = receive(database, ANN, "s", [replace(arrival("s", "0"), sop_key=arrivals[0].sop_key)])
    facts = [numbered(number, **stated) for number in (1, 2, 3)]
    inspected(database, [*arrivals, *again], *facts, facts[0])
    judgement = receipt(database, "s").summary.judgement
    assert (judgement.state.value, judgement.missing, judgement.evidence[0].rule.value) == (state, missing, rule)


def test_acquisitions_that_contradict_themselves_are_no_evidence(database: Database) -> None:
    arrivals = receive(database, ANN, "s", 2)
    said = [numbered(n, acquisition_number=1, stated_acquisition=stated) for n, stated in ((1, 2), (2, 9))]
    inspected(database, arrivals, *said)
    assert receipt(database, "s").summary.judgement.evidence[0].rule is EvidenceRule.INSTANCE_NUMBERS


@pytest.mark.parametrize("later", [False, True])
def test_an_association_that_broke_off_leaves_it_open_unless_another_came_after(
    database: Database, later: bool
) -> None:
    arrivals = receive(database, ANN, "s", [arrival("s", "1", association="a1"), arrival("s", "2", association="a2")])
    inspected(database, arrivals, numbered(1), numbered(2))
    record(database, association("a1", outcome=AssociationOutcome.ABORTED, rule="requestor"))
    start = NOON + minutes(10 if later else 0)
    record(database, association("a2", started_at=start, ended_at=start + minutes(1)))
    judgement = receipt(database, "s").summary.judgement
    expected = ReceiptState.PROBABLY_COMPLETE if later else ReceiptState.UNKNOWN
    assert (judgement.state, EvidenceRule.BROKEN_ASSOCIATION in {one.rule for one in judgement.evidence}) == (
        expected,
        not later,
    )


def test_a_sender_s_list_is_evidence_and_settles(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"count": 1}

    def manifest(_session: object, study_key: str) -> ListedInstances:
        assert study_key == f"{key('s')}-ann"
        return ListedInstances(rule=EvidenceRule.MANIFEST, listed=3, missing=missing["count"])

    monkeypatch.setattr(sources, "SOURCES", (lambda *_: None, manifest))
    receive(database, ANN, "s", 2)
    judgement = receipt(database, "s").summary.judgement
    assert (judgement.state, judgement.missing) == (ReceiptState.SHORT, 1)
    with database.read() as session:
        assert Intake(session).settled_by_list(f"{key('s')}-ann") is None
        missing["count"] = 0
        assert Intake(session).settled_by_list(f"{key('s')}-ann") is SettledBy.MANIFEST
    assert receipt(database, "s").summary.judgement.state is ReceiptState.COMPLETE


def test_a_study_that_arrives_has_a_receipt_already(database: Database) -> None:
    with database.write() as session:
        Intake(session).record([arrival("s", "1")], destination=ANN)
    found = receipt(database, "s").summary
    assert (found.judgement.state, found.sums.waiting, found.settled_at, found.settled_by, found.generation) == (
        ReceiptState.ARRIVING,
        1,
        None,
        None,
        0,
    )
    with database.write() as session:
        Intake(session).assign_generation(f"{key('s')}-ann", SettledBy.LONGEST_WAIT)
    found = receipt(database, "s").summary
    assert found.settled_by is SettledBy.LONGEST_WAIT
    assert found.settled_at is not None


def test_a_finished_study_says_when_its_images_appeared(database: Database) -> None:
    file_study(database, ANN, "s", 3)
    found = receipt(database, "s").summary
    assert found.first_filed_at is not None
    assert found.done_at is not None
    assert found.first_filed_at <= found.done_at


# -- who sees what ---------------------------------------------------------------------------------------------------


def test_a_contributor_sees_the_receipts_of_own_cases_and_of_what_is_on_its_way(database: Database) -> None:
    ann, bob = user(database, "ann"), user(database, "bob")
    file_study(database, ANN, "mine")
    file_study(database, route("bob"), "theirs")
    file_study(database, INBOX, "unowned")
    with database.write() as session:
        Intake(session).record([arrival("coming", "1")], destination=ANN)
    assert {one.study_key for one in receipts(database, ann)} == {key("mine"), key("coming")}
    assert {one.study_key for one in receipts(database, bob)} == {key("theirs")}
    assert len(receipts(database, user(database, "eve", Role.EDITOR))) == 4
    theirs = receipt(database, "theirs", route("bob")).summary.code
    with pytest.raises(CaseNotFoundError), database.read() as session:
        Receipts(session).get(ann, theirs)


def test_a_removed_case_takes_its_receipt_from_its_owner_s_sight(database: Database) -> None:
    ann = user(database, "ann")
    shell = file_study(database, ANN, "mine")
    with database.write() as session:
        Cases(session).remove(ann, shell.case_id)
    assert receipts(database, ann) == ()
    assert len(receipts(database)) == 1


def test_a_case_names_its_receipt(database: Database) -> None:
    shell = file_study(database, ANN, "s")
    with database.read() as session:
        assert Cases(session).get(ROOT, shell.case_id).receipts == (receipt(database, "s").summary.code,)


# -- lists -----------------------------------------------------------------------------------------------------------


def test_lists_are_narrowed_by_state_sender_and_time(database: Database) -> None:
    late = NOON + minutes(60)
    full = receive(database, ANN, "full", [arrival("full", "1", calling_ae="MODALITY")])
    short = receive(database, ANN, "short", [arrival("short", "1", at=late)])
    inspected(database, [*full, *short], numbered(1, stated_study=1), numbered(1, stated_study=4))
    with database.write() as session:
        Intake(session).record([arrival("coming", "1", at=late)], destination=ANN)

    def studies(**filters: Any) -> set[str]:
        return {one.study_key for one in receipts(database, **filters)}

    assert studies(state=ReceiptState.SHORT) == {key("short")}
    assert studies(state=ReceiptState.COMPLETE) == {key("full")}
    assert studies(state=ReceiptState.ARRIVING) == {key("coming")}
    assert studies(sender="MODALITY") == {key("full")}
    assert studies(sender="NOBODY") == set()
    assert studies(since=late) == {key("short"), key("coming")}
    assert studies(since=late, state=ReceiptState.SHORT) == {key("short")}


@pytest.mark.parametrize("looked_at", [2, 2000])
@pytest.mark.parametrize("state", [None, ReceiptState.SHORT])
def test_a_list_is_read_page_by_page_without_loss(
    database: Database, monkeypatch: pytest.MonkeyPatch, state: ReceiptState | None, looked_at: int
) -> None:
    monkeypatch.setattr("cases.store.receipts.LOOKED_AT", looked_at)
    for number in range(9):
        arrivals = receive(database, ANN, f"s{number}", [arrival(f"s{number}", "1", at=NOON + minutes(number // 2))])
        inspected(database, arrivals, numbered(1, stated_study=1 + number % 2))
    found, cursor, pages = list[str](), None, 0
    while True:
        with database.read() as session:
            page = Receipts(session).list(ROOT, cursor=cursor, limit=2, filters=ReceiptFilter(state=state))
        assert len(page.items) <= 2
        found += [one.code for one in page.items]
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            break
    wanted = [one.code for one in receipts(database) if state in {None, one.judgement.state}]
    assert found == wanted
    assert len(found) == (9 if state is None else 4)
    assert pages >= len(found) / 2


def test_a_cursor_of_another_list_is_refused(database: Database) -> None:
    with pytest.raises(InvalidChangeError), database.read() as session:
        Receipts(session).list(ROOT, cursor="bm9uc2Vuc2U")


# -- any order -------------------------------------------------------------------------------------------------------


def test_any_order_of_arrivals_and_journals_gives_the_same_receipt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cases.store.intake.new_code", lambda: next(codes))
    arrivals = [
        arrival(
            study, str(number), association=f"a{number % 3}", at=NOON + minutes(number), calling_ae=f"PACS{number % 2}"
        )
        for number in range(6)
        for study in ("s", "t")
    ]
    facts = {one.arrival_id: numbered(number // 2, "s1", stated_study=7) for number, one in enumerate(arrivals, 2)}
    refusals = (Refusal(sop_class_uid=SC, status=0xC000, reason="unreadable", count=2),)
    declined = (DeclinedContext(abstract_syntax="1.2.3", reason="not a storage service"),)
    ended = [
        association("a0", outcome=AssociationOutcome.ABORTED, rule="requestor", refusals=refusals),
        association("a1", started_at=NOON + minutes(9), ended_at=NOON + minutes(10), declined=declined),
        association("a2", started_at=NOON + minutes(11), ended_at=NOON + minutes(12), refusals=refusals),
    ]
    found: list[list[dict[str, Any]]] = []
    for seed in range(12):
        codes = iter(["SSSSSSS", "TTTTTTT"])
        for name in ("s", "t"):  # so that each has the same code every time
            with database.write() as session:
                Intake(session).record([one for one in arrivals if one.study_key == key(name)][:1], destination=ANN)
        _play(database, arrivals, facts, ended, random.Random(seed))
        found.append([_told(receipt(database, name)) for name in ("s", "t")])
        with database.write() as session:
            for table in ("refusal", "declined_context", "association", "received_instance", "received_study"):
                session.execute(text(f"DELETE FROM {table}"))
    assert all(told == found[0] for told in found[1:])
    assert found[0][0]["summary"]["judgement"]["missing"] == 1


def _play(
    database: Database,
    arrivals: list[NewArrival],
    facts: dict[str, InstanceFacts],
    ended: list[AssociationSummary],
    chance: random.Random,
) -> None:
    """Record, inspect and close the books in any order, some of it twice, and settle in between."""
    steps: list[Callable[[], None]] = [lambda one=one: record(database, one) for one in (*ended, *ended[:1])]
    rest = [*arrivals, *chance.sample(arrivals, 3)]
    chance.shuffle(rest)
    while rest:
        size = chance.randint(1, 4)
        batch, rest = rest[:size], rest[size:]
        steps.append(lambda batch=batch: _record(database, batch))
    steps += [lambda: _settle(database)] * chance.randint(0, 3)
    chance.shuffle(steps)
    for step in steps:
        step()
    _settle(database)
    order = [*arrivals]
    chance.shuffle(order)
    for one in order:
        inspected(database, [one], facts[one.arrival_id])


def _record(database: Database, batch: list[NewArrival]) -> None:
    with database.write() as session:
        Intake(session).record(batch, destination=ANN)


def _settle(database: Database) -> None:
    for name in ("s", "t"):
        with database.write() as session:
            Intake(session).assign_generation(f"{key(name)}-ann")


def _told(found: Receipt) -> dict[str, Any]:
    """What a receipt says, but for how often it settled in between and when."""
    told = asdict(found)
    for name in ("generation", "settled_at"):
        del told["summary"][name]
    return told


def test_moments_of_a_receipt_are_of_utc(database: Database) -> None:
    file_study(database, ANN, "s")
    found = receipt(database, "s").summary
    moments = [value for value in asdict(found).values() if isinstance(value, datetime)]
    assert len(moments) == 5
    assert all(moment.utcoffset() == timedelta(0) for moment in moments)
