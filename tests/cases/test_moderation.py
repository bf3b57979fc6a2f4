"""From draft to review, to the public and back: who, when, how many, and what is told."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from cases.changes import CaseChanges, SeriesChange, StudyChange
from cases.errors import (
    CaseNotFoundError,
    DraftLimitError,
    IdentifyingTextError,
    InvalidChangeError,
    InvalidTransitionError,
    NotAllowedError,
    NotReadyError,
    PendingLimitError,
    UnlistedLimitError,
    VersionConflictError,
)
from cases.model import CaseDetail, CaseStatus, CaseSystem, Certainty, ConsentKind, SeriesDisplay, Sex, Visibility
from cases.publication import PushBackReason, Requirement
from cases.store import Accounts, Cases, Database, Moderation
from cases.users import InstitutionPolicy, Role, User, UserChange
from tests.cases.world import HOLD, SCREEN, file_study, receive, route, user

PUBLIC, UNLISTED = Visibility.PUBLIC, Visibility.UNLISTED
WHOLE = CaseChanges(
    title="Acute appendicitis",
    presentation="Pain in the right iliac fossa.",
    discussion="Confirmed at surgery.",
    systems=(CaseSystem.GASTROINTESTINAL,),
    age_band="45 years",
    sex=Sex.FEMALE,
    certainty=Certainty.CERTAIN,
    accepts_licence=True,
)

INSTITUTIONAL = {"is_small_community": True, "consent_kind": ConsentKind.INSTITUTIONAL, "consent_reference": "7"}


def draft(database: Database, owner: str, study: str, changes: CaseChanges = WHOLE) -> str:
    """A draft of one image that lacks nothing but what the changes leave out."""
    case_id = file_study(database, route(owner), study).case_id
    who = user(database, owner)
    with database.write() as session:
        cases = Cases(session)
        before = cases.get(who, case_id)
        findings = tuple(StudyChange(id=one.id, findings="A dilated appendix.") for one in before.studies)
        cases.patch(who, case_id, replace(changes, studies=findings), before.summary.version, SCREEN)
    return case_id


def submit(database: Database, who: User, case_id: str, visibility: Visibility = PUBLIC) -> CaseDetail:
    with database.write() as session:
        return Moderation(session, SCREEN).submit(who, case_id, visibility)


def accept(database: Database, who: User, case_id: str, **more: bool) -> CaseDetail:
    with database.write() as session:
        return Moderation(session, SCREEN).accept(who, case_id, **more)


def push_back(database: Database, who: User, case_id: str, message: str = "Crop the images, please.") -> CaseDetail:
    with database.write() as session:
        return Moderation(session, SCREEN).push_back(who, case_id, PushBackReason.POOR_IMAGES, message)


def show(database: Database, who: User, case_id: str, visibility: Visibility) -> CaseDetail:
    with database.write() as session:
        return Moderation(session, SCREEN).show(who, case_id, visibility)


def change(database: Database, who: User, changes: UserChange) -> User:
    with database.write() as session:
        return Accounts(session).edit(who.id, changes)


def patch(database: Database, who: User, case_id: str, changes: CaseChanges) -> CaseDetail:
    with database.write() as session:
        cases = Cases(session)
        return cases.patch(who, case_id, changes, cases.get(who, case_id).summary.version, SCREEN)


def where(case: CaseDetail) -> tuple[CaseStatus, Visibility]:
    return case.summary.status, case.summary.visibility


def lacking(database: Database, who: User, case_id: str, visibility: Visibility = PUBLIC) -> set[Requirement]:
    with pytest.raises(NotReadyError) as refused:
        submit(database, who, case_id, visibility)
    return {fault.requirement for fault in refused.value.faults}


def test_a_case_goes_to_an_editor_and_then_to_everybody(database: Database) -> None:
    ann, editor = user(database, "ann"), user(database, "ed", Role.EDITOR)
    case_id = draft(database, "ann", "s")
    submitted = submit(database, ann, case_id)
    assert where(submitted) == (CaseStatus.PENDING_REVIEW, PUBLIC)
    with database.read() as session:
        [waiting] = Moderation(session, SCREEN).queue().items
    assert (waiting.id, waiting.submitted_at) == (case_id, submitted.milestones.submitted_at)
    accepted = accept(database, editor, case_id)
    assert where(accepted) == (CaseStatus.PUBLISHED, PUBLIC)
    assert accepted.milestones.approved_at is not None
    assert accepted.milestones.first_published_at is not None
    with database.read() as session:
        moderation = Moderation(session, SCREEN)
        assert [step.action for step in moderation.history(case_id)] == ["open", "submit", "accept"]
        assert [step.actor for step in moderation.history(case_id)] == ["system", "ann", "ed"]
        assert moderation.queue().items == ()
        assert Cases(session).get(user(database, "reader", Role.READER), case_id).summary.title == "Acute appendicitis"


def test_what_is_missing_is_told_at_once_and_nothing_is_changed(database: Database) -> None:
    ann = user(database, "ann")
    case_id = file_study(database, route("ann"), "s").case_id
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET sex = '', age_band = ''"))
    assert lacking(database, ann, case_id) == {
        Requirement.TITLE,
        Requirement.SYSTEM,
        Requirement.PRESENTATION,
        Requirement.AGE,
        Requirement.SEX,
        Requirement.DISCUSSION,
        Requirement.FINDINGS,
        Requirement.CERTAINTY,
        Requirement.LICENCE,
    }
    assert lacking(database, ann, case_id, UNLISTED) == {Requirement.LICENCE}
    with database.read() as session:
        assert Cases(session).get(ann, case_id).summary.status is CaseStatus.DRAFT


@pytest.mark.parametrize(
    ("changes", "policy", "public", "unlisted"),
    [
        ({"certainty": Certainty.POSSIBLE, "certainty_evidence": "x"}, None, {Requirement.CERTAINTY}, None),
        ({"certainty": Certainty.ALMOST_CERTAIN}, None, {Requirement.CERTAINTY_EVIDENCE}, None),
        ({"is_rare": True}, None, {Requirement.CONSENT}, {Requirement.CONSENT}),
        (INSTITUTIONAL, None, {Requirement.CONSENT}, {Requirement.CONSENT}),
        ({"consent_kind": ConsentKind.PATIENT}, None, {Requirement.CONSENT}, {Requirement.CONSENT}),
        ({}, InstitutionPolicy.FORBIDDEN, {Requirement.INSTITUTION}, {Requirement.INSTITUTION}),
        ({}, InstitutionPolicy.CONSENT_REQUIRED, {Requirement.CONSENT}, {Requirement.CONSENT}),
    ],
)
def test_certainty_is_for_the_public_and_consent_for_both_ways_out(
    database: Database,
    changes: dict[str, object],
    policy: InstitutionPolicy | None,
    public: set[Requirement],
    unlisted: set[Requirement] | None,
) -> None:
    ann = user(database, "ann")
    if policy:
        ann = change(database, ann, UserChange(institution_policy=policy))
    case_id = draft(database, "ann", "s", replace(WHOLE, **changes))
    assert lacking(database, ann, case_id) == public
    if unlisted is not None:
        assert lacking(database, ann, case_id, UNLISTED) == unlisted
    else:
        assert where(submit(database, ann, case_id, UNLISTED)) == (CaseStatus.PENDING_REVIEW, UNLISTED)


@pytest.mark.parametrize("is_rare", [True, False])
def test_a_patients_consent_lets_a_rare_case_out(database: Database, is_rare: bool) -> None:
    ann = user(database, "ann")
    consented = replace(WHOLE, is_rare=is_rare, consent_kind=ConsentKind.PATIENT, consent_reference="2026/117")
    assert submit(database, ann, draft(database, "ann", "s", consented)).summary.status is CaseStatus.PENDING_REVIEW


def test_held_images_pending_images_and_the_senders_wish_keep_a_case_in(database: Database) -> None:
    ann = user(database, "ann")
    case_id = draft(database, "ann", "s")
    [late] = receive(database, route("ann"), "late")
    from cases.store import Holds

    with database.write() as session:
        joins = text("UPDATE received_instance SET case_id = :c WHERE arrival_id = :a")
        session.execute(joins, {"c": case_id, "a": late.arrival_id})
        session.execute(text("UPDATE teaching_case SET hold_reason = 'histopathology' WHERE id = :c"), {"c": case_id})
    assert lacking(database, ann, case_id, UNLISTED) == {Requirement.SCREENED, Requirement.SENDER}
    with database.write() as session:
        Holds(session).hold(case_id, late.arrival_id, HOLD)
    assert lacking(database, ann, case_id, UNLISTED) == {Requirement.NOTHING_HELD, Requirement.SENDER}


def test_text_that_could_identify_somebody_is_found_again_when_the_case_leaves(database: Database) -> None:
    ann = user(database, "ann")
    case_id = draft(database, "ann", "s")
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET discussion = 'Seen by Dr. Okonkwo on 12.03.2019.'"))
    assert lacking(database, ann, case_id) == {Requirement.CLEAN_TEXT}


def test_a_probable_diagnosis_is_public_where_an_editor_says_so(database: Database) -> None:
    ann = change(database, user(database, "ann"), UserChange(is_trusted=True))
    editor = user(database, "ed", Role.EDITOR)
    probable = replace(WHOLE, certainty=Certainty.PROBABLE, certainty_evidence="Typical course.")
    case_id = draft(database, "ann", "s", probable)
    assert where(submit(database, ann, case_id)) == (CaseStatus.PENDING_REVIEW, PUBLIC)
    with pytest.raises(NotReadyError):
        accept(database, editor, case_id)
    assert where(accept(database, editor, case_id, accepts_probable=True)) == (CaseStatus.PUBLISHED, PUBLIC)


def test_who_is_trusted_needs_no_editor_and_nobody_accepts_an_own_case(database: Database) -> None:
    trusted = change(database, user(database, "ann"), UserChange(is_trusted=True))
    assert where(submit(database, trusted, draft(database, "ann", "s"))) == (CaseStatus.PUBLISHED, PUBLIC)
    editor = user(database, "ed", Role.EDITOR)
    own = draft(database, "ed", "own")
    submit(database, editor, own)
    with pytest.raises(NotAllowedError, match="another editor"):
        accept(database, editor, own)
    accept(database, user(database, "chief", Role.EDITOR), own)


def test_the_first_unlisted_case_is_looked_at_and_the_second_is_not(database: Database) -> None:
    ann, editor = user(database, "ann"), user(database, "ed", Role.EDITOR)
    first, second = draft(database, "ann", "one"), draft(database, "ann", "two")
    assert where(submit(database, ann, first, UNLISTED)) == (CaseStatus.PENDING_REVIEW, UNLISTED)
    assert where(accept(database, editor, first)) == (CaseStatus.PUBLISHED, UNLISTED)
    assert where(submit(database, ann, second, UNLISTED)) == (CaseStatus.PUBLISHED, UNLISTED)
    with database.read() as session, pytest.raises(CaseNotFoundError):
        Cases(session).get(user(database, "bob"), first)


def test_a_public_case_is_hidden_at_once_and_shown_again_unless_it_was_edited(database: Database) -> None:
    ann, editor = user(database, "ann"), user(database, "ed", Role.EDITOR)
    case_id = draft(database, "ann", "s")
    submit(database, ann, case_id)
    accept(database, editor, case_id)
    with pytest.raises(InvalidTransitionError, match="make it unlisted to edit it"):
        patch(database, ann, case_id, CaseChanges(title="Another"))
    assert where(show(database, ann, case_id, UNLISTED)) == (CaseStatus.PUBLISHED, UNLISTED)
    assert where(show(database, ann, case_id, PUBLIC)) == (CaseStatus.PUBLISHED, PUBLIC)
    show(database, ann, case_id, UNLISTED)
    patch(database, ann, case_id, CaseChanges(title="Another"))
    assert where(show(database, ann, case_id, PUBLIC)) == (CaseStatus.PENDING_REVIEW, PUBLIC)


def test_what_others_see_keeps_what_it_needs(database: Database) -> None:
    ann = change(database, user(database, "ann"), UserChange(is_trusted=True))
    case_id = draft(database, "ann", "s")
    submit(database, ann, case_id)
    with pytest.raises(NotReadyError):
        patch(database, ann, case_id, CaseChanges(discussion=""))
    assert patch(database, ann, case_id, CaseChanges(discussion="Better.")).discussion == "Better."


def test_pushing_back_needs_a_message_may_exceed_the_limit_and_taking_back_may_not(database: Database) -> None:
    ann, editor = user(database, "ann"), user(database, "ed", Role.EDITOR)
    first, second = draft(database, "ann", "one"), draft(database, "ann", "two")
    for case_id in (first, second):
        submit(database, ann, case_id)
    ann = change(database, ann, UserChange(draft_limit=0))
    with database.write() as session, pytest.raises(DraftLimitError):
        Moderation(session, SCREEN).take_back(ann, first)
    for message in ("", "   "):
        with pytest.raises(InvalidChangeError, match="give a message"):
            push_back(database, editor, first, message)
    with pytest.raises(IdentifyingTextError):
        push_back(database, editor, first, "Call Dr. Okonkwo at +49 30 1234567.")
    assert where(push_back(database, editor, first)) == (CaseStatus.DRAFT, PUBLIC)
    with database.read() as session:
        last = Moderation(session, SCREEN).history(first)[-1]
    assert (last.action, last.reason, last.message) == (
        "push-back",
        PushBackReason.POOR_IMAGES,
        "Crop the images, please.",
    )
    with pytest.raises(NotAllowedError):
        push_back(database, ann, second)


def test_a_submission_of_another_version_is_refused(database: Database) -> None:
    ann = user(database, "ann")
    case_id = draft(database, "ann", "s")
    with database.write() as session, pytest.raises(VersionConflictError):
        Moderation(session, SCREEN).submit(ann, case_id, PUBLIC, version=1)


def test_limits_hold_when_several_ask_at_once(database: Database) -> None:
    ann = change(database, user(database, "ann"), UserChange(is_trusted=True, unlisted_limit=2))
    drafts = [draft(database, "ann", f"s{number}") for number in range(5)]

    def unlist(case_id: str) -> bool:
        try:
            submit(database, ann, case_id, UNLISTED)
        except UnlistedLimitError:
            return False
        return True

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(unlist, drafts)) == 2
    with database.read() as session:
        assert Accounts(session).usage(ann.id).unlisted == 2


def test_as_many_cases_are_in_review_as_may_be_and_each_waits_its_turn(database: Database) -> None:
    ann = change(database, user(database, "ann"), UserChange(pending_limit=2))
    drafts = [draft(database, "ann", f"s{number}") for number in range(3)]
    submit(database, ann, drafts[1])
    submit(database, ann, drafts[0])
    with pytest.raises(PendingLimitError, match="take one back"):
        submit(database, ann, drafts[2])
    with database.read() as session:
        moderation = Moderation(session, SCREEN)
        first = moderation.queue(limit=1)
        second = moderation.queue(limit=1, cursor=first.next_cursor)
    assert [case.id for page in (first, second) for case in page.items] == [drafts[1], drafts[0]]
    assert second.next_cursor is None


def test_a_submission_frees_a_place_for_what_waits(database: Database) -> None:
    ann = change(database, user(database, "ann"), UserChange(draft_limit=1))
    first = draft(database, "ann", "one")
    waiting = file_study(database, route("ann"), "two")
    assert waiting.status is CaseStatus.WAITING
    submit(database, ann, first)
    with database.write() as session:
        assert Cases(session).promote_waiting() == [waiting.case_id]
        history = Moderation(session, SCREEN).history(waiting.case_id)
    assert [step.action for step in history] == ["queue", "promote"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (CaseChanges(age_band="47 years"), "rounded to five years"),
        (CaseChanges(age_band="95 years"), "an age is given"),
        (CaseChanges(consent_reference="Ada Lovelace"), "never a name"),
        (CaseChanges(key_image_id="0" * 32), "not an image of this case"),
        (CaseChanges(study_order=()), "once"),
    ],
)
def test_fields_have_their_bounds(database: Database, changes: CaseChanges, says: str) -> None:
    ann = user(database, "ann")
    case_id = draft(database, "ann", "s")
    with pytest.raises(InvalidChangeError, match=says):
        patch(database, ann, case_id, changes)


@pytest.mark.parametrize(
    ("display", "says"),
    [
        (SeriesDisplay(first_frame=2), "has 1 frames"),
        (SeriesDisplay(opening_frame=1), "outside"),
        (SeriesDisplay(window_center=40.0), "both or neither"),
        (SeriesDisplay(crop=(0, 0, 100_000, 10)), "inside every image"),
        (SeriesDisplay(key_image_id="0" * 32), "not an image of this series"),
    ],
)
def test_a_series_is_shown_within_what_it_has(database: Database, display: SeriesDisplay, says: str) -> None:
    ann = user(database, "ann")
    case_id = draft(database, "ann", "s")
    with database.read() as session:
        series = Cases(session).get(ann, case_id).studies[0].series[0]
    with pytest.raises(InvalidChangeError, match=says):
        patch(database, ann, case_id, CaseChanges(series=(SeriesChange(id=series.id, display=display),)))
    good = SeriesDisplay(window_center=40.0, window_width=400.0, opening_frame=0, key_image_id=series.images[0].id)
    changes = CaseChanges(series=(SeriesChange(id=series.id, specifics="Portal venous", display=good),))
    shown = patch(database, ann, case_id, changes).studies[0].series[0]
    assert (shown.specifics, shown.display) == ("Portal venous", good)
