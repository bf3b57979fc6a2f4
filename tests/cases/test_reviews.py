"""What people decide on held images: whom it reaches, what a re-run makes of it, and how it is taken back."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from cases.errands import Errand, ErrandState
from cases.errors import (
    InvalidChangeError,
    InvalidTransitionError,
    NotAllowedError,
    OriginalsGoneError,
    RerunInProgressError,
    VersionConflictError,
)
from cases.holds import HoldFilter, HoldOrder, HoldState, HoldSummary
from cases.intake import InstanceFacts, InstanceOutcome, NewArrival
from cases.model import CaseShell, CaseStatus
from cases.profiles import ProfileRevision
from cases.reruns import StagedInstance
from cases.reviews import (
    HOLD_TRANSITIONS,
    NOBODY_DECIDED,
    Decision,
    HoldEvent,
    ReviewAction,
    Reviewed,
    ReviewScope,
    decided,
    hold_after,
)
from cases.store import Cases, Database, Errands, Holds, Intake, Profiles, Reruns, Reviews, SiteLayouts
from cases.users import Role, User
from deidentify.results import DeidentifiedInstance, Hold, HoldReason, PixelFinding, RegionFate, TextClass
from deidentify.review import NO_REVIEW, MarkedBox, PixelReview
from tests.cases.world import HOLD, NOON, image, key, receive, route, user

UNDER = ProfileRevision(name="teaching", revision="a" * 16, text="name: teaching")
FOUND = MarkedBox(frame=0, x=4, y=8, width=60, height=12)
DRAWN = MarkedBox(frame=0, x=1, y=1, width=5, height=5)
CONFIRM = Decision(action=ReviewAction.CONFIRM)
DRAW = Decision(action=ReviewAction.DRAW, boxes=(DRAWN,))
DROP = Decision(action=ReviewAction.DROP)
SAFE = Decision(action=ReviewAction.MARK_SAFE)
FACTS = InstanceFacts(series_key="5" * 32, layout_key="1" * 32, rows=100, columns=100)


def held(
    database: Database,
    study: str = "study",
    count: int = 1,
    *,
    owner: str = "ann",
    hold: Hold = HOLD,
    facts: InstanceFacts = FACTS,
) -> tuple[CaseShell, list[NewArrival]]:
    """Let a study of held images come to its case."""
    arrivals = receive(database, route(owner), study, count)
    with database.write() as session:
        Profiles(session).keep(UNDER)
        shell = Cases(session).open_shell(f"{key(study)}-{owner}", UNDER)
        for one in arrivals:
            Intake(session).set_fingerprint(one.arrival_id, dataset="d", pixels="p", facts=facts)
            Holds(session).hold(shell.case_id, one.arrival_id, hold)
    return shell, arrivals


def hold_of(database: Database, arrived: NewArrival) -> HoldSummary:
    admin = user(database, "admin", Role.ADMIN)
    with database.read() as session:
        every = Holds(session).list(admin, filters=HoldFilter(state=None)).items
    return next(hold for hold in every if hold.arrival_id == arrived.arrival_id)


def decide(
    database: Database, viewer: User, arrived: NewArrival, decision: Decision, version: int | None = None
) -> Reviewed:
    hold = hold_of(database, arrived)
    with database.write() as session:
        return Reviews(session).decide(viewer, hold.id, decision, version=version)


def undo(database: Database, viewer: User, arrived: NewArrival) -> Reviewed:
    hold = hold_of(database, arrived)
    with database.write() as session:
        return Reviews(session).undo(viewer, hold.id)


def review_of(database: Database, arrived: NewArrival) -> PixelReview:
    with database.read() as session:
        found = Reviews(session).of([arrived.arrival_id])
    return found[arrived.arrival_id].review if found else NO_REVIEW


def outcome_of(database: Database, arrived: NewArrival) -> tuple[InstanceOutcome, str]:
    with database.read() as session:
        found = Intake(session).instance(arrived.arrival_id)
    return found.outcome, found.reason


def begin(database: Database, errand: Errand, under: str = UNDER.revision) -> dict[str, int]:
    """Begin the work on an errand; return what it is about, with the versions of the reviews that it carries."""
    with database.write() as session:
        found = Reruns(session).begin(errand)
        assert found is not None
        plan, revision = found
        assert revision == under
        reviews = Reviews(session).of(one.arrival_id for one in plan.instances)
        return {one.arrival_id: reviews.get(one.arrival_id, NOBODY_DECIDED).version for one in plan.instances}


def conclude(
    database: Database,
    errand: Errand,
    made: dict[str, DeidentifiedInstance | Hold],
    under: str = UNDER.revision,
    decided_meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Work through an errand with these results, by arrival."""
    versions = begin(database, errand, under)
    decided_meanwhile()
    with database.write() as session:
        for arrival_id, outcome in made.items():
            one = StagedInstance(
                arrival_id=arrival_id,
                was=Intake(session).instance(arrival_id).outcome,
                outcome=outcome,
                blob_key=f"blob-{arrival_id}-{errand.id}" if isinstance(outcome, DeidentifiedInstance) else "",
                review=versions[arrival_id],
            )
            assert Reruns(session).stage(errand.id, one)
        assert Reruns(session).conclude(errand.id) is not None


@pytest.mark.parametrize("state", HoldState)
@pytest.mark.parametrize("event", HoldEvent)
def test_a_hold_goes_where_the_table_says_and_nowhere_else(state: HoldState, event: HoldEvent) -> None:
    if (state, event) in HOLD_TRANSITIONS:
        assert hold_after(state, event) is HOLD_TRANSITIONS[state, event]
        return
    with pytest.raises(InvalidTransitionError, match=r"^[a-z].{20,}"):
        hold_after(state, event)


def test_what_becomes_black_elsewhere_does_so_in_every_frame_and_what_may_stay_only_in_the_same() -> None:
    here = decided(NO_REVIEW, ReviewAction.CONFIRM, [FOUND], is_itself=True)
    there = decided(NO_REVIEW, ReviewAction.CONFIRM, [FOUND], is_itself=False)
    assert (here.redact, there.redact) == ((FOUND,), (replace(FOUND, frame=None),))
    safe = decided(here, ReviewAction.MARK_SAFE, [FOUND], is_itself=True)
    assert safe == PixelReview(redact=(FOUND,), safe=(FOUND,))
    assert decided(here, ReviewAction.MARK_SAFE, [FOUND], is_itself=False).safe_elsewhere == (FOUND,)


def test_what_was_confirmed_is_looked_at_again_and_released_when_it_passes(database: Database) -> None:
    ann = user(database, "ann")
    shell, (one, other) = held(database, count=2)

    reviewed = decide(database, ann, one, CONFIRM)

    assert review_of(database, one) == PixelReview(redact=(FOUND,))
    assert review_of(database, other) == NO_REVIEW
    [errand] = reviewed.errands
    assert (reviewed.new_errands, errand.asked) == ((errand.id,), {"arrivals": [one.arrival_id]})
    assert (errand.revision, errand.case_id) == (UNDER.revision, shell.case_id)
    hold = hold_of(database, one)
    assert (hold.state, hold.reviews) == (HoldState.OPEN, 1)
    assert begin(database, errand) == {one.arrival_id: 1}
    conclude(database, errand, {one.arrival_id: image("1", study="study")})
    assert outcome_of(database, one)[0] is InstanceOutcome.FILED
    assert hold_of(database, one).state is HoldState.RELEASED
    assert hold_of(database, other).state is HoldState.OPEN


def test_what_is_found_again_is_held_again_with_what_was_read_by_the_rerun(database: Database) -> None:
    ann = user(database, "ann")
    _, (one,) = held(database)
    before = hold_of(database, one)
    [errand] = decide(database, ann, one, CONFIRM).errands
    again = replace(HOLD, findings=(replace(HOLD.findings[0], x=30, fate=RegionFate.KEPT, layer="icon"),))
    conclude(database, errand, {one.arrival_id: again})
    hold = hold_of(database, one)
    assert (hold.state, hold.findings, hold.errand_id, hold.reviews) == (
        HoldState.OPEN,
        again.findings,
        errand.id,
        1,
    )
    assert hold.version > before.version


def test_decisions_gather_in_the_rerun_that_nobody_began(database: Database) -> None:
    ann = user(database, "ann")
    _, arrivals = held(database, count=3)
    first = decide(database, ann, arrivals[0], CONFIRM)
    second = decide(database, ann, arrivals[1], CONFIRM)
    assert [one.id for one in second.errands] == [one.id for one in first.errands]
    assert second.new_errands == ()
    assert second.errands[0].asked == {"arrivals": sorted(one.arrival_id for one in arrivals[:2])}
    begin(database, second.errands[0])
    third = decide(database, ann, arrivals[2], CONFIRM)
    assert third.new_errands == (third.errands[0].id,)
    with database.write() as session, pytest.raises(RerunInProgressError):
        Reruns(session).request(third.errands[0].case_id or "", UNDER, actor="ada")


def test_what_was_made_before_a_decision_is_not_brought_in_after_it(database: Database) -> None:
    ann = user(database, "ann")
    _, (one,) = held(database)
    [errand] = decide(database, ann, one, CONFIRM).errands
    versions = begin(database, errand)
    decide(database, ann, one, DRAW)
    with database.write() as session:
        made = StagedInstance(
            arrival_id=one.arrival_id,
            was=InstanceOutcome.HELD,
            outcome=image("1", study="study"),
            blob_key="blob",
            review=versions[one.arrival_id],
        )
        assert Reruns(session).stage(errand.id, made)
        Reruns(session).conclude(errand.id)
    assert outcome_of(database, one)[0] is InstanceOutcome.HELD
    assert review_of(database, one) == PixelReview(redact=(FOUND, DRAWN))


def test_an_image_that_is_dropped_is_left_out_and_held_again_when_that_is_undone(database: Database) -> None:
    ann = user(database, "ann")
    shell, (one,) = held(database)
    reviewed = decide(database, ann, one, DROP)
    assert (reviewed.errands, hold_of(database, one).state) == ((), HoldState.DISCARDED)
    assert outcome_of(database, one) == (InstanceOutcome.DROPPED, "review")
    with database.read() as session:
        assert Reruns(session).plan(shell.case_id).instances == ()
        assert Intake(session).summary().total.adds_up
    with pytest.raises(InvalidTransitionError, match="left out"):
        decide(database, ann, one, CONFIRM)

    assert undo(database, ann, one).errands == ()

    hold = hold_of(database, one)
    assert (hold.state, hold.findings, hold.reviews) == (HoldState.OPEN, HOLD.findings, 0)
    assert outcome_of(database, one) == (InstanceOutcome.HELD, "burned-in-text")
    with pytest.raises(InvalidTransitionError, match="nothing to take back"):
        undo(database, ann, one)


def test_an_image_that_was_released_is_held_again_and_looked_at_with_what_was_decided_before(
    database: Database,
) -> None:
    ann = user(database, "ann")
    shell, (one,) = held(database)
    decide(database, ann, one, CONFIRM)
    [errand] = decide(database, ann, one, DRAW).errands
    conclude(database, errand, {one.arrival_id: image("1", study="study")})

    [errand] = undo(database, ann, one).errands

    hold = hold_of(database, one)
    assert (hold.state, hold.findings) == (HoldState.OPEN, HOLD.findings)
    assert review_of(database, one) == PixelReview(redact=(FOUND,))
    with database.read() as session:
        admin = user(database, "admin", Role.ADMIN)
        assert Cases(session).get(admin, shell.case_id).studies == ()
    conclude(database, errand, {one.arrival_id: image("1", study="study")})
    assert outcome_of(database, one)[0] is InstanceOutcome.FILED
    undo(database, ann, one)
    assert review_of(database, one) == NO_REVIEW


def test_nothing_is_undone_once_the_original_is_gone(database: Database) -> None:
    ann = user(database, "ann")
    _, (one,) = held(database)
    decide(database, ann, one, DROP)
    with database.write() as session:
        Intake(session).mark_purged([one.arrival_id], NOON)
    with pytest.raises(OriginalsGoneError):
        undo(database, ann, one)
    assert hold_of(database, one).state is HoldState.DISCARDED


def test_only_a_reviewer_marks_text_safe_and_owners_decide_in_their_drafts_alone(database: Database) -> None:
    ann, rita = user(database, "ann"), user(database, "rita", Role.REVIEWER)
    shell, (one,) = held(database)
    with pytest.raises(NotAllowedError, match="only a reviewer"):
        decide(database, ann, one, SAFE)
    decide(database, rita, one, SAFE)
    assert review_of(database, one) == PixelReview(safe=(FOUND,))
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = 'published' WHERE id = :c"), {"c": shell.case_id})
    with pytest.raises(NotAllowedError, match="no draft any more"):
        decide(database, ann, one, CONFIRM)
    with pytest.raises(NotAllowedError, match="only reviewers"):
        decide(database, user(database, "pia", Role.PRIVACY_OFFICER), one, CONFIRM)


def test_a_case_that_others_see_gets_a_reviewed_image_when_an_editor_says_so(database: Database) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    shell, (one,) = held(database)
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = 'published' WHERE id = :c"), {"c": shell.case_id})
    [errand] = decide(database, rita, one, CONFIRM).errands
    conclude(database, errand, {one.arrival_id: image("1", study="study")})
    assert outcome_of(database, one)[0] is InstanceOutcome.HELD
    with database.write() as session:
        assert Errands(session).get(errand.id).state is ErrandState.IN_REVIEW
        Reruns(session).apply(errand.id, actor="eve")
    assert hold_of(database, one).state is HoldState.RELEASED
    with database.read() as session:
        detail = Cases(session).get(rita, shell.case_id)
    assert (detail.summary.status, len(detail.studies)) == (CaseStatus.PUBLISHED, 1)


def test_a_whole_rerun_takes_released_images_with_their_boxes_again(database: Database) -> None:
    ann = user(database, "ann")
    shell, (one,) = held(database)
    [errand] = decide(database, ann, one, CONFIRM).errands
    conclude(database, errand, {one.arrival_id: image("1", study="study")})
    with database.write() as session:
        whole, plan, _ = Reruns(session).request(shell.case_id, UNDER, actor="ada")
    assert [found.arrival_id for found in plan.instances] == [one.arrival_id]
    assert begin(database, whole) == {one.arrival_id: 1}


@pytest.mark.parametrize(
    ("scope", "reaches"), [(ReviewScope.IMAGE, ""), (ReviewScope.SERIES, "s"), (ReviewScope.LAYOUT, "sl")]
)
def test_a_decision_reaches_its_series_or_layout_where_the_same_person_may_decide(
    database: Database, scope: ReviewScope, reaches: str
) -> None:
    ann = user(database, "ann")
    _, (one, sibling) = held(database, count=2)
    _, (elsewhere,) = held(database, "other", facts=replace(FACTS, series_key="6" * 32))
    _, (foreign,) = held(database, "foreign", owner="bob")
    _, (unlike,) = held(database, "unlike", facts=replace(FACTS, layout_key="2" * 32))

    reviewed = decide(database, ann, one, replace(CONFIRM, scope=scope))

    everywhere = PixelReview(redact=(replace(FOUND, frame=None),))
    assert review_of(database, one) == PixelReview(redact=(FOUND,))
    assert review_of(database, sibling) == (everywhere if "s" in reaches else NO_REVIEW)
    assert review_of(database, elsewhere) == (everywhere if "l" in reaches else NO_REVIEW)
    assert review_of(database, foreign) == review_of(database, unlike) == NO_REVIEW
    assert len(reviewed.holds) == 1 + len(reaches)
    assert len(reviewed.errands) == (2 if "l" in reaches else 1)


def test_a_hold_that_no_box_answers_can_only_be_dropped(database: Database) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    two = Hold(reason=HoldReason.TWO_PATIENTS, detail="two patients")
    _, (one, other) = held(database, count=2)
    with database.write() as session:
        Holds(session).hold(None, other.arrival_id, two)
    with pytest.raises(InvalidTransitionError, match="held for two patients, which no box answers"):
        decide(database, rita, other, DRAW)
    reviewed = decide(database, rita, one, replace(CONFIRM, scope=ReviewScope.SERIES))
    assert (len(reviewed.holds), reviewed.left) == (1, 1)
    decide(database, rita, other, DROP)
    assert outcome_of(database, other) == (InstanceOutcome.DROPPED, "review")


def test_what_was_never_compared_is_not_released(database: Database) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    _, (one,) = held(database)
    with database.write() as session:
        session.execute(text("UPDATE received_instance SET fingerprint_dataset = ''"))
    with pytest.raises(InvalidTransitionError, match="never compared"):
        decide(database, rita, one, SAFE)


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (replace(DRAW, boxes=()), "nothing was drawn"),
        (replace(DRAW, boxes=(replace(DRAWN, width=100),)), "100 columns and 100 rows"),
        (replace(DRAW, boxes=(replace(DRAWN, frame=1),)), "frames are counted from 0"),
        (replace(CONFIRM, findings=(2,)), "from 0 to 1"),
        (replace(CONFIRM, findings=()), "at least one"),
        (replace(CONFIRM, findings=(1,)), "beside the pixel data"),
    ],
)
def test_boxes_that_are_not_in_the_image_are_refused(database: Database, decision: Decision, why: str) -> None:
    beside = replace(HOLD.findings[0], layer="overlay 6000")
    _, (one,) = held(database, hold=replace(HOLD, findings=(*HOLD.findings, beside)))
    with pytest.raises(InvalidChangeError, match=why):
        decide(database, user(database, "ann"), one, decision)
    assert review_of(database, one) == NO_REVIEW


def test_confirming_all_leaves_harmless_text_alone(database: Database) -> None:
    marker = PixelFinding(frame=0, x=70, y=70, width=8, height=8, text_class=TextClass.SAFE, score=0.9)
    _, (one,) = held(database, hold=replace(HOLD, findings=(marker, *HOLD.findings)))
    decide(database, user(database, "ann"), one, CONFIRM)
    assert review_of(database, one).redact == (FOUND,)


def test_a_decision_on_another_state_of_the_hold_is_refused(database: Database) -> None:
    ann = user(database, "ann")
    _, (one,) = held(database)
    seen = hold_of(database, one).version
    decide(database, ann, one, CONFIRM, seen)
    with pytest.raises(VersionConflictError):
        decide(database, ann, one, DRAW, seen)


def test_the_worst_come_first_and_each_order_has_its_own_pages(database: Database) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    _, arrivals = held(database, count=4)
    reasons = (HoldReason.PROFILE, HoldReason.PIXELS_UNDECODABLE, HoldReason.UNREADABLE_TEXT, HoldReason.BURNED_IN_TEXT)
    with database.write() as session:
        for one, reason in zip(arrivals, reasons, strict=True):
            Holds(session).hold(None, one.arrival_id, Hold(reason=reason, detail="d"))

    def pages(order: HoldOrder) -> list[HoldReason]:
        found, cursor = list[HoldReason](), None
        with database.read() as session:
            while True:
                page = Holds(session).list(rita, order=order, limit=1, cursor=cursor)
                found += [hold.reason for hold in page.items]
                if (cursor := page.next_cursor) is None:
                    return found

    assert pages(HoldOrder.WORST) == list(reversed(reasons))
    assert sorted(pages(HoldOrder.OLDEST)) == sorted(reasons)
    with database.read() as session:
        queue = Holds(session).queue(rita)
        oldest = Holds(session).list(rita, order=HoldOrder.OLDEST, limit=1).next_cursor
        assert (queue.count, queue.oldest_arrived_at) == (4, NOON)
        with pytest.raises(InvalidChangeError):
            Holds(session).list(rita, order=HoldOrder.WORST, cursor=oldest)


def test_a_layout_is_learned_of_boxes_alone_and_can_be_switched_off(database: Database) -> None:
    rita, eve = user(database, "rita", Role.REVIEWER), user(database, "eve", Role.EDITOR)
    _, (one, other) = held(database, count=2)
    hold_id, other_id = hold_of(database, one).id, hold_of(database, other).id
    decide(database, rita, one, SAFE)
    with database.write() as session:
        with pytest.raises(InvalidTransitionError, match="no box"):
            SiteLayouts(session).learn(rita, hold_id, "Room 3")
        with pytest.raises(NotAllowedError):
            SiteLayouts(session).learn(eve, hold_id, "Room 3")
    decide(database, rita, one, CONFIRM)
    decide(database, rita, other, DRAW)
    everywhere = (replace(FOUND, frame=None), replace(DRAWN, frame=None))
    with database.write() as session:
        learned = SiteLayouts(session).learn(rita, hold_id, "Room 3")
        assert (learned.boxes, learned.layout_key, learned.rows) == (everywhere[:1], FACTS.layout_key, 100)
        assert SiteLayouts(session).learn(rita, other_id, "Room 3").boxes == everywhere
        [active] = SiteLayouts(session).active()
        assert (active.layout_key, active.boxes) == (FACTS.layout_key, everywhere)
        SiteLayouts(session).switch(rita, learned.id, is_active=False)
        assert SiteLayouts(session).active() == ()
        assert [one.is_active for one in SiteLayouts(session).list()] == [False]


def test_undoing_in_a_case_that_others_see_waits_for_an_editor(database: Database) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    shell, (one,) = held(database)
    [errand] = decide(database, rita, one, CONFIRM).errands
    conclude(database, errand, {one.arrival_id: image("1", study="study")})
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = 'published' WHERE id = :c"), {"c": shell.case_id})
    [errand] = undo(database, rita, one).errands
    assert (hold_of(database, one).state, outcome_of(database, one)[0]) == (HoldState.RELEASED, InstanceOutcome.FILED)
    conclude(database, errand, {one.arrival_id: HOLD})
    assert outcome_of(database, one)[0] is InstanceOutcome.FILED
    with database.write() as session:
        Reruns(session).apply(errand.id, actor="eve")
    assert (hold_of(database, one).state, outcome_of(database, one)[0]) == (HoldState.OPEN, InstanceOutcome.HELD)


def test_a_decision_takes_along_what_waits_for_an_editor(database: Database) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    shell, (one, other) = held(database, count=2)
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = 'published' WHERE id = :c"), {"c": shell.case_id})
    [first] = decide(database, rita, one, CONFIRM).errands
    conclude(database, first, {one.arrival_id: image("1", study="study")})
    [second] = decide(database, rita, other, CONFIRM).errands
    assert second.asked == {"arrivals": sorted([one.arrival_id, other.arrival_id])}
    with database.read() as session:
        given_up = Errands(session).get(first.id)
        assert (given_up.state, "looked at together" in given_up.reason) == (ErrandState.DISCARDED, True)
    with database.write() as session:
        condemned = Cases(session).condemned_blobs()
    assert condemned == [f"blob-{one.arrival_id}-{first.id}"]


def test_an_image_is_looked_at_under_the_revision_that_its_case_has_by_then(database: Database) -> None:
    ann = user(database, "ann")
    newer = ProfileRevision(name="strict", revision="b" * 16, text="name: strict")
    shell, (one,) = held(database)
    [errand] = decide(database, ann, one, CONFIRM).errands
    with database.write() as session:
        Profiles(session).keep(newer)
        session.execute(
            text("UPDATE teaching_case SET profile = 'strict', profile_revision = :r"), {"r": newer.revision}
        )
        found = Reruns(session).begin(errand)
        assert found is not None
        assert found[1] == newer.revision
        assert Errands(session).get(errand.id).profile == "strict"
    with database.read() as session:
        assert Cases(session).get(ann, shell.case_id).rerun is None  # it is about one image, not about the case


NEWER = ProfileRevision(name="strict", revision="b" * 16, text="name: strict")


def under_newer(name: str) -> DeidentifiedInstance:
    made = image(name, study="study")
    return replace(made, report=replace(made.report, profile=NEWER.name, profile_revision=NEWER.revision))


def in_review(database: Database, shell: CaseShell, made: dict[str, DeidentifiedInstance | Hold]) -> Errand:
    """Publish a case, and let a whole re-run of it under the newer revision wait for an editor."""
    with database.write() as session:
        Profiles(session).keep(NEWER)
        session.execute(text("UPDATE teaching_case SET status = 'published' WHERE id = :c"), {"c": shell.case_id})
        whole, _, _ = Reruns(session).request(shell.case_id, NEWER, actor="ada")
    conclude(database, whole, made, NEWER.revision)
    return whole


def state_of(database: Database, errand: Errand) -> tuple[ErrandState, str]:
    with database.read() as session:
        found = Errands(session).get(errand.id)
    return found.state, found.reason


@pytest.mark.parametrize("first_applied", ["whole", "review"])
def test_what_was_looked_at_under_an_older_revision_is_looked_at_again_under_the_one_that_the_case_got(
    database: Database, first_applied: str
) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    shell, (one, other) = held(database, count=2)
    whole = in_review(database, shell, {one.arrival_id: HOLD, other.arrival_id: HOLD})
    [review] = decide(database, rita, one, CONFIRM).errands
    conclude(database, review, {one.arrival_id: image("1", study="study")})

    with database.write() as session:
        if first_applied == "review":
            Reruns(session).apply(review.id, actor="eve")
        done = Reruns(session).apply(whole.id, actor="eve")

    assert done.errand.state is ErrandState.DONE
    assert done.again is not None
    assert done.again.asked == {"arrivals": [one.arrival_id]}
    assert (done.again.state, done.again.revision) == (ErrandState.QUEUED, NEWER.revision)
    if first_applied == "whole":
        assert [given_up.id for given_up in done.given_up] == [review.id]
        assert state_of(database, review) == (
            ErrandState.DISCARDED,
            "its case got another revision, under which these images are looked at again",
        )
        with database.write() as session, pytest.raises(InvalidTransitionError, match="only one that is in review"):
            Reruns(session).apply(review.id, actor="eve")
    conclude(database, done.again, {one.arrival_id: under_newer("1")}, NEWER.revision)
    with database.write() as session:
        again = Reruns(session).apply(done.again.id, actor="eve")
    assert (again.given_up, again.again) == ((), None)
    with database.read() as session:
        (image_of_case,) = Cases(session).get(rita, shell.case_id).studies[0].series[0].images
    assert image_of_case.profile_revision == NEWER.revision


def test_a_review_that_runs_while_its_case_gets_another_revision_ends_and_begins_anew(database: Database) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    shell, (one,) = held(database)
    whole = in_review(database, shell, {one.arrival_id: HOLD})
    [review] = decide(database, rita, one, CONFIRM).errands
    begin(database, review)
    with database.write() as session:
        done = Reruns(session).apply(whole.id, actor="eve")
        made = StagedInstance(arrival_id=one.arrival_id, was=InstanceOutcome.HELD, outcome=image("1"), blob_key="b")
        assert not Reruns(session).stage(review.id, made)
        assert Reruns(session).conclude(review.id) is None
    assert done.again is not None
    assert state_of(database, review)[0] is ErrandState.DISCARDED


def test_what_nobody_decided_on_is_not_looked_at_again(database: Database) -> None:
    shell, (one,) = held(database)
    whole = in_review(database, shell, {one.arrival_id: HOLD})
    with database.write() as session:
        done = Reruns(session).apply(whole.id, actor="eve")
    assert (done.given_up, done.again) == ((), None)


def test_single_images_of_an_older_revision_are_never_brought_in(database: Database) -> None:
    rita = user(database, "rita", Role.REVIEWER)
    _, (one,) = held(database)
    with database.write() as session:
        Profiles(session).keep(NEWER)
    newer = text("UPDATE teaching_case SET profile = 'strict', profile_revision = :r")

    def changed() -> None:
        with database.write() as session:
            session.execute(newer, {"r": NEWER.revision})

    [errand] = decide(database, rita, one, CONFIRM).errands
    conclude(database, errand, {one.arrival_id: image("1", study="study")}, decided_meanwhile=changed)
    state, reason = state_of(database, errand)
    assert (state, "make the case anew" in reason) == (ErrandState.DISCARDED, True)

    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = 'published'"))
    [errand] = decide(database, rita, one, DRAW).errands
    conclude(database, errand, {one.arrival_id: image("1", study="study")}, NEWER.revision)
    with database.write() as session:
        session.execute(newer, {"r": UNDER.revision})
    with database.write() as session, pytest.raises(InvalidTransitionError, match="make the case anew"):
        Reruns(session).apply(errand.id, actor="eve")
    assert outcome_of(database, one)[0] is InstanceOutcome.HELD


def test_a_case_older_than_revisions_says_what_to_do(database: Database) -> None:
    ann = user(database, "ann")
    _, (one,) = held(database)
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET profile_revision = ''"))
    with pytest.raises(InvalidTransitionError, match="make the case anew under one, then decide"):
        decide(database, ann, one, CONFIRM)
    assert review_of(database, one) == NO_REVIEW


def test_a_device_that_nobody_named_and_a_series_that_nobody_named_reach_nobody(database: Database) -> None:
    ann = user(database, "ann")
    _, (one,) = held(database, facts=InstanceFacts(series_key=""))
    for scope in (ReviewScope.SERIES, ReviewScope.LAYOUT):
        with pytest.raises(InvalidChangeError, match="names no"):
            decide(database, ann, one, replace(CONFIRM, scope=scope))


def test_an_image_takes_no_more_boxes_than_a_person_draws(database: Database) -> None:
    ann = user(database, "ann")
    _, (one,) = held(database)
    many = tuple(MarkedBox(x=number % 90, y=number // 90, width=1, height=1) for number in range(501))
    with pytest.raises(InvalidChangeError, match="more than 500 boxes"):
        decide(database, ann, one, replace(DRAW, boxes=many))


def test_marking_safe_says_nothing_of_what_becomes_black_by_itself(database: Database) -> None:
    unread, name = HOLD.findings[0], replace(HOLD.findings[0], x=30, fate=RegionFate.REDACTED)
    hold = replace(HOLD, findings=(replace(unread, fate=RegionFate.HELD), name))
    _, [arrived] = held(database, hold=hold)
    reviewer = user(database, "rita", Role.REVIEWER)
    decide(database, reviewer, arrived, SAFE)
    assert [box.x for box in review_of(database, arrived).safe] == [unread.x]
    decide(database, reviewer, arrived, replace(SAFE, findings=(1,)))
    assert [box.x for box in review_of(database, arrived).safe] == [unread.x, 30]


def test_a_face_is_let_go_on_by_a_reviewer_alone(database: Database) -> None:
    face = Hold(reason=HoldReason.RECOGNIZABLE_FACE, detail="slices of a head from which a face could be rendered")
    _, [arrived, other] = held(database, count=2, hold=face)
    with pytest.raises(NotAllowedError):
        decide(database, user(database, "ann"), arrived, SAFE)
    with pytest.raises(InvalidTransitionError, match="no box answers"):
        decide(database, user(database, "ann"), arrived, DRAW)
    reached = decide(database, user(database, "rita", Role.REVIEWER), arrived, replace(SAFE, scope=ReviewScope.SERIES))
    assert len(reached.holds) == 2
    assert [review_of(database, one) for one in (arrived, other)] == [PixelReview(accepts_face=True)] * 2
