"""Looks at retained originals, as the job engine hands them out: previews of a study, impacts of another revision."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bridge.children import Children
from bridge.look_child import LOST, LookTask, compare, keep, preview
from bridge.pipeline import Task
from bridge.preview import forgotten_scope
from bridge.profile_book import lay_out
from cases.errands import Errand, ErrandKind, ErrandState
from cases.impacts import ImpactCounts
from cases.intake import ReceivedInstance
from cases.looks import Asked
from cases.store import Database, Errands, Looks, Profiles
from scp.spool import Spool

log = logging.getLogger("casebridge.looks")

T = TypeVar("T")

_NO_ROOM = "the spool has no room beside its reserve: make room, then ask again"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRunner:
    """Runs the errands that look at originals and change nothing. Safe to run again after any crash."""

    database: Database
    spool: Spool
    children: Children
    profile_folder: Path
    """Where the texts of profiles are laid out for the child processes of this host."""

    def run(self, errand: Errand) -> None:
        """Look at every original that was asked for; one that is gone by now is counted as gone."""
        with self.database.write() as session:
            instances = Looks(session).begin(errand)
            found = Looks(session).looked(errand.id)
            used = [Profiles(session).revision(one) for one in _revisions(errand)]
        if instances is None:
            return
        for one in used:
            lay_out(self.profile_folder, one)
        if errand.kind is ErrandKind.PREVIEW:
            is_wanted = self._preview(errand, {n: one for n, one in instances.items() if n not in found})
        else:
            is_wanted = self._compare(errand, instances)
        if not is_wanted:
            return
        with self.database.write() as session:
            Looks(session).conclude(errand.id)
        log.info("originals were looked at", extra={"kind": errand.kind.value, "instances": len(instances)})

    def give_up(self, errand: Errand, reason: str) -> None:
        """End an errand that failed again and again; called by the job engine."""
        self._fail(errand, f"it could not be worked on: {reason}")
        log.error("a look at originals was given up", extra={"kind": errand.kind.value, "reason": reason})

    def _preview(self, errand: Errand, todo: Mapping[int, ReceivedInstance]) -> bool:
        if not self.spool.has_room():
            self._fail(errand, _NO_ROOM)
            return False
        for look, found in self._each(errand, todo, preview, lambda look: keep(self.spool, look, LOST)):
            with self.database.write() as session:
                if not Looks(session).note_preview(errand.id, look.number, found):
                    return False
        return True

    def _compare(self, errand: Errand, instances: Mapping[int, ReceivedInstance]) -> bool:
        counts, gone = ImpactCounts(), 0
        for _, found in self._each(errand, instances, compare, lambda _: _lost_counts()):
            if found is None:
                gone += 1
            else:
                counts.merge(found)
            with self.database.write() as session:
                if not Looks(session).note_impact(errand.id, counts, gone):
                    return False
        return True

    def _each(
        self,
        errand: Errand,
        todo: Mapping[int, ReceivedInstance],
        work: Callable[[LookTask], T],
        lost: Callable[[LookTask], T],
    ) -> Iterator[tuple[LookTask, T]]:
        whole = LookTask(
            task=Task(study_key="", sop_key="", arrival_id="", case_id="", hospital=""),
            number=0,
            revisions=_revisions(errand),
            scope=forgotten_scope(),
            has_pixels=Asked.of(errand).has_pixels,
        )
        return self.children.each(
            [replace(whole, task=_task_of(one), number=number) for number, one in todo.items()], work, lost
        )

    def _fail(self, errand: Errand, sentence: str) -> None:
        with self.database.write() as session:
            Errands(session).call_off(errand.id, ErrandState.FAILED, sentence)


def _revisions(errand: Errand) -> tuple[str, ...]:
    return (errand.revision,) if errand.kind is ErrandKind.PREVIEW else (errand.base_revision, errand.revision)


def _task_of(one: ReceivedInstance) -> Task:
    return Task(study_key=one.study_key, sop_key=one.sop_key, arrival_id=one.arrival_id, case_id="", hospital="")


def _lost_counts() -> ImpactCounts:
    outcome = f"{LOST.outcome}: {LOST.reason}"
    counts = ImpactCounts(instances=1)
    counts.outcomes[outcome, outcome] += 1
    return counts
