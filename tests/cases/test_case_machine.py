"""Several people at once do whatever they may, in any order: no limit and no guard ever breaks."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy.orm import Session

from cases.changes import CaseChanges, StudyChange
from cases.errors import CaseError
from cases.model import CaseDetail, CaseStatus, CaseSystem, Certainty, Sex, Visibility
from cases.publication import PushBackReason, faults
from cases.store import Accounts, Cases, Database, Moderation
from cases.users import Role, User, UserChange
from tests.cases.world import INBOX, SCREEN, file_study, route, user

_studies = count()
TEXTS = (
    CaseChanges(
        title="Acute appendicitis",
        presentation="Pain in the right iliac fossa.",
        discussion="Confirmed at surgery.",
        systems=(CaseSystem.GASTROINTESTINAL,),
        age_band="45 years",
        sex=Sex.FEMALE,
        certainty=Certainty.CERTAIN,
        accepts_licence=True,
    ),
    CaseChanges(accepts_licence=True),
    CaseChanges(discussion=""),
    CaseChanges(certainty=Certainty.PROBABLE, certainty_evidence="Typical course."),
    CaseChanges(certainty=Certainty.POSSIBLE, certainty_evidence="Typical course."),
    CaseChanges(is_rare=True),
    CaseChanges(is_rare=False),
)
PEOPLE = ("ann", "bob", "ed", "chief", "reader")
Deed = Callable[[], object]


def moderation(session: Session) -> Moderation:
    return Moderation(session, SCREEN)


MOVES: Mapping[str, Callable[[Session, User, str], object]] = {
    "submit": lambda session, who, case: moderation(session).submit(who, case, Visibility.PUBLIC),
    "submit unlisted": lambda session, who, case: moderation(session).submit(who, case, Visibility.UNLISTED),
    "take back": lambda session, who, case: moderation(session).take_back(who, case),
    "accept": lambda session, who, case: moderation(session).accept(who, case, accepts_probable=True),
    "push back": lambda session, who, case: moderation(session).push_back(who, case, PushBackReason.LANGUAGE, "Why?"),
    "hide": lambda session, who, case: moderation(session).show(who, case, Visibility.UNLISTED),
    "show": lambda session, who, case: moderation(session).show(who, case, Visibility.PUBLIC),
    "claim": lambda session, who, case: Cases(session).claim(who, case),
    "remove": lambda session, who, case: Cases(session).remove(who, case),
}


class Library(RuleBasedStateMachine):
    """A library of a few people with few places each."""

    database: Database
    cases = Bundle("cases")

    @initialize()
    def open(self) -> None:
        roles = {"ed": Role.EDITOR, "chief": Role.EDITOR, "reader": Role.READER}
        for name in PEOPLE:
            person = user(self.database, name, roles.get(name, Role.CONTRIBUTOR), draft_limit=2)
            few = UserChange(unlisted_limit=1, pending_limit=1, is_trusted=name == "bob")
            with self.database.write() as session:
                Accounts(session).edit(person.id, few)
        self.beyond: dict[str, int] = {}
        """How many drafts of whom an editor gave back beyond the limit."""
        self.accepted_by: dict[str, str] = {}

    def person(self, name: str) -> User:
        with self.database.read() as session:
            found = Accounts(session).user_named(name)
        assert found is not None
        return found

    def all(self) -> list[CaseDetail]:
        chief = self.person("chief")
        with self.database.read() as session:
            return [Cases(session).get(chief, case.id) for case in Cases(session).list(chief, limit=200).items]

    def attempt(self, deed: Deed) -> object:
        """Do what may be refused; whatever else goes wrong is a fault."""
        try:
            return deed()
        except CaseError:
            return None

    @rule(target=cases, owner=st.sampled_from(["ann", "bob", "ed", None]))
    def arrive(self, owner: str | None) -> str:
        return file_study(self.database, route(owner) if owner else INBOX, f"s{next(_studies)}").case_id

    def writing(self, who: str, case_id: str, changes: CaseChanges, findings: str) -> Deed:
        def deed() -> object:
            person = self.person(who)
            with self.database.write() as session:
                cases = Cases(session)
                seen = cases.get(person, case_id)
                studies = tuple(StudyChange(id=one.id, findings=findings) for one in seen.studies)
                return cases.patch(person, case_id, replace(changes, studies=studies), seen.summary.version, SCREEN)

        return deed

    def moving(self, who: str, case_id: str, how: str) -> Deed:
        def deed() -> object:
            person = self.person(who)
            with self.database.write() as session:
                return MOVES[how](session, person, case_id)

        return deed

    @rule(
        case_id=cases,
        who=st.sampled_from(PEOPLE),
        changes=st.sampled_from(TEXTS),
        findings=st.sampled_from(["Seen.", ""]),
    )
    def write(self, case_id: str, who: str, changes: CaseChanges, findings: str) -> None:
        self.attempt(self.writing(who, case_id, changes, findings))

    @rule(case_id=cases, who=st.sampled_from(["ann", "bob", "ed"]))
    def finish(self, case_id: str, who: str) -> None:
        self.attempt(self.writing(who, case_id, TEXTS[0], "Seen."))

    @rule(case_id=cases, who=st.sampled_from(PEOPLE), how=st.sampled_from(sorted(MOVES)))
    def move(self, case_id: str, who: str, how: str) -> None:
        self.follow(self.attempt(self.moving(who, case_id, how)), who, how)

    @rule(
        first=st.tuples(cases, st.sampled_from(PEOPLE), st.sampled_from(sorted(MOVES))),
        second=st.tuples(cases, st.sampled_from(PEOPLE), st.sampled_from(sorted(MOVES))),
    )
    def at_once(self, first: tuple[str, str, str], second: tuple[str, str, str]) -> None:
        deeds = [(who, how, self.moving(who, case_id, how)) for case_id, who, how in (first, second)]
        with ThreadPoolExecutor(2) as threads:
            done = [(who, how, threads.submit(self.attempt, deed)) for who, how, deed in deeds]
            results = [(who, how, future.result()) for who, how, future in done]
        for who, how, result in results:
            self.follow(result, who, how)

    def follow(self, result: object, who: str, how: str) -> None:
        if isinstance(result, CaseDetail) and how == "accept":
            assert result.summary.owner != who
            self.accepted_by[result.summary.id] = who

    @rule()
    def fill_places(self) -> None:
        with self.database.write() as session:
            Cases(session).promote_waiting()

    @invariant()
    def nobody_has_more_than_there_may_be(self) -> None:
        for name in ("ann", "bob", "ed"):
            person = self.person(name)
            with self.database.read() as session:
                usage = Accounts(session).usage(person.id)
                pushed = [
                    case.summary.id
                    for case in self.all()
                    if case.summary.owner == name
                    and case.summary.status is CaseStatus.DRAFT
                    and any(step.action == "push-back" for step in Moderation(session, SCREEN).history(case.summary.id))
                ]
            assert usage.drafts <= person.draft_limit + len(pushed)
            assert usage.unlisted <= person.unlisted_limit
            assert person.is_trusted or usage.pending <= person.pending_limit

    @invariant()
    def what_others_see_lacks_nothing_and_was_let_out(self) -> None:
        for case in self.all():
            summary = case.summary
            if summary.status not in {CaseStatus.PUBLISHED, CaseStatus.PENDING_REVIEW}:
                continue
            owner = self.person(summary.owner or "")
            lacks = faults(
                case, summary.visibility, policy=owner.institution_policy, is_text_clean=True, accepts_probable=True
            )
            assert not lacks
            with self.database.read() as session:
                history = Moderation(session, SCREEN).history(summary.id)
            assert history[-1].target is summary.status
            assert history[-1].visibility is summary.visibility
            if (
                summary.status is CaseStatus.PUBLISHED
                and summary.visibility is Visibility.PUBLIC
                and not owner.is_trusted
            ):
                assert any(step.action == "accept" and step.actor != owner.name for step in history)

    @invariant()
    def readers_see_what_is_public_and_nothing_else(self) -> None:
        reader = self.person("reader")
        public = {
            case.summary.id
            for case in self.all()
            if (case.summary.status, case.summary.visibility) == (CaseStatus.PUBLISHED, Visibility.PUBLIC)
        }
        for case in self.all():
            with self.database.read() as session:
                try:
                    Cases(session).get(reader, case.summary.id)
                except CaseError:
                    assert case.summary.id not in public
                else:
                    assert case.summary.id in public


@pytest.mark.timeout(300)
def test_no_limit_and_no_guard_ever_breaks(database: Database) -> None:
    machine = type("Here", (Library,), {"database": database})
    few = settings(
        max_examples=5, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(lambda: emptied(database, machine), settings=few)


def emptied(database: Database, machine: type[Library]) -> Library:
    """Give each run a library of its own: the cases of the run before go."""
    chief = user(database, "chief", Role.EDITOR)
    with database.write() as session:
        for case in Cases(session).list(chief, limit=200).items:
            Cases(session).erase(case.id)
    return machine()
