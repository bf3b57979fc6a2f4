"""What a teaching file makes of received studies and drafts."""

from dataclasses import replace

import pytest

from cases.changes import CaseChanges, StudyChange
from cases.errors import InvalidChangeError
from cases.intake import InstanceOutcome, NewArrival
from cases.manifests import ManifestEntry, ManifestKind, NewManifest, systems_of
from cases.model import CaseDetail, CaseImage, CaseLevel, CaseSystem
from cases.receipts import SettledBy
from cases.store import Audit, Cases, Database, Intake, Manifests
from cases.store.evidence import lists_of
from cases.users import Role
from deidentify.results import DelayReason, TeachingText
from tests.cases.world import INBOX, SCREEN, arrival, file, file_study, image, key, open_shell, receive, route, user

ANN = route("ann")
TEXT = TeachingText(
    title="Acute appendicitis",
    presentation="pain",
    findings="thick wall",
    discussion="no abscess",
    tags=("appendix",),
    categories=("TCE304", "TCE308"),
    level="TCE202",
    delay=DelayReason.HISTOPATHOLOGY,
    withheld=3,
)


def study_row(study: str) -> str:
    return f"{key(study)}-{ANN.id}"


def manifest(
    study: str,
    listed: list[str],
    keys: list[str] | None = None,
    *,
    kind: ManifestKind = ManifestKind.TEACHING_FILE,
    group: str = "g",
    frames: tuple[int, ...] = (),
) -> NewManifest:
    """A manifest of a study whose instances are named by their number."""
    places = {name: place for place, name in enumerate(keys or [])}
    return NewManifest(
        arrival_id=arrival(study, "manifest").arrival_id,
        kind=kind,
        group_key=key(group),
        entries=tuple(
            ManifestEntry(
                received_study=study_row(study),
                sop_key=key(f"{study}/{name}"),
                is_listed=name in listed,
                key_position=places.get(name),
                key_frames=frames if name in places else (),
            )
            for name in dict.fromkeys([*listed, *(keys or [])])
        ),
    )


def record(database: Database, *manifests: NewManifest) -> None:
    with database.write() as session:
        Manifests(session).record(manifests)


def detail(database: Database, case_id: str) -> CaseDetail:
    admin = user(database, "admin", Role.ADMIN)
    with database.read() as session:
        return Cases(session).get(admin, case_id)


def images(database: Database, case_id: str) -> list[CaseImage]:
    found = [one for study in detail(database, case_id).studies for series in study.series for one in series.images]
    return sorted(found, key=lambda one: one.instance_number or 0)


def mark(database: Database, study: str, case_id: str) -> None:
    with database.write() as session:
        Manifests(session).mark_case(study_row(study), case_id)


def prefill(database: Database, case_id: str, text: TeachingText = TEXT) -> None:
    with database.write() as session:
        Manifests(session).prefill(case_id, text)


def patch(database: Database, case_id: str, changes: CaseChanges) -> CaseDetail:
    admin = user(database, "admin", Role.ADMIN)
    with database.write() as session:
        version = Cases(session).get(admin, case_id).summary.version
        return Cases(session).patch(admin, case_id, changes, version, SCREEN)


# -- settling --------------------------------------------------------------------------------------------------------


def test_a_list_is_complete_when_all_of_it_has_arrived_in_whatever_order(database: Database) -> None:
    record(database, manifest("s", ["0", "1", "2"]))
    with database.read() as session:
        assert Manifests(session).listed(study_row("s")) == (3, 3)
        assert not Manifests(session).is_complete(study_row("s"))
    receive(database, ANN, "s", 2)
    with database.read() as session:
        assert Manifests(session).listed(study_row("s")) == (3, 1)
        [found] = lists_of(session, study_row("s"))
        assert (found.listed, found.missing) == (3, 1)
        assert Intake(session).settled_by_list(study_row("s")) is None
    receive(database, ANN, "s", [arrival("s", "2"), arrival("s", "not on the list")])
    with database.read() as session:
        assert Manifests(session).is_complete(study_row("s"))
        assert Intake(session).settled_by_list(study_row("s")) is SettledBy.MANIFEST


def test_a_list_is_of_its_study_and_route_alone(database: Database) -> None:
    record(database, manifest("s", ["0"]))
    receive(database, route("bob"), "s")
    receive(database, ANN, "other")
    with database.read() as session:
        assert not Manifests(session).is_complete(study_row("s"))
        assert not Manifests(session).is_complete(f"{key('s')}-bob")
        assert not Manifests(session).is_complete(study_row("other"))


def test_a_resend_of_one_instance_is_not_counted_for_another(database: Database) -> None:
    record(database, manifest("s", ["0", "1"]))
    receive(database, ANN, "s", [arrival("s", "0"), arrival("s", "0")])
    with database.read() as session:
        assert Manifests(session).listed(study_row("s")) == (2, 1)


def test_a_hint_of_key_images_neither_settles_nor_says_what_belongs(database: Database) -> None:
    record(database, manifest("s", [], ["0"], kind=ManifestKind.KEY_IMAGES))
    shell = file_study(database, ANN, "s", 2)
    with database.read() as session:
        assert not Manifests(session).is_complete(study_row("s"))
        assert lists_of(session, study_row("s")) == ()
        assert Intake(session).settled_by_list(study_row("s")) is None
    assert [(one.is_selected, one.is_key) for one in images(database, shell.case_id)] == [(True, True), (True, False)]


def test_recording_a_manifest_again_changes_nothing(database: Database) -> None:
    one = manifest("s", ["0", "1"], ["1"])
    record(database, one)
    record(database, replace(one, entries=one.entries[:1]))
    with database.read() as session:
        assert Manifests(session).listed(study_row("s")) == (2, 2)


# -- images ----------------------------------------------------------------------------------------------------------


def test_listed_images_are_selected_and_key_images_have_their_place(database: Database) -> None:
    record(database, manifest("s", ["0", "1", "3"], ["3", "0"], frames=(2,)))
    shell = file_study(database, ANN, "s", 4)
    marks = [(one.is_selected, one.is_key, one.key_position, one.key_frames) for one in images(database, shell.case_id)]
    assert marks == [
        (True, True, 1, (2,)),
        (True, False, None, ()),
        (False, False, None, ()),
        (True, True, 0, (2,)),
    ]
    mark(database, "s", shell.case_id)
    assert [
        (one.is_selected, one.is_key, one.key_position, one.key_frames) for one in images(database, shell.case_id)
    ] == marks


def test_a_manifest_that_comes_after_its_images_marks_them(database: Database) -> None:
    shell = file_study(database, ANN, "s", 2)
    assert all(one.is_selected and not one.is_key for one in images(database, shell.case_id))
    record(database, manifest("s", ["1"], ["1"]))
    mark(database, "s", shell.case_id)
    assert [(one.is_selected, one.is_key) for one in images(database, shell.case_id)] == [(False, False), (True, True)]


def test_key_images_of_a_teaching_file_come_before_those_of_hints(database: Database) -> None:
    record(
        database,
        manifest("s", [], ["2", "0"], kind=ManifestKind.KEY_IMAGES),
        manifest("s", ["0", "1", "2"], ["1"]),
    )
    shell = file_study(database, ANN, "s", 3)
    mark(database, "s", shell.case_id)
    assert [one.key_position for one in images(database, shell.case_id)] == [2, 0, 1]


# -- drafts ----------------------------------------------------------------------------------------------------------


def test_an_empty_draft_is_filled(database: Database) -> None:
    shell = file_study(database, ANN, "s")
    prefill(database, shell.case_id)
    case = detail(database, shell.case_id)
    assert (case.summary.title, case.presentation, case.discussion) == ("Acute appendicitis", "pain", "no abscess")
    assert case.studies[0].findings == "thick wall"
    assert (case.tags, case.systems, case.level) == (
        ("appendix",),
        (CaseSystem.GASTROINTESTINAL,),
        CaseLevel.INTERMEDIATE,
    )
    assert (case.hold_reason, case.withheld_words) == (DelayReason.HISTOPATHOLOGY, 3)


def test_findings_go_to_the_study_of_the_first_key_image(database: Database) -> None:
    record(database, manifest("s", ["0", "1"], ["1"]))
    first, second = receive(database, ANN, "s", 2)
    shell = open_shell(database, ANN, "s")
    prefill(database, shell.case_id)
    assert detail(database, shell.case_id).studies == ()
    file(database, shell, first, image("s/0", study="s", number=0, modality="MR"))
    file(database, shell, second, image("s/1", study="s", number=1))
    prefill(database, shell.case_id)
    found = {study.modality.value: study.findings for study in detail(database, shell.case_id).studies}
    assert found == {"MRI": "", "CT": "thick wall"}


def test_what_a_contributor_wrote_or_emptied_stays(database: Database) -> None:
    shell = file_study(database, ANN, "s")
    patch(database, shell.case_id, CaseChanges(title="Mine"))
    prefill(database, shell.case_id)
    case = detail(database, shell.case_id)
    assert (case.summary.title, case.presentation) == ("Mine", "pain")
    patch(
        database,
        shell.case_id,
        CaseChanges(
            presentation="",
            tags=(),
            systems=(),
            clears_level=True,
            clears_hold=True,
            studies=(StudyChange(id=case.studies[0].id, findings=""),),
        ),
    )
    prefill(database, shell.case_id, replace(TEXT, presentation="another pain"))
    case = detail(database, shell.case_id)
    assert (case.summary.title, case.presentation, case.studies[0].findings) == ("Mine", "", "")
    assert (case.tags, case.systems, case.level, case.hold_reason) == ((), (), None, None)


def test_a_draft_is_filled_without_a_new_version_so_that_edits_go_on(database: Database) -> None:
    shell = file_study(database, ANN, "s")
    before = detail(database, shell.case_id).summary.version
    prefill(database, shell.case_id)
    assert detail(database, shell.case_id).summary.version == before


def test_a_case_that_left_the_drafts_is_not_filled(database: Database) -> None:
    shell = file_study(database, ANN, "s")
    admin = user(database, "admin", Role.ADMIN)
    with database.write() as session:
        Cases(session).remove(admin, shell.case_id)
    prefill(database, shell.case_id)
    assert detail(database, shell.case_id).summary.title == ""


def test_removing_a_case_takes_what_filled_it_along(database: Database) -> None:
    shell = file_study(database, ANN, "s")
    prefill(database, shell.case_id)
    admin = user(database, "admin", Role.ADMIN)
    with database.write() as session:
        Cases(session).remove(admin, shell.case_id)
    case = detail(database, shell.case_id)
    assert (case.summary.title, case.presentation, case.discussion, case.tags, case.systems) == ("", "", "", (), ())


def drop_all(database: Database, arrivals: list[NewArrival]) -> None:
    with database.write() as session:
        for one in arrivals:
            Intake(session).finish(one.arrival_id, InstanceOutcome.DROPPED, "teaching-file-manifest")
        Cases(session).close_books(study_row("s"))


def test_a_draft_that_only_a_manifest_filled_goes_until_images_come(database: Database) -> None:
    arrivals = receive(database, ANN, "s", [arrival("s", "manifest")])
    shell = open_shell(database, ANN, "s")
    prefill(database, shell.case_id)
    drop_all(database, arrivals)
    assert open_shell(database, ANN, "s").case_id != shell.case_id


def test_a_draft_that_somebody_wrote_into_stays(database: Database) -> None:
    arrivals = receive(database, ANN, "s", [arrival("s", "manifest")])
    shell = open_shell(database, ANN, "s")
    prefill(database, shell.case_id)
    patch(database, shell.case_id, CaseChanges(discussion="mine"))
    drop_all(database, arrivals)
    assert open_shell(database, ANN, "s").case_id == shell.case_id


def test_cases_of_one_selection_over_two_studies_know_each_other(database: Database) -> None:
    record(database, manifest("s", ["0"], group="both"), manifest("t", ["0"], group="both"), manifest("u", ["0"]))
    shells = {name: file_study(database, ANN, name) for name in ("s", "t", "u")}
    for name, shell in shells.items():
        mark(database, name, shell.case_id)
    assert detail(database, shells["s"].case_id).related_case_ids == (shells["t"].case_id,)
    assert detail(database, shells["t"].case_id).related_case_ids == (shells["s"].case_id,)
    assert detail(database, shells["u"].case_id).related_case_ids == ()
    user_bob = user(database, "bob")
    with database.write() as session:
        from cases.store.rows import CaseRow

        row = session.get(CaseRow, shells["t"].case_id)
        assert row is not None
        row.owner_id = user_bob.id
    assert detail(database, shells["s"].case_id).related_case_ids == ()


# -- owners ----------------------------------------------------------------------------------------------------------


def test_a_draft_of_the_inbox_goes_to_the_account_that_was_named(database: Database) -> None:
    jdoe = user(database, "jdoe")
    shell = file_study(database, INBOX, "s")
    with database.write() as session:
        assert "jdoe" in Manifests(session).accounts()
        assert Manifests(session).assign(shell.case_id, "jdoe")
        assert not Manifests(session).assign(shell.case_id, "jdoe")
    assert detail(database, shell.case_id).summary.owner == jdoe.name
    with database.read() as session:
        assert [entry.action for entry in Audit(session).entries(subject=shell.case_id)] == ["case.assign"]


def test_a_named_account_without_a_free_place_leaves_the_draft_in_the_inbox(database: Database) -> None:
    user(database, "full", draft_limit=0)
    user(database, "reader", Role.REVIEWER)
    shell = file_study(database, INBOX, "s")
    with database.write() as session:
        assert not Manifests(session).assign(shell.case_id, "full")
        assert not Manifests(session).assign(shell.case_id, "nobody")
        assert "reader" not in Manifests(session).accounts()
    assert detail(database, shell.case_id).summary.owner is None


def test_the_owner_of_the_route_is_not_replaced(database: Database) -> None:
    user(database, "jdoe")
    shell = file_study(database, ANN, "s")
    with database.write() as session:
        assert not Manifests(session).assign(shell.case_id, "jdoe")


# -- rules -----------------------------------------------------------------------------------------------------------


def test_categories_that_are_no_system_give_none() -> None:
    assert systems_of(["TCE308", "TCE309"]) == []
    assert systems_of(["TCE303", "TCE307"]) == [CaseSystem.CARDIAC, CaseSystem.VASCULAR, CaseSystem.INTERVENTIONAL]


@pytest.mark.parametrize("tags", [("x" * 65,), ("",), tuple(f"tag {n}" for n in range(51))])
def test_tags_have_their_limits(database: Database, tags: tuple[str, ...]) -> None:
    shell = file_study(database, ANN, "s")
    with pytest.raises(InvalidChangeError, match="at most 50 tags of 1 to 64"):
        patch(database, shell.case_id, CaseChanges(tags=tags))
