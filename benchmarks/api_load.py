"""``python -m benchmarks.api_load``: many readers and editors at once, each on a clock of its own.

The load is open: a request is due when its caller's clock says so, whether or not the one before was answered, and its
time counts from then. So a server that falls behind is seen to.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import httpx
from sqlalchemy import insert

from benchmarks.measure import free_port
from benchmarks.measuring import Measuring
from benchmarks.receivers import CHECKOUT, bridge_environment, end
from benchmarks.report import Section, Table
from cases.intake import InstanceOutcome
from cases.model import CaseModality, CaseStatus, Visibility
from cases.store import Accounts, Database
from cases.store.rows import (
    CaseImageRow,
    CaseRow,
    CaseSeriesRow,
    CaseStudyRow,
    ReceivedInstanceRow,
    ReceivedStudyRow,
    new_id,
)
from cases.users import Role
from deidentify.results import PixelVerdict

_EVERY_S = 2.0
_WARM_UP_S = 10.0
"""Not counted: a process that has just started is still importing what draws images."""
_GOALS_MS = {"list": 100, "read": 100, "edit": 200}
_IN_ONE = 200
_CT = "1.2.840.10008.5.1.4.1.1.2"
_LITTLE = "1.2.840.10008.1.2.1"
_SHARES = ((CaseStatus.PUBLISHED, Visibility.PUBLIC, 0.8), (CaseStatus.PUBLISHED, Visibility.UNLISTED, 0.9))
"""The rest are drafts."""
_BACK_TO_BACK = 4
"""Drafts that one editor works on in turns."""


@dataclass(slots=True, kw_only=True)
class People:
    """Who calls, by their tokens, and what they call for."""

    readers: list[str] = field(default_factory=list)
    editors: list[str] = field(default_factory=list)
    public: list[str] = field(default_factory=list)
    drafts: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Seen:
    """What came of the calls."""

    took_ms: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


def fill(
    database: Database, *, cases: int, images: int, readers: int, editors: int, on_done: Callable[[int], None]
) -> People:
    """Make accounts and cases: four of five public, one of ten unlisted, the others drafts, each with two series."""
    people, draw = People(), random.Random(7)
    with database.write() as session:
        accounts = Accounts(session)
        owners = [accounts.create_user(f"owner-{number}", Role.CONTRIBUTOR, 1000).id for number in range(200)]
        for kind, count, tokens in ((Role.READER, readers, people.readers), (Role.EDITOR, editors, people.editors)):
            for number in range(count):
                somebody = accounts.create_user(f"{kind.value}-{number}", kind, 1000)
                tokens.append(accounts.issue_token(somebody.id, "load"))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for first in range(0, cases, _IN_ONE):
        rows: dict[type, list[dict[str, object]]] = defaultdict(list)
        for number in range(first, min(cases, first + _IN_ONE)):
            share = draw.random()
            status, visibility = next(
                ((status, visibility) for status, visibility, upto in _SHARES if share < upto),
                (CaseStatus.DRAFT, Visibility.PUBLIC),
            )
            case_id = _case(
                rows, number, began + timedelta(minutes=number), draw.choice(owners), status, visibility, images
            )
            if status is CaseStatus.DRAFT:
                people.drafts.append(case_id)
            elif visibility is Visibility.PUBLIC:
                people.public.append(case_id)
        with database.write() as session:
            for table, values in rows.items():
                session.execute(insert(table), values)
        on_done(min(cases, first + _IN_ONE))
    return people


def _case(  # noqa: PLR0917 - what a case is made of
    rows: dict[type, list[dict[str, object]]],
    number: int,
    moment: datetime,
    owner: str,
    status: CaseStatus,
    visibility: Visibility,
    images: int,
) -> str:
    case_id, study_key, study_id = new_id(), new_id(), new_id()
    received = f"{study_key}-load"
    rows[ReceivedStudyRow].append(
        {"key": received, "study_key": study_key, "destination_id": "load", "calling_ae": "PACS", "called_ae": "CASES"}
        | {"owner_name": None, "hospital": "north", "profile": "teaching", "receipt_code": f"L{number:07d}"}
        | {"first_arrival_at": moment, "last_arrival_at": moment, "last_recorded_at": moment, "generation": 1}
    )
    rows[CaseRow].append(
        {"id": case_id, "owner_id": owner, "status": status, "visibility": visibility, "received_study": received}
        | {"sender": "PACS", "arrived_at": moment, "profile": "teaching", "title": f"Case {number}", "sex": "F"}
        | {
            "age_band": "45 years",
            "presentation": "Pain for two days.",
            "discussion": "Known. " * 100,
            "tags": ["load"],
        }
        | {"systems": ["Chest"], "created_at": moment, "updated_at": moment, "version": 1, "certainty": "certain"}
        | {"licence_accepted_at": moment, "first_published_at": moment, "approved_at": moment}
    )
    rows[CaseStudyRow].append(
        {"id": study_id, "case_id": case_id, "study_instance_uid": f"2.25.{int(study_id, 16)}", "position": 2}
        | {"modality": CaseModality.CT, "study_day": "20240101", "description": "CT chest", "findings": "Seen."}
    )
    for series in range(2):
        series_id = new_id()
        rows[CaseSeriesRow].append(
            {"id": series_id, "case_study_id": study_id, "series_instance_uid": f"2.25.{int(series_id, 16)}"}
            | {"number": series, "perspective": "Axial", "specifics": "Non-contrast"}
        )
        for position in range(images // 2):
            _image(rows, case_id, series_id, received, study_key, moment, position)
    return case_id


def _image(  # noqa: PLR0917 - where an image belongs
    rows: dict[type, list[dict[str, object]]],
    case_id: str,
    series_id: str,
    received: str,
    study_key: str,
    moment: datetime,
    position: int,
) -> None:
    arrival = new_id()
    rows[ReceivedInstanceRow].append(
        {"arrival_id": arrival, "received_study": received, "study_key": study_key, "sop_key": new_id()}
        | {"sop_class_uid": _CT, "transfer_syntax_uid": _LITTLE, "calling_ae": "PACS", "called_ae": "CASES"}
        | {"peer_address": "192.0.2.1", "association_id": "load", "received_at": moment, "size_bytes": 526_000}
        | {"generation": 1, "outcome": InstanceOutcome.FILED, "case_id": case_id}
    )
    rows[CaseImageRow].append(
        {"id": new_id(), "case_id": case_id, "series_id": series_id, "arrival_id": arrival, "sop_class_uid": _CT}
        | {"sop_instance_uid": f"2.25.{int(arrival, 16)}", "transfer_syntax_uid": _LITTLE, "instance_number": position}
        | {"position": [0.0, 0.0, float(position)], "orientation": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], "frames": 1}
        | {"rows": 512, "columns": 512, "has_pixels": True, "verdict": PixelVerdict.CLEAR, "profile": "teaching"}
        | {"profile_revision": "0" * 16, "report": {"elements": {"kept": 80, "removed": 40}}, "sha256": "0" * 64}
        | {"blob_key": f"cases/{case_id}/{arrival}.dcm", "size_bytes": 526_000, "identifiers_kept": True}
        | {"filed_at": moment}
    )


@contextmanager
def api(folder: Path, url: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the API alone on the database; give its address and its process."""
    port = free_port()
    environment = bridge_environment(folder, HTTP_PORT=str(port), DATABASE_URL=url)
    log = (folder / "api.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "api"],
        env=environment,
        cwd=CHECKOUT,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{address}/healthz", timeout=1).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        else:
            raise click.ClickException(f"the API did not start: see {folder / 'api.log'}")
        yield address, process
    finally:
        end(process)
        log.close()


async def load(address: str, people: People, seconds: float, on_done: Callable[[int], None]) -> Seen:
    """Let everybody call every two seconds, from moments of their own, and return how long each call took."""
    seen, draw, done = Seen(), random.Random(11), 0
    began = time.perf_counter()

    async def make(client: httpx.AsyncClient, call: _Call, due: float) -> None:
        nonlocal done
        try:
            answer = await client.request(call.method, call.path, json=call.body)
            if answer.is_success:
                seen.took_ms[call.kind].append(1000 * (time.perf_counter() - due))
            else:
                seen.failed[f"{call.kind}: {answer.status_code}"] += 1
        except httpx.HTTPError as error:
            seen.failed[f"{call.kind}: {type(error).__name__}"] += 1
        done += 1
        on_done(done)

    async def person(token: str, number: int, *, is_editor: bool) -> None:
        calls: set[asyncio.Task[None]] = set()
        due = began + draw.random() * _EVERY_S
        turn = 0
        # Connections of their own, as people have: one pool for all of them would be what is measured.
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=f"{address}/api/v1", headers=headers, timeout=30, verify=False, trust_env=False
        ) as client:
            while due < began + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                call = _next(people, draw, number, turn, is_editor=is_editor)
                task = asyncio.create_task(make(client, call, due))
                calls.add(task)
                task.add_done_callback(calls.discard)
                due, turn = due + _EVERY_S, turn + 1
            await asyncio.gather(*calls)

    everybody = [(token, number, False) for number, token in enumerate(people.readers)]
    everybody += [(token, number, True) for number, token in enumerate(people.editors)]
    await asyncio.gather(*(person(token, number, is_editor=editor) for token, number, editor in everybody))
    return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call that somebody makes."""

    kind: str
    method: str
    path: str
    body: dict[str, object] | None = None


def _next(people: People, draw: random.Random, number: int, turn: int, *, is_editor: bool) -> _Call:
    """Return the next call of somebody: readers list and read, editors edit every second time."""
    if is_editor and turn % 2:
        mine = people.drafts[number * _BACK_TO_BACK : (number + 1) * _BACK_TO_BACK]
        path = f"/cases/{mine[turn // 2 % len(mine)]}"
        return _Call(kind="edit", method="PATCH", path=path, body={"discussion": f"Written in turn {turn}."})
    if draw.random() < 0.5:
        return _Call(kind="list", method="GET", path="/cases?scope=public&limit=50")
    return _Call(kind="read", method="GET", path=f"/cases/{draw.choice(people.public)}")


def _rows(seen: Seen, cpu_s: float, seconds: float) -> list[list[str]]:
    rows = []
    for kind, goal in _GOALS_MS.items():
        took = sorted(seen.took_ms[kind])
        if not took:
            rows.append([kind, "0", "–", "–", "–", f"≤ {goal}", "**missed**"])  # noqa: RUF001 - for people
            continue
        at = [took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.95, 0.99)]
        reached = "reached" if at[1] <= goal else "**missed**"
        rows.append([kind, str(len(took)), *(f"{value:.0f}" for value in at), f"≤ {goal}", reached])
    rows.append(["CPU of the API, cores", f"{cpu_s / seconds:.2f}", "", "", "", "", ""])
    return rows


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process in seconds, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@click.command()
@click.option("--cases", default=10_000, show_default=True)
@click.option("--images", default=30, show_default=True, help="Of each case.")
@click.option("--readers", default=100, show_default=True)
@click.option("--editors", default=20, show_default=True)
@click.option("--seconds", default=60.0, show_default=True)
@click.option(
    "--postgresql", help="URL of an empty PostgreSQL database, postgresql+psycopg://…; SQLite is measured always."
)
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
def main(
    *, cases: int, images: int, readers: int, editors: int, seconds: float, postgresql: str | None, write: bool
) -> None:
    """Measure how long lists, reads and edits take while many people work."""
    if postgresql is not None:
        Database.open(postgresql).close()  # says what is wrong with the address before SQLite was measured
    measuring = Measuring.begin(None)
    tables, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, url in (("SQLite", f"sqlite:///{folder}/casebridge.db"), ("PostgreSQL", postgresql)):
            if url is None:
                notes.append("PostgreSQL was not measured: give --postgresql.")
                continue
            place = Path(folder) / name
            place.mkdir()
            prepared = [sys.executable, "-m", "bridge", "migrate"]
            environment = bridge_environment(place, DATABASE_URL=url)
            subprocess.run(prepared, env=environment, cwd=CHECKOUT, check=True, capture_output=True)
            database = Database.open(url)
            with measuring.counted(f"cases made in {name}", cases) as on_done:
                people = fill(database, cases=cases, images=images, readers=readers, editors=editors, on_done=on_done)
            database.close()
            due = int((readers + editors) * seconds / _EVERY_S)
            with api(place, url) as (address, process), measuring.counted(f"calls to {name}", due) as on_done:
                asyncio.run(load(address, people, _WARM_UP_S, lambda _done: None))
                before = _cpu_s(process.pid)
                seen = asyncio.run(load(address, people, seconds, on_done))
                cpu_s = _cpu_s(process.pid) - before
            tables.append(
                Table(
                    title=f"{name}: {readers} readers and {editors} editors, one call every two seconds each",
                    columns=("call", "count", "p50 ms", "p95 ms", "p99 ms", "goal of p95", ""),
                    rows=_rows(seen, cpu_s, seconds),
                )
            )
            notes.append(f"{name}: {sum(seen.failed.values())} calls failed. {dict(seen.failed) or ''}".strip())
    made = f"{cases} cases of {images} images: four of five public, one of ten unlisted, the others drafts."
    found = Section(name="api_load", title="The API under load", tables=tables, notes=[made, *notes])
    measuring.publish(found, write=write)


if __name__ == "__main__":
    sys.exit(main())
