"""Links to unlisted cases: who makes them, what ends them, and that the token is kept nowhere."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from cases.errors import CaseNotFoundError, IdentifyingTextError, InvalidTransitionError, NotAllowedError
from cases.model import CaseStatus
from cases.shares import USE_NOTED_EVERY, ShareLink
from cases.store import Cases, Database, Shares
from cases.store.clock import now as clock_now
from cases.store.collection_rows import ShareLinkRow
from cases.store.rows import CaseRow
from cases.users import User
from tests.cases.test_playlists import DRAFT, PUBLIC, UNLISTED, case_of, move
from tests.cases.world import SCREEN, Role, user

DAY = timedelta(days=1)


def share(
    database: Database, owner: User, case_id: str, label: str = "tumor board", lasts: timedelta = DAY
) -> tuple[ShareLink, str]:
    with database.write() as session:
        return Shares(session).make(owner, case_id, label=label, lasts=lasts, screen=SCREEN)


def opens(database: Database, token: str, now: datetime | None = None) -> bool:
    with database.read() as session:
        try:
            return Shares(session).open(token, now) is not None
        except CaseNotFoundError:
            return False


def links(database: Database, case_id: str) -> tuple[ShareLink, ...]:
    with database.read() as session:
        return Shares(session).list(case_id)


def test_the_owner_of_an_unlisted_case_makes_links_to_it(database: Database) -> None:
    ann, bob, root = user(database, "ann"), user(database, "bob"), user(database, "root", Role.ADMIN)
    unlisted = case_of(database, "ann", "u", UNLISTED)
    link, token = share(database, ann, unlisted)
    assert len(token) == 43, "256 bits"
    assert opens(database, token)
    with database.read() as session:
        shares = Shares(session)
        case = shares.case(shares.open(token))
        image = case.studies[0].series[0].images[0]
        assert (case.summary.id, shares.image(link, image.id)) == (unlisted, image)
    for somebody in (bob, root):
        with pytest.raises(NotAllowedError):
            share(database, somebody, unlisted)
    for state in (PUBLIC, DRAFT):
        with pytest.raises(InvalidTransitionError, match="unlisted"):
            share(database, ann, case_of(database, "ann", f"other {state}", state))


def test_the_token_is_kept_as_a_hash_only(database: Database) -> None:
    ann = user(database, "ann")
    _, token = share(database, ann, case_of(database, "ann", "u", UNLISTED))
    with database.read() as session:
        rows = [row.__dict__ for row in session.scalars(select(ShareLinkRow))]
    assert token not in str(rows)
    assert token not in str(links(database, rows[0]["case_id"]))


def test_a_link_ends_with_its_time_or_when_it_is_revoked(database: Database) -> None:
    ann = user(database, "ann")
    case_id = case_of(database, "ann", "u", UNLISTED)
    (one, first), (_, second) = share(database, ann, case_id), share(database, ann, case_id)
    assert opens(database, first, one.expires_at - timedelta(seconds=1))
    assert not opens(database, first, one.expires_at)
    with database.write() as session:
        Shares(session).revoke(case_id, one.id)
    ended = {link.id: link.revoked_at for link in links(database, case_id)}[one.id]
    with database.write() as session:
        Shares(session).revoke(case_id, one.id)
        with pytest.raises(CaseNotFoundError):
            Shares(session).revoke("0" * 32, one.id)
    assert {link.id: link.revoked_at for link in links(database, case_id)}[one.id] == ended
    assert (opens(database, first), opens(database, second)) == (False, True)
    assert not opens(database, "nonsense")
    assert not opens(database, "")


def test_an_image_of_another_case_is_not_behind_a_link(database: Database) -> None:
    ann = user(database, "ann")
    link, _ = share(database, ann, case_of(database, "ann", "u", UNLISTED))
    other = case_of(database, "ann", "other")
    with database.read() as session:
        image = Cases(session).get(ann, other).studies[0].series[0].images[0]
        for image_id in (image.id, "0" * 32):
            with pytest.raises(CaseNotFoundError):
                Shares(session).image(link, image_id)


def test_links_of_a_case_that_is_no_longer_published_end_for_good(database: Database) -> None:
    ann = user(database, "ann")
    case_id = case_of(database, "ann", "u", UNLISTED)
    _, token = share(database, ann, case_id)
    move(database, case_id, *PUBLIC)
    assert opens(database, token), "a public case is published"
    move(database, case_id, *DRAFT)
    assert not opens(database, token)
    move(database, case_id, *UNLISTED)
    assert not opens(database, token)
    assert links(database, case_id)[0].revoked_at is not None


def test_a_withdrawn_case_ends_its_links_and_an_erased_one_forgets_their_labels(database: Database) -> None:
    ann = user(database, "ann")
    one, two = case_of(database, "ann", "one", UNLISTED), case_of(database, "ann", "two", UNLISTED)
    tokens = [share(database, ann, case_id)[1] for case_id in (one, two)]
    with database.write() as session:
        Cases(session).withdraw(one)
    with database.write() as session:
        assert Shares(session).revoke_all(one) == 0
        assert Shares(session).revoke_all(two) == 1
        Cases(session).erase(two)
    assert [opens(database, token) for token in tokens] == [False, False]
    assert len(links(database, one)) == 1
    assert links(database, two) == ()


def test_a_state_that_somebody_forgot_to_tell_of_closes_a_link_as_well(database: Database) -> None:
    ann = user(database, "ann")
    case_id = case_of(database, "ann", "u", UNLISTED)
    _, token = share(database, ann, case_id)
    with database.write() as session:
        session.get_one(CaseRow, case_id).status = CaseStatus.PENDING_REVIEW
    assert not opens(database, token)


def test_a_label_that_could_identify_somebody_is_refused(database: Database) -> None:
    ann = user(database, "ann")
    case_id = case_of(database, "ann", "u", UNLISTED)
    with pytest.raises(IdentifyingTextError) as caught:
        share(database, ann, case_id, label="for a.b@example.org")
    assert [found.place.field for found in caught.value.findings] == ["label"]
    assert links(database, case_id) == ()


def test_uses_are_counted_and_the_last_one_is_kept(database: Database) -> None:
    ann = user(database, "ann")
    case_id = case_of(database, "ann", "u", UNLISTED)
    link, _ = share(database, ann, case_id)
    assert link.is_note_due(clock_now())
    for is_opened in (True, False, True):
        with database.write() as session:
            Shares(session).note_use(link.id, is_opened=is_opened)
    [used] = links(database, case_id)
    assert used.uses == 2
    assert used.last_used_at is not None
    assert not used.is_note_due(used.last_used_at + USE_NOTED_EVERY)
    assert used.is_note_due(used.last_used_at + USE_NOTED_EVERY + timedelta(seconds=1))
