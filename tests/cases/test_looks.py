"""Looks at originals in the database: fixed when they are asked for, resumed after a crash, summed when read."""

import pytest

from cases.errands import Errand, ErrandState
from cases.errors import CaseNotFoundError, OriginalsGoneError
from cases.impacts import ImpactCounts
from cases.intake import NewArrival
from cases.looks import GONE, Looked, spread
from cases.profiles import ProfileRevision
from cases.store import Database, Errands, Intake, Looks, Profiles, Receipts
from cases.store import looks as looks_module
from cases.users import Role, User
from tests.cases.world import INBOX, NOON, arrival, key, receive, route

OLD = ProfileRevision(name="teaching", revision="a" * 16, text="name: teaching")
NEW = ProfileRevision(name="strict", revision="b" * 16, text="name: strict")
STUDY = f"{key('study')}-{INBOX.id}"


def asked(database: Database, study: str = "study", *, most: int = 12, has_pixels: bool = True) -> Errand:
    with database.write() as session:
        return Looks(session).request_preview(key(study), NEW, most=most, has_pixels=has_pixels, actor="ada")


def begun(database: Database, errand: Errand) -> list[int] | None:
    with database.write() as session:
        found = Looks(session).begin(errand)
    return sorted(found) if found is not None else None


def note(database: Database, errand: Errand, number: int, one: Looked) -> bool:
    with database.write() as session:
        return Looks(session).note_preview(errand.id, number, one)


def purge(database: Database, *arrivals: NewArrival) -> None:
    with database.write() as session:
        Intake(session).mark_purged([one.arrival_id for one in arrivals], NOON)


def delivered(**changes: int) -> Looked:
    return Looked(outcome="delivered", changes=changes, pictures=1)


# -- previews ----------------------------------------------------------------------------------------------------------


def test_a_preview_is_the_next_generation_of_its_study_and_knows_its_instances(database: Database) -> None:
    arrivals = receive(database, INBOX, "study", 7)
    errand = asked(database, most=3)
    assert (errand.received_study, errand.generation, errand.state) == (STUDY, 2, ErrandState.QUEUED)
    with database.read() as session:
        preview = Looks(session).preview(errand.id)
    wanted = [arrivals[n].arrival_id for n in (0, 3, 6)]
    assert [(one.number, one.arrival_id) for one in preview.instances] == list(enumerate(wanted, 1))
    assert preview.has_pixels
    assert (preview.outcomes(), preview.changes()) == ({}, {})


def test_a_study_is_found_by_its_key_its_row_and_the_code_of_its_receipt(database: Database) -> None:
    receive(database, INBOX, "study", 2)
    receive(database, route("ada"), "study", 1)
    with database.read() as session:
        from sqlalchemy import text

        query = text("SELECT receipt_code FROM received_study WHERE key = :key")
        code = session.execute(query, {"key": STUDY}).scalar_one()
    found = {}
    for name in (key("study"), STUDY, code, code.lower()):
        with database.write() as session:
            errand = Looks(session).request_preview(name, NEW, most=12, has_pixels=False, actor="ada")
        found[name] = len(errand.asked["arrivals"])
    assert found == {key("study"): 3, STUDY: 2, code: 2, code.lower(): 2}


def test_a_study_that_never_was_and_one_whose_originals_are_gone_are_told_apart(database: Database) -> None:
    arrivals = receive(database, INBOX, "study", 2)
    with pytest.raises(CaseNotFoundError):
        asked(database, "another")
    purge(database, *arrivals[:1])
    assert len(asked(database).asked["arrivals"]) == 1
    purge(database, *arrivals[1:])
    with pytest.raises(OriginalsGoneError):
        asked(database)


def test_a_receipt_does_not_count_looks_as_settlings(database: Database) -> None:
    receive(database, INBOX, "study", 1)
    asked(database)
    receive(database, INBOX, "study", [arrival("study", "later")])
    with database.read() as session:
        study = Intake(session).study(STUDY)
        (receipt,) = Receipts(session).list(admin(), limit=10, cursor=None).items
    assert (study.generation, receipt.generation) == (3, 2)


def admin() -> User:
    return User(id="", name="", role=Role.ADMIN, draft_limit=0)


def test_what_was_looked_at_before_a_crash_is_kept(database: Database) -> None:
    receive(database, INBOX, "study", 3)
    errand = asked(database)
    assert begun(database, errand) == [1, 2, 3]
    assert note(database, errand, 2, delivered(same=4, removed=1))
    assert begun(database, errand) == [1, 2, 3]
    assert note(database, errand, 1, Looked(outcome="held", reason="burned-in-text", changes={"same": 3}))
    assert note(database, errand, 3, Looked(outcome=GONE))
    with database.write() as session:
        Looks(session).conclude(errand.id)
    with database.read() as session:
        preview = Looks(session).preview(errand.id)
    assert (preview.errand.state, preview.errand.done, preview.errand.total) == (ErrandState.DONE, 3, 3)
    assert preview.errand.finished_at is not None
    assert preview.outcomes() == {"held: burned-in-text": 1, "delivered": 1, "gone": 1}
    assert preview.changes() == {"same": 7, "removed": 1}
    assert [one.looked.pictures for one in preview.instances] == [0, 1, 0]


def test_nothing_is_written_into_a_preview_that_is_over(database: Database) -> None:
    receive(database, INBOX, "study", 1)
    errand = asked(database)
    begun(database, errand)
    with database.write() as session:
        Errands(session).call_off(errand.id, ErrandState.FAILED, "it could not be worked on: OSError")
    assert begun(database, errand) is None
    assert not note(database, errand, 1, delivered(same=1))
    with database.write() as session:
        Looks(session).conclude(errand.id)
    with database.read() as session:
        found = Looks(session).preview(errand.id).errand
    assert (found.state, found.reason) == (ErrandState.FAILED, "it could not be worked on: OSError")
    assert found.result == {}


# -- impacts -----------------------------------------------------------------------------------------------------------


def compared(database: Database, *studies: str, most: int = 5) -> tuple[Errand, ...]:
    with database.write() as session:
        Profiles(session).keep(OLD)
        Profiles(session).keep(NEW)
        keys = [key(study) for study in studies]
        return Looks(session).request_impact(OLD, NEW, keys, most=most, actor="ada")


def counts(instances: int, *attributes: str, second: str = "delivered") -> ImpactCounts:
    found = ImpactCounts(instances=instances, touched=instances)
    found.outcomes["delivered", second] += instances
    for name in attributes:
        found.attributes[name, name, "changed", "emptied"] += instances
    return found


def noted(database: Database, errand: Errand, found: ImpactCounts, gone: int = 0, *, ends: bool = True) -> None:
    with database.write() as session:
        looks = Looks(session)
        looks.begin(errand)
        assert looks.note_impact(errand.id, found, gone)
        if ends:
            looks.conclude(errand.id)


def test_an_impact_is_an_errand_for_each_study_and_their_sum(database: Database) -> None:
    for study in ("one", "two", "three", "four"):
        receive(database, INBOX, study, 7)
    errands = compared(database, "one", "two", "three", "four", "one", "nowhere")
    assert len(errands) == 4
    assert len({errand.group_id for errand in errands}) == 1
    assert [len(errand.asked["arrivals"]) for errand in errands] == [5] * 4
    noted(database, errands[0], counts(5, "a", "b"))
    noted(database, errands[1], counts(3, "b", second="held: profile"), gone=2)
    noted(database, errands[2], ImpactCounts(), gone=5)
    with database.read() as session:
        impact = Looks(session).impact(errands[0].group_id)
    assert (impact.first, impact.second) == (f"teaching@{'a' * 16}", f"strict@{'b' * 16}")
    assert impact.states() == {"done": 3, "queued": 1}
    assert (impact.state, impact.unfinished) == (ErrandState.RUNNING, 1)
    assert (impact.gone, impact.studies_gone) == (7, 1)
    whole = impact.counts()
    assert (whole.instances, whole.touched) == (8, 8)
    assert whole.attributes == {("a", "a", "changed", "emptied"): 5, ("b", "b", "changed", "emptied"): 8}
    assert whole.holds() == ({"profile": 3}, {})


def test_studies_that_failed_are_told_with_their_reasons(database: Database) -> None:
    for study in ("one", "two"):
        receive(database, INBOX, study, 1)
    errands = compared(database, "one", "two")
    with database.write() as session:
        Errands(session).call_off(errands[0].id, ErrandState.FAILED, "it could not be worked on: KeyError")
    noted(database, errands[1], counts(1))
    with database.read() as session:
        impact = Looks(session).impact(errands[0].group_id)
    assert impact.state is ErrandState.DONE
    assert impact.states() == {"failed": 1, "done": 1}
    assert impact.faults() == ("it could not be worked on: KeyError",)


def test_without_any_original_nothing_is_compared(database: Database) -> None:
    arrivals = receive(database, INBOX, "one", 1)
    purge(database, *arrivals)
    with pytest.raises(OriginalsGoneError):
        compared(database, "one")


def test_rare_attributes_of_a_study_are_counted_not_listed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks_module, "MOST_ATTRIBUTES", 2)
    receive(database, INBOX, "one", 2)
    (errand,) = compared(database, "one")
    found = counts(1, "a", "b", "c", "d")
    found.merge(counts(1, "c", "d"))
    noted(database, errand, found, ends=False)
    noted(database, errand, found)
    with database.read() as session:
        whole = Looks(session).impact(errand.group_id).counts()
    assert {place for place, *_ in whole.attributes} == {"c", "d"}
    assert whole.left_out == 2


def test_an_errand_of_another_kind_is_neither_preview_nor_impact(database: Database) -> None:
    receive(database, INBOX, "study", 1)
    errand = asked(database)
    (other,) = compared(database, "study")
    with database.read() as session:
        for read, name in ((Looks(session).preview, other.id), (Looks(session).impact, errand.id)):
            with pytest.raises(CaseNotFoundError):
                read(name)


# -- counting ----------------------------------------------------------------------------------------------------------


def test_holds_appear_vanish_and_change_their_reason() -> None:
    found = ImpactCounts()
    found.outcomes.update(
        {
            ("delivered", "held: profile"): 2,
            ("held: unreadable", "dropped: video"): 3,
            ("held: profile", "held: unreadable"): 1,
            ("held: profile", "held: profile"): 9,
        }
    )
    assert found.holds() == ({"profile": 2, "unreadable": 1}, {"unreadable": 3, "profile": 1})


def test_counts_come_back_from_their_values() -> None:
    found = counts(3, "a", "b", second="held: profile")
    found.keep_most(1)
    assert ImpactCounts.of(found.values()) == found


@pytest.mark.parametrize(
    ("count", "most", "wanted"), [(5, 0, [0, 1, 2, 3, 4]), (5, 9, [0, 1, 2, 3, 4]), (5, 1, [0]), (9, 3, [0, 4, 8])]
)
def test_a_sample_has_the_first_and_the_last(count: int, most: int, wanted: list[int]) -> None:
    assert spread(range(count), most) == wanted
