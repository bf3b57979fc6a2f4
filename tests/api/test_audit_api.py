"""The audit log over HTTP, and that every call which changes something leaves an entry in it."""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.authorization import AUDITS, RULES, Relation
from cases.audit import AuditEntry, AuditFilter, ChainCheck
from cases.store import Audit, Database
from cases.store.audit_reading import AuditReadings
from cases.users import Role
from tests.api.routes import Call, calls_of
from tests.api.test_authorization import RELATIONS
from tests.api.test_authorization import matrix as matrix  # noqa: PLC0414 - a fixture

AUDIT = "/api/v1/audit"


def entries(database: Database, after: int = 0) -> tuple[AuditEntry, ...]:
    with database.read() as session:
        return Audit(session).entries(after=after, limit=500)


@pytest.fixture
def log(world):
    """Seven entries by two people."""
    for number in range(7):
        with world.database.write() as session:
            Audit(session).append("ann" if number % 2 else "bob", f"case.step{number}", f"c{number % 3}", {"n": number})
    return entries(world.database)


@pytest.fixture
def reader(as_user, world) -> TestClient:
    return as_user(world.user("officer", Role.PRIVACY_OFFICER))


def places(answer) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [item["place"] for item in answer.json()["items"]]


def read_all(reader, **query) -> list[int]:
    found, cursor = [], {}
    while cursor is not None:
        answer = reader.get(AUDIT, params={"limit": 2, **query, **cursor})
        found += places(answer)
        cursor = {"cursor": answer.json()["next"]} if answer.json()["next"] else None
    return found


# -- reading ---------------------------------------------------------------------------------------------------------


def test_entries_come_newest_first_with_what_is_needed_to_verify_them(reader, log):
    answer = reader.get(AUDIT)
    assert places(answer) == [7, 6, 5, 4, 3, 2, 1]
    for item, entry in zip(answer.json()["items"], reversed(log), strict=True):
        digest = item.pop("digest")
        spelled = json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(spelled.encode()).hexdigest() == digest == entry.digest
    assert answer.headers["Cache-Control"] == "no-store"


def test_entries_are_read_on_from_a_place(reader, log):
    assert places(reader.get(AUDIT, params={"from": 5})) == [5, 6, 7]
    assert read_all(reader, **{"from": 2}) == [2, 3, 4, 5, 6, 7, 8]
    assert reader.get(AUDIT, params={"from": 0}).status_code == 422


def test_entries_are_filtered(reader, log):
    at = log[3].at.isoformat()
    for query, expected in (
        ({"actor": "ann"}, [6, 4, 2]),
        ({"action": "case."}, [7, 6, 5, 4, 3, 2, 1]),
        ({"action": "case.step"}, [7, 6, 5, 4, 3, 2, 1]),
        ({"action": "peer"}, []),
        ({"subject": "c1"}, [5, 2]),
        ({"subject": "c1", "actor": "bob"}, [5]),
        ({"since": at, "action": "case."}, [7, 6, 5, 4]),
        ({"until": at}, [3, 2, 1]),
        ({"actor": "officer", "until": at}, []),
    ):
        assert places(reader.get(AUDIT, params=query)) == expected, query
    assert reader.get(AUDIT, params={"since": "2026-01-01T00:00:00"}).status_code == 422


def test_pages_go_on_where_the_one_before_ended_whatever_is_added_meanwhile(reader, log, world):
    first = reader.get(AUDIT, params={"limit": 3, "action": "case."})
    with world.database.write() as session:
        Audit(session).append("eve", "case.edit", "c9")
    second = reader.get(AUDIT, params={"limit": 3, "action": "case.", "cursor": first.json()["next"]})
    third = reader.get(AUDIT, params={"limit": 3, "action": "case.", "cursor": second.json()["next"]})
    assert places(first) + places(second) + places(third) == [7, 6, 5, 4, 3, 2, 1]
    assert third.json()["next"] is None
    assert first.json()["head"] == third.json()["head"]
    assert first.json()["head"]["place"] == 8


def test_only_who_answers_for_privacy_reads_it(as_user, world, log):
    for role in Role:
        status = as_user(world.user(f"a-{role.value}", role)).get(AUDIT).status_code
        assert status == (200 if role in AUDITS else 403), role
    assert {Role.ADMIN, Role.PRIVACY_OFFICER} == AUDITS


# -- reading is recorded ---------------------------------------------------------------------------------------------


def test_a_reading_is_one_entry_however_many_pages_it_has(reader, log, world):
    assert read_all(reader, subject="c0") == [7, 4, 1]
    [entry] = entries(world.database, after=7)
    assert (entry.actor, entry.action, entry.subject) == ("officer", "audit.read", "audit")
    assert entry.detail == {"filters": "subject"}, "what was looked for is not kept: somebody may type a name there"
    read_all(reader, **{"from": 1, "until": "2999-01-01T00:00:00Z"})
    assert entries(world.database, after=8)[0].detail == {"filters": "until from"}


def test_a_reading_does_not_show_itself_but_the_next_one_does(reader, log):
    assert 8 not in places(reader.get(AUDIT))
    assert places(reader.get(AUDIT))[0] == 8


def test_nobody_reads_on_without_a_reading_of_their_own_and_by_the_same_filters(reader, log, world, as_user):
    cursor = reader.get(AUDIT, params={"limit": 1, "actor": "ann"}).json()["next"]
    other = as_user(world.user("other", Role.ADMIN))
    assert places(reader.get(AUDIT, params={"cursor": cursor, "actor": "ann"})) == [4, 2]
    for client, query in (
        (other, {"actor": "ann"}),
        (reader, {}),
        (reader, {"actor": "ann", "subject": "c1"}),
        (reader, {"actor": "ann", "from": 1}),
    ):
        answer = client.get(AUDIT, params={"cursor": cursor, **query})
        assert answer.status_code == 422, query
        assert "begin again without it" in answer.json()["detail"]
    for forged in ("", "x", "N3w3", "OTk5OTk5fDE", "MXwx"):  # the last ones: 7|7, 999999|1, 1|1
        assert reader.get(AUDIT, params={"cursor": forged, "actor": "ann"}).status_code == 422, forged
    assert len(entries(world.database)) == 8, "what is refused is no reading"


def test_a_reading_ends_after_a_day(world, log, monkeypatch):
    with world.database.write() as session:
        reading = AuditReadings(session).record("officer", ())
    with world.database.read() as session:
        readings = AuditReadings(session)
        page = readings.page(reading, None, filters=AuditFilter(), newest_first=True, limit=1)
        assert readings.resume("officer", (), page.next_cursor) == (reading, 6)
        monkeypatch.setattr("cases.store.audit_reading.LASTS", timedelta(0))
        with pytest.raises(Exception, match="older than a day"):
            readings.resume("officer", (), page.next_cursor)


# -- every change leaves an entry ------------------------------------------------------------------------------------

ONLY_LOOKS = {"check_profile", "explain_profile", "translate_profile"}
"""Calls with a body that change nothing, and show nothing of a patient."""
LOOKS_ON_RECORD = {
    "preview_file",
    "download_case",
    "get_hold",
    "get_held_frame",
    "read_consent_document",
    "get_previewed_instance",
    "get_previewed_picture",
    "list_audit_entries",
}
"""Reading calls that leave an entry, because of what they show."""
NOT_BY_A_PERSON = {"last_used_at", "uses"}
"""Columns that the program keeps by itself: when a token or a link was last used, and how often."""


class Watch:
    """Looks at the database before and after each request."""

    def __init__(self, app: Any, database: Database) -> None:
        self._app = app
        self._database = database
        self.changed: set[str] = set()
        self.entries: tuple[AuditEntry, ...] = ()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._database.read() as session:
            seen = Audit(session).head().place
        before = self._tables()
        await self._app(scope, receive, send)
        after = self._tables()
        self.changed = {name for name in after if after[name] != before[name]}
        self.entries = entries(self._database, after=seen)

    def is_silent(self, call: Call, actor: str) -> bool:
        """Return whether the last request should have left an entry by this actor, and left none."""
        should = is_writing(call) or self.changed or call.operation in LOOKS_ON_RECORD
        return bool(should) and all(entry.actor != actor for entry in self.entries)

    def _tables(self) -> dict[str, list[tuple[object, ...]]]:
        with self._database.read() as session:
            names = session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars()
            return {name: list(self._rows(session, name)) for name in names.all() if name != "audit_entry"}

    def _rows(self, session: Any, name: str) -> Iterator[tuple[object, ...]]:
        for row in session.execute(text(f"SELECT * FROM {name}")).mappings():
            yield tuple(value for column, value in row.items() if column not in NOT_BY_A_PERSON)


def is_writing(call: Call) -> bool:
    return call.method != "GET" and call.operation not in ONLY_LOOKS


@pytest.fixture
def watches(app, world) -> list[Watch]:
    """The application is watched; the last one of these sees its requests."""
    made: list[Watch] = []

    def watching(inner: Any) -> Watch:
        made.append(Watch(inner, world.database))
        return made[-1]

    app.add_middleware(watching)
    return made


def test_every_call_that_changes_something_leaves_an_entry_by_its_caller(app, world, matrix, watches):
    silent, idle = [], []
    for call in calls_of(app):
        role, relation = _allowed(call)
        assert matrix(call, role, relation).is_success, call
        watch = watches[-1]
        # Who signs in is named in the body, by no token.
        actor = "somebody" if call.operation == "create_session" else f"a-{role.value}"
        if watch.is_silent(call, actor):
            silent.append((call.operation, sorted(watch.changed)))
        if is_writing(call) and call.operation not in LOOKS_ON_RECORD and not watch.changed:
            idle.append(call.operation)
    assert not silent, "these calls change something, and the audit log does not say who did"
    assert not idle, "the matrix calls these so that nothing changes: arrange them so that something does"
    with world.database.read() as session:
        check = ChainCheck()
        assert all(check.follow(entry) is None for entry in Audit(session).through(Audit(session).head().place))


def test_a_call_that_changes_something_without_an_entry_is_found(app, world, watches, admin, as_user):
    @app.get("/forgotten")
    def forgotten() -> None:
        world.user("newcomer")

    @app.post("/idle")
    def idle() -> None:
        pass

    client = as_user(admin)
    for method, path, changed in (("GET", "/forgotten", {"user_account", "access_token"}), ("POST", "/idle", set())):
        assert client.request(method, path).status_code == 200
        assert watches[-1].changed == changed
        assert watches[-1].is_silent(Call(operation=path[1:], method=method, path=path), admin.name)


def _allowed(call: Call) -> tuple[Role, Relation]:
    """Return a role that may make a call, and on what."""
    rule = RULES[call.operation]
    relations = RELATIONS.get(call.operation, (Relation.NONE,))
    roles = (Role.ADMIN, *Role)
    return next((role, relation) for role in roles for relation in relations if rule.allows(role, relation))
