"""Where the instances of a preview come from: files that were given, or originals that are retained in the spool."""

import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from bridge.actor import command_line_actor
from bridge.app import open_database, open_spool
from cases.intake import ReceivedInstance
from cases.looks import spread
from cases.store import Audit, Originals
from config.settings import Settings
from scp.spool import Spool


class _Read(Protocol):
    def __call__(self) -> bytes: ...


class _Keep(Protocol):
    def __call__(self, name: str, identified: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One instance to be looked at."""

    label: str
    """A path that was given, or keys: what to call it before whoever asked."""
    read: _Read = field(repr=False)
    keep: _Keep | None = field(repr=False, default=None)
    """Keeps what is derived from an original beside it, so that it goes when the original goes."""


def of_files(identified_paths: Sequence[Path]) -> list[Source]:
    """Return the files that were given, and those of folders that were given, in the order of their names."""
    paths = sorted({path for one in identified_paths for path in _files(one)})
    return [Source(label=str(path), read=path.read_bytes) for path in paths]


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file() and not one.is_symlink()]


@contextmanager
def of_study(settings: Settings, key: str, *, most: int, revision: str) -> Iterator[list[Source]]:
    """Give the retained originals of a study, by its key; who looked is in the audit log before anything is read.

    Parameters
    ----------
    most
        How many instances at most, spread over the study; 0 for all.
    revision
        Of the profile they are looked at under.
    """
    spool = open_spool(settings)
    with open_database(settings) as database:
        with database.write() as session:
            originals = spread(Originals(session).of_study(key), most)
            detail: dict[str, str | int | bool | None] = {"revision": revision, "count": len(originals)}
            Audit(session).append(command_line_actor(), "profile.preview", f"study {key}"[:200], detail)
        yield [_source(spool, one) for one in originals]


@contextmanager
def of_last_studies(settings: Settings, count: int, *, most: int, revisions: str) -> Iterator[list[Source]]:
    """Give retained originals of the studies that arrived last, spread over each; the audit log knows before."""
    spool = open_spool(settings)
    with open_database(settings) as database:
        with database.write() as session:
            shown = Originals(session).studies(
                retention_days=settings.retention_days, hold_retention_days=settings.hold_retention_days
            )
            chosen = [spread(Originals(session).of_study(one.study_key), most) for one in shown[:count]]
            detail: dict[str, str | int | bool | None] = {"studies": len(chosen), "count": sum(map(len, chosen))}
            Audit(session).append(command_line_actor(), "profile.impact", revisions[:200], detail)
        yield [_source(spool, one) for originals in chosen for one in originals]


def _source(spool: Spool, one: ReceivedInstance) -> Source:
    keys = one.study_key, one.sop_key, one.arrival_id
    return Source(
        label=f"study {one.study_key[:8]}, arrival {one.arrival_id}",
        read=partial(_original, spool, *keys),
        keep=partial(spool.write_beside, *keys),
    )


def _original(spool: Spool, study_key: str, sop_key: str, arrival_id: str) -> bytes:
    with spool.open_original(study_key, sop_key, arrival_id) as source:
        content = io.BytesIO()
        shutil.copyfileobj(source, content, 1 << 20)
        return content.getvalue()
