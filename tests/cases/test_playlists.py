"""Playlists: what they may hold, who sees what of them, and that a case leaves them when it leaves the public."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from cases.errors import (
    CaseNotFoundError,
    IdentifyingTextError,
    InvalidChangeError,
    InvalidTransitionError,
    NotAllowedError,
    VersionConflictError,
)
from cases.model import CaseStatus, Visibility
from cases.playlists import ENTRIES_MAX, NewEntry, Playlist, PlaylistChanges, PlaylistScope, may_hold
from cases.store import Cases, Collections, Database, Playlists
from cases.store.collection_rows import PlaylistEntryRow, PlaylistRow
from cases.store.rows import CaseRow
from cases.users import User
from tests.cases.world import SCREEN, Role, file_study, route, user

PUBLIC = (CaseStatus.PUBLISHED, Visibility.PUBLIC)
UNLISTED = (CaseStatus.PUBLISHED, Visibility.UNLISTED)
DRAFT = (CaseStatus.DRAFT, Visibility.PUBLIC)


def move(database: Database, case_id: str, status: CaseStatus, visibility: Visibility) -> None:
    """Let a case come into a state, as the transitions of people do."""
    with database.write() as session:
        statement = text("UPDATE teaching_case SET status = :s, visibility = :v WHERE id = :c")
        session.execute(statement, {"s": status.value, "v": visibility.value, "c": case_id})
        collections = Collections(session)
        if (status, visibility) == PUBLIC:
            session.execute(text("UPDATE teaching_case SET approved_at = created_at WHERE id = :c"), {"c": case_id})
            collections.enter_public(case_id)
        collections.leave_public(case_id)


def case_of(
    database: Database, owner: str, name: str, state: tuple[CaseStatus, Visibility] = PUBLIC, sops: int = 1
) -> str:
    case_id = file_study(database, route(owner), name, sops).case_id
    move(database, case_id, *state)
    return case_id


def make(
    database: Database,
    owner: User,
    *case_ids: str,
    visibility: Visibility = Visibility.UNLISTED,
    title: str = "Emergencies",
) -> Playlist:
    entries = tuple(NewEntry(case_id=case_id) for case_id in case_ids)
    with database.write() as session:
        new = PlaylistChanges(title=title, visibility=visibility, entries=entries)
        return Playlists(session).make(owner, new, SCREEN)


def edit(
    database: Database, editor: User, playlist: Playlist, changes: PlaylistChanges, version: int | None = None
) -> Playlist:
    with database.write() as session:
        return Playlists(session).edit(editor, playlist.summary.id, changes, version, SCREEN)


def shown(database: Database, viewer: User, playlist: Playlist) -> list[str]:
    with database.read() as session:
        found = Playlists(session).get(viewer, playlist.summary.id)
    assert found.summary.entries == len(found.entries)
    return [entry.case.id for entry in found.entries]


def test_a_playlist_keeps_its_cases_in_the_order_that_was_chosen(database: Database) -> None:
    ann = user(database, "ann")
    ids = [case_of(database, "ann", name) for name in "abc"]
    playlist = make(database, ann, *ids[::-1])
    assert shown(database, ann, playlist) == ids[::-1]
    entries = (NewEntry(case_id=ids[1], note="first"), NewEntry(case_id=ids[2]))
    changed = edit(database, ann, playlist, PlaylistChanges(entries=entries))
    assert [(entry.case.id, entry.note) for entry in changed.entries] == [(ids[1], "first"), (ids[2], "")]
    assert changed.summary.version == playlist.summary.version + 1
    edit(database, ann, playlist, PlaylistChanges(title="Nights", is_quiz=True))
    assert shown(database, ann, playlist) == ids[1:]


@pytest.mark.parametrize("visibility", list(Visibility))
def test_a_playlist_holds_what_its_readers_could_find_and_no_more(database: Database, visibility: Visibility) -> None:
    ann, _ = user(database, "ann"), user(database, "bob")
    ok = [case_of(database, "ann", "public"), case_of(database, "bob", "public")]
    own_unlisted = case_of(database, "ann", "unlisted", UNLISTED)
    assert shown(database, ann, make(database, ann, *ok, visibility=visibility)) == ok
    wrong = [
        case_of(database, "bob", "unlisted", UNLISTED),
        case_of(database, "ann", "draft", DRAFT),
        case_of(database, "ann", "pending", (CaseStatus.PENDING_REVIEW, Visibility.PUBLIC)),
        "0" * 32,
    ]
    if visibility is Visibility.UNLISTED:
        assert shown(database, ann, make(database, ann, own_unlisted)) == [own_unlisted]
    else:
        wrong.append(own_unlisted)
    said = set()
    for case_id in wrong:
        with pytest.raises(InvalidChangeError) as caught:
            make(database, ann, ok[0], case_id, visibility=visibility)
        said.add(str(caught.value))
    assert len(said) == 1, "what is not there and what may not be told of are answered alike"


def test_a_playlist_becomes_public_with_public_cases_only(database: Database) -> None:
    ann = user(database, "ann")
    public, unlisted = case_of(database, "ann", "p"), case_of(database, "ann", "u", UNLISTED)
    playlist = make(database, ann, public, unlisted)
    publish = PlaylistChanges(visibility=Visibility.PUBLIC)
    with pytest.raises(InvalidTransitionError, match="take 1 case"):
        edit(database, ann, playlist, publish)
    edit(database, ann, playlist, PlaylistChanges(entries=(NewEntry(case_id=public),)))
    assert edit(database, ann, playlist, publish).summary.visibility is Visibility.PUBLIC


def test_readers_see_of_a_playlist_what_they_may_see_of_its_cases(database: Database) -> None:
    ann, bob = user(database, "ann"), user(database, "bob")
    editor, reader = user(database, "ed", Role.EDITOR), user(database, "rea", Role.READER)
    public, unlisted = case_of(database, "ann", "p"), case_of(database, "ann", "u", UNLISTED)
    playlist = make(database, ann, unlisted, public)
    assert shown(database, ann, playlist) == shown(database, editor, playlist) == [unlisted, public]
    assert shown(database, bob, playlist) == shown(database, reader, playlist) == [public]
    with database.read() as session:
        playlists = Playlists(session)
        assert playlists.holds(ann, playlist.summary.id, unlisted)
        assert playlists.holds(bob, playlist.summary.id, public)
        assert not playlists.holds(bob, playlist.summary.id, unlisted)
        assert not playlists.holds(bob, "0" * 32, public)
        with pytest.raises(CaseNotFoundError):
            playlists.get(ann, "0" * 32)


def test_a_case_that_left_the_public_is_not_shown_even_where_nobody_took_it_out(database: Database) -> None:
    ann, editor = user(database, "ann"), user(database, "ed", Role.EDITOR)
    case_id = case_of(database, "ann", "p")
    playlist = make(database, ann, case_id, visibility=Visibility.PUBLIC)
    with database.write() as session:
        session.execute(text("UPDATE teaching_case SET status = 'draft'"))
    assert shown(database, ann, playlist) == shown(database, editor, playlist) == []


def test_lists_hold_own_and_public_playlists_and_go_on_behind_their_cursor(database: Database) -> None:
    ann, bob = user(database, "ann"), user(database, "bob")
    mine = [make(database, ann).summary.id for _ in range(3)]
    public = make(database, bob, visibility=Visibility.PUBLIC).summary.id
    make(database, bob)
    with database.read() as session:
        playlists = Playlists(session)
        first = playlists.list(ann, limit=2)
        rest = playlists.list(ann, limit=2, cursor=first.next_cursor)
        assert [one.id for one in (*first.items, *rest.items)] == [public, *mine[::-1]]
        assert rest.next_cursor is None
        assert [one.id for one in playlists.list(ann, scope=PlaylistScope.PUBLIC).items] == [public]
        assert [one.id for one in playlists.list(ann, scope=PlaylistScope.MINE).items] == mine[::-1]


def test_a_playlist_is_changed_by_its_owner_and_deleted_by_editors_too(database: Database) -> None:
    ann, bob, editor = user(database, "ann"), user(database, "bob"), user(database, "ed", Role.EDITOR)
    case_id = case_of(database, "ann", "p")
    playlist = make(database, ann, case_id, visibility=Visibility.PUBLIC)
    for somebody in (bob, editor):
        with pytest.raises(NotAllowedError):
            edit(database, somebody, playlist, PlaylistChanges(title="Mine"))
    with database.write() as session, pytest.raises(NotAllowedError):
        Playlists(session).delete(bob, playlist.summary.id)
    with database.write() as session:
        Playlists(session).delete(editor, playlist.summary.id)
        assert session.scalars(select(PlaylistEntryRow)).all() == []
        assert session.get(CaseRow, case_id) is not None
        with pytest.raises(CaseNotFoundError):
            Playlists(session).delete(editor, playlist.summary.id)


def test_two_tabs_do_not_overwrite_each_other(database: Database) -> None:
    ann = user(database, "ann")
    playlist = make(database, ann)
    edit(database, ann, playlist, PlaylistChanges(title="one"), playlist.summary.version)
    with pytest.raises(VersionConflictError):
        edit(database, ann, playlist, PlaylistChanges(title="two"), playlist.summary.version)
    assert edit(database, ann, playlist, PlaylistChanges(title="three")).summary.title == "three"


def test_typed_texts_are_held_against_patterns_and_named_by_place(database: Database) -> None:
    ann = user(database, "ann")
    case_id = case_of(database, "ann", "p")
    entries = (NewEntry(case_id=case_id, note="Seen on 3 March 2019."),)
    new = PlaylistChanges(title="Mail a.b@example.org", description="Call 089 1234567", entries=entries)
    with database.write() as session, pytest.raises(IdentifyingTextError) as caught:
        Playlists(session).make(ann, new, SCREEN)
    places = [(found.place.field, found.place.index) for found in caught.value.findings]
    assert places == [("title", None), ("description", None), ("entries", 0)]
    with database.read() as session:
        assert Playlists(session).list(ann).items == ()


def test_what_does_not_fit_is_refused_without_its_text(database: Database) -> None:
    ann = user(database, "ann")
    case_id = case_of(database, "ann", "p")
    wrong = [
        PlaylistChanges(title=""),
        PlaylistChanges(title="secret" * 30),
        PlaylistChanges(title="t", description="secret" * 1000),
        PlaylistChanges(title="t", entries=(NewEntry(case_id=case_id, note="secret" * 100),)),
        PlaylistChanges(title="t", entries=(NewEntry(case_id=case_id), NewEntry(case_id=case_id))),
        PlaylistChanges(title="t", entries=tuple(NewEntry(case_id=f"{n:032x}") for n in range(ENTRIES_MAX + 1))),
    ]
    for new in wrong:
        with database.write() as session, pytest.raises(InvalidChangeError) as caught:
            Playlists(session).make(ann, new, SCREEN)
        assert "secret" not in str(caught.value)


# -- leaving the public ----------------------------------------------------------------------------------------------


def test_a_case_that_becomes_unlisted_stays_in_unlisted_lists_of_its_owner_alone(database: Database) -> None:
    ann, bob = user(database, "ann"), user(database, "bob")
    case_id, other = case_of(database, "ann", "p"), case_of(database, "ann", "other")
    public = make(database, ann, case_id, other, visibility=Visibility.PUBLIC)
    own, foreign = make(database, ann, case_id), make(database, bob, case_id, other)
    move(database, case_id, *UNLISTED)
    assert shown(database, ann, public) == shown(database, ann, foreign) == [other]
    assert shown(database, ann, own) == [case_id]
    with database.read() as session:
        left = {row.playlist_id for row in session.query(PlaylistEntryRow).filter_by(case_id=case_id)}
        assert left == {own.summary.id}
        versions = {row.id: row.version for row in session.scalars(select(PlaylistRow))}
    assert versions == {public.summary.id: 2, own.summary.id: 1, foreign.summary.id: 2}
    move(database, case_id, *UNLISTED)  # again: nothing changes
    with database.read() as session:
        assert {row.id: row.version for row in session.scalars(select(PlaylistRow))} == versions


@pytest.mark.parametrize("transition", ["withdraw", "erase"])
def test_a_case_that_its_patient_wants_back_leaves_every_list(database: Database, transition: str) -> None:
    ann = user(database, "ann")
    public, unlisted = case_of(database, "ann", "p"), case_of(database, "ann", "u", UNLISTED)
    one, two = make(database, ann, public, visibility=Visibility.PUBLIC), make(database, ann, unlisted, public)
    for case_id in (public, unlisted):
        with database.write() as session:
            getattr(Cases(session), transition)(case_id)
    with database.read() as session:
        assert session.scalars(select(PlaylistEntryRow)).all() == []
    assert shown(database, ann, one) == shown(database, ann, two) == []


def test_a_case_cannot_leave_the_public_while_it_is_put_into_a_list(database: Database) -> None:
    ann = user(database, "ann")
    case_id = case_of(database, "ann", "p")

    def withdraw() -> None:
        with database.write() as session:
            Cases(session).withdraw(case_id)

    leaving = threading.Thread(target=withdraw)
    with database.write() as session:
        new = PlaylistChanges(title="t", visibility=Visibility.PUBLIC, entries=(NewEntry(case_id=case_id),))
        Playlists(session).make(ann, new, SCREEN)
        leaving.start()
        leaving.join(timeout=1)
        assert leaving.is_alive(), "it waits for the list"
    leaving.join(timeout=30)
    with database.read() as session:
        assert session.scalars(select(PlaylistEntryRow)).all() == []


STATES = st.sampled_from([PUBLIC, UNLISTED, DRAFT, (CaseStatus.PENDING_REVIEW, Visibility.UNLISTED)])
STEPS = st.one_of(
    st.tuples(st.just("move"), st.integers(0, 3), STATES),
    st.tuples(st.just("entries"), st.integers(0, 3), st.lists(st.integers(0, 3), unique=True)),
    st.tuples(st.just("visibility"), st.integers(0, 3), st.sampled_from(Visibility)),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=12))
def test_whatever_happens_no_playlist_holds_what_it_may_not(database: Database, steps: list[tuple]) -> None:  # type: ignore[type-arg]
    people = [user(database, name, draft_limit=1000) for name in ("ann", "bob")]
    with database.read() as session:
        made = session.query(CaseRow).count()
    ids = [case_of(database, people[n % 2].name, f"case {made} {n}") for n in range(4)]
    lists = [make(database, people[n % 2]) for n in range(4)]
    for kind, number, value in steps:
        if kind == "move":
            move(database, ids[number], *value)
            continue
        changes = PlaylistChanges(visibility=value)
        if kind == "entries":
            changes = PlaylistChanges(entries=tuple(NewEntry(case_id=ids[one]) for one in value))
        try:
            edit(database, people[number % 2], lists[number], changes)
        except (InvalidChangeError, InvalidTransitionError):
            continue
    with database.read() as session:
        rows = session.execute(
            select(PlaylistRow, CaseRow).select_from(PlaylistEntryRow).join(PlaylistRow).join(CaseRow)
        ).all()
        for playlist, case in rows:
            held = {"case_owner_id": case.owner_id, "status": case.status, "case_visibility": case.visibility}
            assert may_hold(playlist.visibility, playlist.owner_id, **held)
