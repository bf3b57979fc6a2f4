"""The load of the API is made of cases that can be read and edited, and a slow answer is told from when it was due."""

import random
from pathlib import Path

from benchmarks.api_load import People, Seen, _next, _rows, fill
from cases.model import CaseFilter, CaseScope
from cases.store import Accounts, Cases, Database


def test_what_is_made_is_listed_read_and_edited(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'load.db'}")
    database.migrate()
    done: list[int] = []
    people = fill(database, cases=150, images=4, readers=2, editors=1, on_done=done.append)
    assert (len(people.readers), len(people.editors), done[-1]) == (2, 1, 150)
    with database.read() as session:
        reader = Accounts(session).authenticate(people.readers[0])
        editor = Accounts(session).authenticate(people.editors[0])
        assert reader is not None
        assert editor is not None
        public = Cases(session).list(reader, limit=200, filters=CaseFilter(scope=CaseScope.PUBLIC)).items
        assert {case.id for case in public} == set(people.public)
        assert Cases(session).get(reader, people.public[0]).summary.counts.images == 4
        assert Cases(session).get(editor, people.drafts[0]).studies[0].findings
    database.close()


def test_readers_list_and_read_and_editors_edit_drafts_of_their_own() -> None:
    people = People(public=["p"], drafts=[f"d{number}" for number in range(8)])
    draw = random.Random(1)
    kinds = {_next(people, draw, 0, turn, is_editor=False).kind for turn in range(20)}
    assert kinds == {"list", "read"}
    edited = {_next(people, draw, number, turn, is_editor=True).path for number in (0, 1) for turn in (1, 3, 5, 7)}
    assert edited == {f"/cases/d{number}" for number in range(8)}


def test_a_goal_is_reached_by_the_slowest_of_twenty() -> None:
    seen = Seen()
    seen.took_ms["list"] = [10.0] * 95 + [101.0] * 5
    seen.took_ms["read"] = [10.0] * 96 + [500.0] * 4
    lines = {row[0]: row[-1] for row in _rows(seen, cpu_s=3, seconds=10)}
    assert lines["list"] == "**missed**"
    assert lines["read"] == "reached"
    assert lines["edit"] == "**missed**", "nothing was asked"
