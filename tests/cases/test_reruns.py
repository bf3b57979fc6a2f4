"""Making cases anew: what is touched, what stays, and who decides."""

from dataclasses import replace

import pytest
from sqlalchemy import select, text

from cases.changes import CaseChanges, StudyChange
from cases.errands import Errand, ErrandState
from cases.errors import (
    CaseClosedError,
    CaseNotFoundError,
    InvalidTransitionError,
    OriginalsGoneError,
    RerunInProgressError,
)
from cases.holds import HoldFilter, HoldState
from cases.intake import InstanceOutcome, NewArrival
from cases.model import CaseDetail, CaseShell, CaseStatus
from cases.profiles import ProfileRevision
from cases.reruns import StagedInstance, rerun_blob_key
from cases.store import (
    Cases,
    Consents,
    Crosswalk,
    Database,
    Errands,
    Holds,
    Intake,
    Manifests,
    Originals,
    Profiles,
    Reruns,
)
from cases.store.condemned import condemn
from cases.store.errand_rows import StagedInstanceRow
from cases.store.rows import CaseImageRow, CondemnedBlobRow
from cases.users import Role
from deidentify.results import (
    AgeBand,
    DeidentifiedInstance,
    Dropped,
    DropReason,
    ElementChange,
    ElementFate,
    Hold,
    HoldReason,
    IdentifierHashes,
    TeachingText,
)
from tests.cases.test_consents import consented
from tests.cases.world import HOLD, INBOX, NOON, SCREEN, arrival, file, image, open_shell, receive, route, uid, user

NEW = ProfileRevision(name="strict", revision="b" * 16, text="name: strict")
PIXELS = ElementChange(place="(7FE0,0010)", name="PixelData", change=ElementFate.CHANGED)
SERIAL = ElementChange(place="(0018,1000)", name="DeviceSerialNumber", change=ElementFate.ADDED)


def study_of(database: Database, count: int = 3, *, owner: str | None = None) -> tuple[CaseShell, list[NewArrival]]:
    """Let a study of so many images come to its case."""
    destination = route(owner) if owner else INBOX
    arrivals = receive(database, destination, "study", count)
    shell = open_shell(database, destination, "study")
    for number, arrived in enumerate(arrivals):
        compared(database, arrived)
        file(database, shell, arrived, image(f"{number}", number=number))
    return shell, arrivals


def compared(database: Database, arrived: NewArrival) -> None:
    with database.write() as session:
        Intake(session).set_fingerprint(arrived.arrival_id, dataset="d", pixels="p")


def begun(database: Database, shell: CaseShell, total: int = 3) -> Errand:
    with database.write() as session:
        errand, _, _ = Reruns(session).request(shell.case_id, NEW, actor="ada")
        Errands(session).begin(errand.id, total)
    return errand


def again(number: int, **described: object) -> DeidentifiedInstance:
    """The image of this number as the newer revision writes it."""
    old = image(f"{number}", number=number)
    return replace(
        old,
        sha256=f"{number:064x}",
        description=replace(old.description, **described),  # type: ignore[arg-type]
        report=replace(old.report, profile="strict", profile_revision="b" * 16),
    )


def staged(
    arrived: NewArrival,
    outcome: DeidentifiedInstance | Hold | Dropped | None,
    was: InstanceOutcome = InstanceOutcome.FILED,
    *changes: ElementChange,
) -> StagedInstance:
    key = f"cases/x/{arrived.arrival_id}-new.dcm" if isinstance(outcome, DeidentifiedInstance) else ""
    return StagedInstance(arrival_id=arrived.arrival_id, was=was, outcome=outcome, blob_key=key, changes=changes)


def stage(database: Database, errand: Errand, *ones: StagedInstance) -> None:
    for one in ones:
        with database.write() as session:
            assert Reruns(session).stage(errand.id, one)


def conclude(database: Database, errand: Errand) -> Errand:
    with database.write() as session:
        Reruns(session).conclude(errand.id)
    with database.read() as session:
        return Errands(session).get(errand.id)


def detail(database: Database, shell: CaseShell) -> CaseDetail:
    admin = user(database, "admin", Role.ADMIN)
    with database.read() as session:
        return Cases(session).get(admin, shell.case_id)


def set_status(database: Database, shell: CaseShell, status: CaseStatus) -> None:
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = :s WHERE id = :c"), {"s": status, "c": shell.case_id})


def outcome(database: Database, arrived: NewArrival) -> InstanceOutcome:
    with database.read() as session:
        return Intake(session).instance(arrived.arrival_id).outcome


def condemned(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(CondemnedBlobRow.blob_key)))


def blobs(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(CaseImageRow.blob_key)))


def test_an_open_draft_gets_what_was_made_and_keeps_rows_marks_and_texts(database: Database) -> None:
    shell, arrivals = study_of(database, owner="neuro")
    owner = user(database, "neuro")
    before = detail(database, shell)
    marked = before.studies[0].series[0].images[1]
    with database.write() as session:
        session.execute(
            text("UPDATE case_image SET is_key = :t, key_position = 0, key_frames = '[1]' WHERE id = :i"),
            {"t": True, "i": marked.id},
        )
        changes = CaseChanges(
            title="Nodule", studies=(StudyChange(id=before.studies[0].id, findings="A nodule.", caption="axial"),)
        )
        Cases(session).patch(owner, shell.case_id, changes, before.summary.version, SCREEN)
    document = consented(database, shell.case_id)
    old_blobs = blobs(database)
    errand = begun(database, shell)

    stage(
        database,
        errand,
        *[
            staged(one, again(n, series_description="", age_band=AgeBand(""), sex=""), InstanceOutcome.FILED, SERIAL)
            for n, one in enumerate(arrivals)
        ],
    )
    assert blobs(database) == old_blobs  # nothing is shown before all of it is there
    ended = conclude(database, errand)

    after = detail(database, shell)
    assert ended.state is ErrandState.DONE
    assert (after.profile, after.profile_revision) == (NEW.name, NEW.revision)
    assert (after.summary.title, after.studies[0].findings, after.studies[0].caption) == (
        "Nodule",
        "A nodule.",
        "axial",
    )
    old_images, new_images = before.studies[0].series[0].images, after.studies[0].series[0].images
    assert [one.id for one in new_images] == [one.id for one in old_images]
    assert [one.sop_instance_uid for one in new_images] == [one.sop_instance_uid for one in old_images]
    assert (new_images[1].is_key, new_images[1].key_position, new_images[1].key_frames) == (True, 0, (1,))
    assert after.studies[0].id == before.studies[0].id
    # Labels and facts are those of the new revision: what it does not tell any more is gone.
    assert (after.studies[0].series[0].specifics, after.summary.age_band, after.summary.sex) == ("", "", "")
    assert before.studies[0].series[0].specifics == "AX LUNG"
    assert condemned(database) == old_blobs
    assert after.summary.version == before.summary.version + 2  # of the contributor's own edit and document alone
    assert ended.result == {
        "remade": 3,
        "changed": 3,
        "pixels": 0,
        "cleared": 0,
        "held": {},
        "dropped": {},
        "failed": 0,
        "gone": 0,
        "decided": 0,
        "expired": 0,
        "references": 0,
        "texts": 0,
        "elements": [["(0018,1000)", "DeviceSerialNumber", "added", 3]],
        "more_elements": 0,
    }
    with database.read() as session:
        assert Profiles(session).cases_under(NEW.revision) == 1
        assert not session.scalars(select(StagedInstanceRow)).all()
        assert Consents(session).blob_keys(shell.case_id) == [document]


def test_late_images_of_a_case_that_was_made_anew_are_made_under_the_newer_revision(database: Database) -> None:
    shell, arrivals = study_of(database)
    errand = begun(database, shell)
    stage(database, errand, *[staged(one, again(n)) for n, one in enumerate(arrivals)])
    conclude(database, errand)

    assert open_shell(database, INBOX, "study").profile_revision == NEW.revision


def test_an_image_that_is_held_or_left_out_now_leaves_the_case_and_says_why(database: Database) -> None:
    shell, (first, second, third) = study_of(database)
    errand = begun(database, shell)
    dropped = Dropped(reason=DropReason.SCREEN_CAPTURE, detail="a screen capture")
    stage(database, errand, staged(first, HOLD), staged(second, dropped), staged(third, again(2)))

    ended = conclude(database, errand)

    assert [outcome(database, one) for one in (first, second, third)] == [
        InstanceOutcome.HELD,
        InstanceOutcome.DROPPED,
        InstanceOutcome.FILED,
    ]
    assert detail(database, shell).held_by_reason == {"burned-in-text": 1}
    assert (ended.result["held"], ended.result["dropped"]) == ({"burned-in-text": 1}, {"screen-capture": 1})
    assert len(blobs(database)) == 1
    with database.read() as session:
        (hold,) = (
            Holds(session).list(user(database, "admin", Role.ADMIN), filters=HoldFilter(case_id=shell.case_id)).items
        )
    assert (hold.reason, hold.findings) == (HoldReason.BURNED_IN_TEXT, HOLD.findings)


def test_what_was_held_or_left_out_becomes_an_image_and_its_identifiers_are_known(database: Database) -> None:
    arrivals = receive(database, INBOX, "study", 3)
    shell = open_shell(database, INBOX, "study")
    for arrived in arrivals:
        compared(database, arrived)
    file(database, shell, arrivals[0], image("0", number=0))
    with database.write() as session:
        Holds(session).hold(shell.case_id, arrivals[1].arrival_id, HOLD)
        Intake(session).finish(arrivals[2].arrival_id, InstanceOutcome.DROPPED, DropReason.SCREEN_CAPTURE.value)
    errand = begun(database, shell)
    known = IdentifierHashes(hashes=frozenset({b"h" * 16}), is_whole=True)
    stage(
        database,
        errand,
        staged(arrivals[0], again(0)),
        replace(staged(arrivals[1], again(1), InstanceOutcome.HELD), identifiers=known, crosswalk=("k", b"sealed")),
        staged(arrivals[2], again(2), InstanceOutcome.DROPPED),
    )

    ended = conclude(database, errand)

    assert [outcome(database, one) for one in arrivals] == [InstanceOutcome.FILED] * 3
    assert ended.result["cleared"] == 2
    assert detail(database, shell).held_by_reason == {}
    assert len(detail(database, shell).studies[0].series[0].images) == 3
    with database.read() as session:
        (hold,) = Holds(session).list(user(database, "admin", Role.ADMIN), filters=HoldFilter(state=None)).items
        assert session.execute(text("SELECT count(*) FROM identifier_hash")).scalar() == 1
        assert Crosswalk(session).find(shell.case_id) == ("k", b"sealed")
    assert hold.state is HoldState.WITHDRAWN


def test_holds_that_no_profile_can_answer_and_what_was_never_compared_stay(database: Database) -> None:
    arrivals = receive(database, INBOX, "study", 4)
    shell = open_shell(database, INBOX, "study")
    for arrived in arrivals[:3]:
        compared(database, arrived)
    file(database, shell, arrivals[0], image("0", number=0))
    with database.write() as session:
        for arrived, reason in (
            (arrivals[1], HoldReason.TWO_PATIENTS),
            (arrivals[2], HoldReason.SAME_UID_DIFFERENT_PIXELS),
            (arrivals[3], HoldReason.INTERNAL_ERROR),
        ):
            Holds(session).hold(shell.case_id, arrived.arrival_id, Hold(reason=reason, detail="x"))
    with database.read() as session:
        plan = Reruns(session).plan(shell.case_id)

    assert [one.arrival_id for one in plan.instances] == [arrivals[0].arrival_id]
    assert (plan.images, plan.gone, plan.decided) == (1, 0, 3)


def test_what_a_person_left_out_is_not_taken_back(database: Database) -> None:
    shell, _ = study_of(database, 1)
    held = receive(database, INBOX, "study", 2)[1]
    open_shell(database, INBOX, "study")
    compared(database, held)
    with database.write() as session:
        Holds(session).hold(shell.case_id, held.arrival_id, HOLD)
        session.execute(text("UPDATE hold SET state = :s"), {"s": HoldState.DISCARDED})
    with database.read() as session:
        plan = Reruns(session).plan(shell.case_id)

    assert held.arrival_id not in {one.arrival_id for one in plan.instances}
    assert plan.decided == 1


@pytest.mark.parametrize("status", [CaseStatus.PENDING_REVIEW, CaseStatus.PUBLISHED])
def test_a_case_that_others_may_see_waits_for_an_editor(database: Database, status: CaseStatus) -> None:
    shell, arrivals = study_of(database)
    set_status(database, shell, status)
    old_blobs = blobs(database)
    errand = begun(database, shell)
    stage(
        database,
        errand,
        *[staged(one, again(n), InstanceOutcome.FILED, SERIAL, PIXELS) for n, one in enumerate(arrivals)],
    )

    ended = conclude(database, errand)

    assert ended.state is ErrandState.IN_REVIEW
    assert (ended.result["changed"], ended.result["pixels"]) == (3, 3)
    assert blobs(database) == old_blobs
    assert condemned(database) == set()
    with database.write() as session:
        applied = Reruns(session).apply(errand.id, actor="eve")
    assert (applied.errand.state, applied.errand.decided_by) == (ErrandState.DONE, "eve")
    assert detail(database, shell).summary.status is status
    assert condemned(database) == old_blobs
    with database.write() as session, pytest.raises(InvalidTransitionError, match="only one that is in review"):
        Reruns(session).apply(errand.id, actor="eve")


def test_an_editor_leaves_a_case_as_it_is_and_what_was_made_goes(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    set_status(database, shell, CaseStatus.PUBLISHED)
    old_blobs = blobs(database)
    errand = begun(database, shell, 1)
    made = staged(arrivals[0], again(0))
    stage(database, errand, made)
    conclude(database, errand)

    with database.write() as session:
        ended = Reruns(session).discard(errand.id, actor="eve")

    assert (ended.state, ended.decided_by) == (ErrandState.DISCARDED, "eve")
    assert blobs(database) == old_blobs
    assert condemned(database) == {made.blob_key}
    with database.read() as session:
        assert Profiles(session).cases_under(NEW.revision) == 0


def test_another_request_takes_the_place_of_one_in_review_but_not_of_one_at_work(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    first = begun(database, shell, 1)
    with database.write() as session, pytest.raises(RerunInProgressError, match="running already"):
        Reruns(session).request(shell.case_id, NEW, actor="ada")
    set_status(database, shell, CaseStatus.PUBLISHED)
    made = staged(arrivals[0], again(0))
    stage(database, first, made)
    conclude(database, first)

    with database.write() as session:
        second, _, displaced = Reruns(session).request(shell.case_id, NEW, actor="ada")

    with database.read() as session:
        assert Errands(session).get(first.id).state is ErrandState.DISCARDED
    assert second.generation == first.generation + 1
    assert [(one.id, one.state) for one in displaced] == [(first.id, ErrandState.DISCARDED)]
    assert condemned(database) == {made.blob_key}


def test_a_removed_case_is_not_made_anew_and_what_was_staged_for_it_goes(database: Database) -> None:
    shell, arrivals = study_of(database, 2, owner="neuro")
    errand = begun(database, shell, 2)
    made = staged(arrivals[0], again(0))
    stage(database, errand, made)

    with database.write() as session:
        keys = Cases(session).remove(user(database, "neuro"), shell.case_id)

    late = staged(arrivals[1], again(1))
    with database.write() as session:
        assert not Reruns(session).stage(errand.id, late)
    assert condemned(database) == {*keys, made.blob_key, late.blob_key}
    ended = conclude(database, errand)
    assert (ended.state, ended.reason) == (ErrandState.DISCARDED, "its case was removed")
    assert blobs(database) == set()
    with database.write() as session, pytest.raises(CaseClosedError, match="was removed"):
        Reruns(session).request(shell.case_id, NEW, actor="ada")


def test_a_case_without_originals_is_said_to_be_such(database: Database) -> None:
    shell, arrivals = study_of(database, 2)
    with database.write() as session:
        Intake(session).mark_purged([arrivals[0].arrival_id], NOON)
        plan = Reruns(session).plan(shell.case_id)
        assert (plan.images, plan.gone) == (1, 1)
        Intake(session).mark_purged([arrivals[1].arrival_id], NOON)
    with database.write() as session, pytest.raises(OriginalsGoneError, match="no original"):
        Reruns(session).request(shell.case_id, NEW, actor="ada")
    with database.read() as session, pytest.raises(CaseNotFoundError):
        Reruns(session).plan("0" * 32)


def test_images_whose_originals_are_gone_stay_and_keep_what_the_case_says_of_them(database: Database) -> None:
    shell, arrivals = study_of(database, 3)
    with database.write() as session:
        Intake(session).mark_purged([arrivals[0].arrival_id], NOON)
    errand = begun(database, shell, 2)
    # The second is purged after the run began.
    stage(database, errand, staged(arrivals[1], None), staged(arrivals[2], again(2, sex="", age_band=AgeBand(""))))

    ended = conclude(database, errand)

    assert (ended.result["gone"], ended.result["remade"]) == (2, 1)
    assert [outcome(database, one) for one in arrivals] == [InstanceOutcome.FILED] * 3
    assert detail(database, shell).summary.sex == "F"


def test_uids_that_are_others_under_the_newer_revision_keep_rows_and_texts(database: Database) -> None:
    shell, arrivals = study_of(database, 2, owner="neuro")
    before = detail(database, shell)
    with database.write() as session:
        changes = CaseChanges(studies=(StudyChange(id=before.studies[0].id, findings="A nodule."),))
        Cases(session).patch(user(database, "neuro"), shell.case_id, changes, before.summary.version, SCREEN)
    errand = begun(database, shell, 2)
    others = {"study_instance_uid": uid("other"), "series_instance_uid": uid("other/series")}
    stage(
        database,
        errand,
        *[staged(one, again(n, sop_instance_uid=uid(f"other {n}"), **others)) for n, one in enumerate(arrivals)],
    )
    conclude(database, errand)

    after = detail(database, shell)
    assert [study.id for study in after.studies] == [study.id for study in before.studies]
    assert after.studies[0].findings == "A nodule."
    assert after.studies[0].study_instance_uid == uid("other")
    assert [series.series_instance_uid for series in after.studies[0].series] == [uid("other/series")]
    assert len(after.studies[0].series[0].images) == 2


def test_images_that_part_under_the_newer_revision_get_series_of_their_own(database: Database) -> None:
    shell, arrivals = study_of(database, 3)
    errand = begun(database, shell)
    parts = ["series", "series", "another"]
    stage(
        database,
        errand,
        *[staged(one, again(n, series_instance_uid=uid(f"study/{parts[n]}"))) for n, one in enumerate(arrivals)],
    )
    conclude(database, errand)

    (study,) = detail(database, shell).studies
    assert sorted(len(series.images) for series in study.series) == [1, 2]


def test_what_became_of_an_instance_since_is_newer_than_the_rerun(database: Database) -> None:
    shell, arrivals = study_of(database, 2)
    set_status(database, shell, CaseStatus.PUBLISHED)
    errand = begun(database, shell, 2)
    made = [staged(one, again(n)) for n, one in enumerate(arrivals)]
    stage(database, errand, *made)
    conclude(database, errand)
    with database.write() as session:
        Cases(session).withdraw_image(arrivals[0].arrival_id)
        Holds(session).hold(shell.case_id, arrivals[0].arrival_id, HOLD)

    with database.write() as session:
        Reruns(session).apply(errand.id, actor="eve")

    assert outcome(database, arrivals[0]) is InstanceOutcome.HELD
    assert blobs(database) == {made[1].blob_key}
    assert made[0].blob_key in condemned(database)


def test_an_instance_is_staged_once_and_a_second_blob_of_it_goes(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    errand = begun(database, shell, 1)
    made = staged(arrivals[0], again(0))
    stage(database, errand, made, made)
    other = replace(made, blob_key="cases/x/other.dcm")
    stage(database, errand, other)

    assert condemned(database) == {other.blob_key}
    with database.read() as session:
        assert Errands(session).get(errand.id).done == 1
        (kept,) = Reruns(session).staged(errand.id)
    assert kept == made


def test_an_image_that_is_written_bit_by_bit_as_it_is_keeps_its_blob(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    old_blobs = blobs(database)
    errand = begun(database, shell, 1)
    made = staged(arrivals[0], replace(again(0), sha256=image("0").sha256), InstanceOutcome.FILED, SERIAL)
    stage(database, errand, made)
    ended = conclude(database, errand)

    assert blobs(database) == old_blobs
    assert condemned(database) == {made.blob_key}
    assert (ended.result["remade"], ended.result["changed"]) == (1, 0)
    with database.read() as session:
        assert session.scalars(select(CaseImageRow.profile_revision)).all() == [NEW.revision]


def test_whether_an_image_is_as_it_was_is_seen_when_it_is_brought_in(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    set_status(database, shell, CaseStatus.PUBLISHED)
    errand = begun(database, shell, 1)
    made = staged(arrivals[0], replace(again(0), sha256=image("0").sha256))
    stage(database, errand, made)
    conclude(database, errand)
    with database.write() as session:
        # Its references followed, for example, while the editor thought about it.
        session.execute(text("UPDATE case_image SET sha256 = :s, blob_key = 'cases/x/followed.dcm'"), {"s": "f" * 64})
        Reruns(session).apply(errand.id, actor="eve")

    assert blobs(database) == {made.blob_key}
    assert condemned(database) == {"cases/x/followed.dcm"}
    with database.read() as session:
        assert session.scalars(select(CaseImageRow.sha256)).all() == [image("0").sha256]


def test_a_failed_rerun_leaves_the_case_and_condemns_what_it_made(database: Database) -> None:
    shell, arrivals = study_of(database, 2)
    old_blobs = blobs(database)
    errand = begun(database, shell, 2)
    made = staged(arrivals[0], again(0))
    stage(database, errand, made)
    with database.write() as session:
        assert Errands(session).call_off(errand.id, ErrandState.FAILED, "it could not be worked on")
        assert not Errands(session).call_off(errand.id, ErrandState.FAILED, "again")
    assert blobs(database) == old_blobs
    assert condemned(database) == {made.blob_key}
    with database.write() as session:
        assert not Errands(session).begin(errand.id, 2)


def test_cases_of_a_revision_are_listed_without_removed_ones(database: Database) -> None:
    shell, arrivals = study_of(database, 1, owner="neuro")
    errand = begun(database, shell, 1)
    stage(database, errand, staged(arrivals[0], again(0)))
    conclude(database, errand)
    with database.read() as session:
        assert Reruns(session).under(NEW.revision) == [shell.case_id]
        assert Originals(session).of_study(arrivals[0].study_key)
    with database.write() as session:
        Cases(session).remove(user(database, "neuro"), shell.case_id)
    with database.read() as session:
        assert Reruns(session).under(NEW.revision) == []


# -- what a look from outside found ------------------------------------------------------------------------------------


def test_a_late_result_of_a_run_that_is_over_does_not_condemn_what_the_case_has(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    errand = begun(database, shell, 1)
    made = staged(arrivals[0], again(0))
    stage(database, errand, made)
    conclude(database, errand)

    with database.write() as session:
        assert not Reruns(session).stage(errand.id, made)
        Reruns(session).sweep(errand)

    assert made.blob_key in blobs(database)
    assert made.blob_key not in condemned(database)


def test_a_blob_that_something_refers_to_is_not_deleted_whatever_the_list_says(database: Database) -> None:
    shell, arrivals = study_of(database, 2)
    errand = begun(database, shell, 2)
    made = staged(arrivals[0], again(0))
    stage(database, errand, made)
    with database.write() as session:
        condemn(session, [*blobs(database), made.blob_key, "cases/nobody.dcm"], None)
    with database.read() as session:
        assert Cases(session).condemned_blobs() == ["cases/nobody.dcm"]


def test_what_a_run_that_is_over_may_have_left_is_swept(database: Database) -> None:
    shell, arrivals = study_of(database, 2)
    errand = begun(database, shell, 2)
    with database.write() as session:
        Errands(session).call_off(errand.id, ErrandState.FAILED, "it failed")
        Reruns(session).sweep(errand)
    assert condemned(database) == {rerun_blob_key(shell.case_id, one.arrival_id, errand.id) for one in arrivals}


def test_what_was_never_compared_is_left_to_a_person_however_it_was_left_out(database: Database) -> None:
    arrivals = receive(database, INBOX, "study", 4)
    shell = open_shell(database, INBOX, "study")
    for arrived in arrivals[:2]:
        compared(database, arrived)
    file(database, shell, arrivals[0], image("0", number=0))
    # The study was given up after its digests were kept and before anybody decided on them.
    with database.write() as session:
        held = Hold(reason=HoldReason.INTERNAL_ERROR, detail="the study could not be worked on")
        Holds(session).hold(shell.case_id, arrivals[1].arrival_id, held)
        Holds(session).hold(shell.case_id, arrivals[2].arrival_id, HOLD)
        Intake(session).finish(arrivals[3].arrival_id, InstanceOutcome.DROPPED, DropReason.VIDEO.value)
    with database.read() as session:
        plan = Reruns(session).plan(shell.case_id)
    assert [one.arrival_id for one in plan.instances] == [arrivals[0].arrival_id]
    assert plan.decided == 3


def test_an_image_that_would_be_held_without_its_original_is_a_tombstone(database: Database) -> None:
    shell, arrivals = study_of(database, 2)
    set_status(database, shell, CaseStatus.PUBLISHED)
    errand = begun(database, shell, 2)
    stage(database, errand, staged(arrivals[0], HOLD), staged(arrivals[1], again(1)))
    conclude(database, errand)
    with database.write() as session:  # the editor takes a week
        Intake(session).mark_purged([one.arrival_id for one in arrivals], NOON)
    with database.write() as session:
        ended = Reruns(session).apply(errand.id, actor="eve").errand

    assert (ended.result["expired"], ended.result["held"]) == (1, {"burned-in-text": 1})
    assert outcome(database, arrivals[0]) is InstanceOutcome.EXPIRED
    assert detail(database, shell).held_by_reason == {}
    with database.read() as session:
        (hold,) = Holds(session).list(user(database, "admin", Role.ADMIN), filters=HoldFilter(state=None)).items
    assert hold.state is HoldState.EXPIRED


@pytest.mark.parametrize("reason", [HoldReason.PROCESS_DIED, HoldReason.UNREADABLE, HoldReason.SCREEN_UNAVAILABLE])
def test_a_fault_of_the_machine_leaves_an_image_and_what_is_told_of_the_case(
    database: Database, reason: HoldReason
) -> None:
    shell, arrivals = study_of(database, 2)
    errand = begun(database, shell, 2)
    stage(
        database,
        errand,
        staged(arrivals[0], Hold(reason=reason, detail="x")),
        staged(arrivals[1], again(1, sex="", age_band=AgeBand(""))),
    )
    ended = conclude(database, errand)
    assert (ended.result["failed"], ended.result["held"]) == (1, {})
    assert outcome(database, arrivals[0]) is InstanceOutcome.FILED
    assert detail(database, shell).summary.sex == "F"


def test_labels_of_the_older_revision_go_though_another_image_comes_in_their_place(database: Database) -> None:
    arrivals = receive(database, INBOX, "study", 2)
    shell = open_shell(database, INBOX, "study")
    for arrived in arrivals:
        compared(database, arrived)
    file(database, shell, arrivals[1], image("1", number=1))
    with database.write() as session:
        Holds(session).hold(shell.case_id, arrivals[0].arrival_id, HOLD)
    errand = begun(database, shell, 2)
    bare = {"series_description": "", "body_part": "", "study_description": "", "study_day": ""}
    stage(
        database,
        errand,
        staged(arrivals[0], again(0, **bare), InstanceOutcome.HELD),
        staged(arrivals[1], HOLD),
    )
    conclude(database, errand)

    (study,) = detail(database, shell).studies
    assert (study.description, study.series[0].specifics, study.series[0].body_part) == ("", "", "")


def test_a_study_that_only_a_text_keeps_loses_what_the_older_revision_told(database: Database) -> None:
    shell, arrivals = study_of(database, 1, owner="neuro")
    before = detail(database, shell)
    with database.write() as session:
        changes = CaseChanges(studies=(StudyChange(id=before.studies[0].id, findings="A nodule."),))
        Cases(session).patch(user(database, "neuro"), shell.case_id, changes, before.summary.version, SCREEN)
    errand = begun(database, shell, 1)
    stage(database, errand, staged(arrivals[0], HOLD))
    conclude(database, errand)

    (study,) = detail(database, shell).studies
    assert (study.findings, study.description, study.series) == ("A nodule.", "", ())
    assert study.study_instance_uid not in {"", before.studies[0].study_instance_uid}


def test_texts_of_the_senders_go_under_a_profile_that_keeps_no_text_unless_somebody_edited_them(
    database: Database,
) -> None:
    shell, arrivals = study_of(database, 1, owner="neuro")
    text_of_sender = TeachingText(title="NODULE", presentation="COUGH", findings="NODULE", tags=("CHEST",))
    with database.write() as session:
        Manifests(session).prefill(shell.case_id, text_of_sender)
    before = detail(database, shell)
    with database.write() as session:
        changes = CaseChanges(presentation="Cough for two weeks")
        Cases(session).patch(user(database, "neuro"), shell.case_id, changes, before.summary.version, SCREEN)
    with database.write() as session:
        errand, _, _ = Reruns(session).request(shell.case_id, NEW, actor="ada", keeps_text=False)
        Errands(session).begin(errand.id, 1)
    stage(database, errand, staged(arrivals[0], again(0)))
    ended = conclude(database, errand)

    after = detail(database, shell)
    assert (after.summary.title, after.presentation, after.studies[0].findings, after.tags) == (
        "",
        "Cough for two weeks",
        "",
        (),
    )
    assert ended.result["texts"] == 3


def test_images_that_stayed_under_the_older_revision_are_found_by_it(database: Database) -> None:
    shell, arrivals = study_of(database, 2)
    with database.write() as session:
        session.execute(text("UPDATE case_image SET profile_revision = 'cccc'"))
        Intake(session).mark_purged([arrivals[0].arrival_id], NOON)
    errand = begun(database, shell, 1)
    stage(database, errand, staged(arrivals[1], again(1)))
    conclude(database, errand)

    with database.read() as session:
        assert Reruns(session).under("cccc") == Reruns(session).under(NEW.revision) == [shell.case_id]
        assert Profiles(session).cases_under("cccc") == 1
    images = detail(database, shell).studies[0].series[0].images
    assert [one.profile_revision for one in images] == ["cccc", NEW.revision]


def test_every_way_into_a_hold_is_counted_and_what_did_not_take_effect_is_not(database: Database) -> None:
    arrivals = receive(database, INBOX, "study", 3)
    shell = open_shell(database, INBOX, "study")
    for arrived in arrivals:
        compared(database, arrived)
    file(database, shell, arrivals[0], image("0", number=0))
    with database.write() as session:
        Intake(session).finish(arrivals[1].arrival_id, InstanceOutcome.DROPPED, DropReason.VIDEO.value)
        Holds(session).hold(shell.case_id, arrivals[2].arrival_id, HOLD)
    errand = begun(database, shell)
    dropped = Dropped(reason=DropReason.SCREEN_CAPTURE, detail="a capture")
    stage(
        database,
        errand,
        staged(arrivals[0], again(0)),
        staged(arrivals[1], HOLD, InstanceOutcome.DROPPED),
        staged(arrivals[2], dropped, InstanceOutcome.HELD),
    )
    with database.write() as session:  # something newer became of the image meanwhile
        Cases(session).withdraw_image(arrivals[0].arrival_id)
    ended = conclude(database, errand)

    assert (ended.result["held"], ended.result["dropped"]) == ({"burned-in-text": 1}, {"screen-capture": 1})
    assert ended.result["remade"] == 0


@pytest.mark.parametrize("is_newer", [True, False])
def test_of_two_headers_of_one_image_the_newest_counts(database: Database, *, is_newer: bool) -> None:
    first, second = [arrival("study", "1"), arrival("study", "1")]
    receive(database, INBOX, "study", [first, second])
    shell = open_shell(database, INBOX, "study")
    for arrived in (first, second):
        compared(database, arrived)
    filed, held = (first, second) if is_newer else (second, first)
    file(database, shell, filed, image("1", number=1))
    with database.write() as session:
        Holds(session).hold(shell.case_id, held.arrival_id, HOLD)
    errand = begun(database, shell, 2)
    # Other pixels are blanked in the one that is cleared: its UID is another one.
    stage(
        database,
        errand,
        *sorted(
            (
                staged(filed, again(1)),
                staged(held, again(2, sop_instance_uid=uid("blanked")), InstanceOutcome.HELD),
            ),
            key=lambda one: one.arrival_id,
        ),
    )
    conclude(database, errand)

    images = detail(database, shell).studies[0].series[0].images
    assert len(images) == 1
    assert outcome(database, second) is InstanceOutcome.FILED
    assert outcome(database, first) is InstanceOutcome.SUPERSEDED


def test_a_draft_that_a_rerun_emptied_stays_for_the_way_back(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    errand = begun(database, shell, 1)
    stage(database, errand, staged(arrivals[0], Dropped(reason=DropReason.VIDEO, detail="a video")))
    conclude(database, errand)
    with database.write() as session:
        Cases(session).close_books(errand.received_study)
        back, plan, _ = Reruns(session).request(shell.case_id, NEW, actor="ada")
        Errands(session).begin(back.id, 1)
    assert len(plan.instances) == 1
    stage(database, back, staged(arrivals[0], again(0), InstanceOutcome.DROPPED))
    conclude(database, back)
    assert outcome(database, arrivals[0]) is InstanceOutcome.FILED


def test_a_hold_that_comes_again_counts_from_then_and_shows_its_own_boxes(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    for number, made in enumerate((HOLD, again(0), Hold(reason=HoldReason.RESIDUAL_IDENTIFIER, detail="x"))):
        errand = begun(database, shell, 1)
        was = outcome(database, arrivals[0])
        one = replace(staged(arrivals[0], made, was), blob_key=f"cases/x/{number}.dcm" if number == 1 else "")
        stage(database, errand, one)
        conclude(database, errand)
        if number == 0:
            with database.write() as session:
                session.execute(text("UPDATE hold SET held_at = '2020-01-01 00:00:00', reminded_at = held_at"))
    with database.read() as session:
        (hold,) = Holds(session).list(user(database, "admin", Role.ADMIN)).items
    assert (hold.reason, hold.findings, hold.reminded_at) == (HoldReason.RESIDUAL_IDENTIFIER, (), None)
    assert hold.held_at.year > 2020


def test_one_that_is_queued_or_runs_can_be_called_off(database: Database) -> None:
    shell, arrivals = study_of(database, 1)
    errand = begun(database, shell, 1)
    with database.write() as session:
        assert Reruns(session).discard(errand.id, actor="eve").state is ErrandState.DISCARDED
    with database.write() as session:
        assert not Reruns(session).stage(errand.id, staged(arrivals[0], again(0)))
        with pytest.raises(InvalidTransitionError, match="discarded already"):
            Reruns(session).discard(errand.id, actor="eve")
