"""A folder of DICOM files on its way to another, without receiver, database or network.

Every file is looked at first: what belongs to one case, whose instances its studies are, which words identify somebody.
Then each is de-identified by itself. Sources are known by their paths in this program alone; what it says of them names
their places in the output.
"""

import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from bridge import offline_child
from bridge.offline_child import FileTask, NotDicom, Seen, Written
from bridge.offline_files import counted, in_children
from bridge.offline_progress import Step
from bridge.offline_references import FollowTask, follow_file, followed, part_of, stale
from bridge.offline_sources import Skip, Source
from bridge.pool import Pool
from bridge.safe_names import IdentifiedForms, SafeNames
from bridge.study import CONFLICT, TWO_PATIENTS
from deidentify.pseudonyms import PseudonymScope
from deidentify.results import Hold, Report

__all__ = ["CasePer", "OfflineRun"]

T = TypeVar("T")
R = TypeVar("R")


class CasePer(StrEnum):
    """What makes one case: one scope of pseudonyms and one shift of dates."""

    INPUT = "input"
    FOLDER = "folder"
    """Each folder directly in the input; files beside them are a case of their own."""
    PATIENT = "patient"
    STUDY = "study"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRun:
    """One run over the files of a folder."""

    identified_root: Path = field(repr=False)
    output: Path
    pseudonym_key: bytes = field(repr=False)
    pool: Pool = field(repr=False)
    workers: int
    case_per: CasePer
    case_name: str = field(default="", repr=False)
    """Names the case where the input is one; else its lowest Study Instance UID does."""
    with_uids: bool = False
    step: Step

    def run(self, sources: list[Source]) -> None:
        """Give every source its outcome."""
        self._look_at(sources)
        instances = [source for source in sources if source.seen is not None]
        self._name_cases(instances)
        self._name_places(sources)
        self._hold_two_patients(instances)
        self._hold_conflicts(instances)
        self._deidentify([source for source in instances if source.outcome is None])
        self._let_references_follow(instances)

    def _path(self, source: Source) -> str:
        root = self.identified_root
        return str(root / source.identified_path if root.is_dir() else root)

    # -- what is there -----------------------------------------------------------------------------------------------

    def _look_at(self, sources: list[Source]) -> None:
        known: dict[frozenset[str], frozenset[str]] = {}
        waiting = [source for source in sources if source.outcome is None]
        for source, found in self._in_children("Looking at", waiting, offline_child.inspect, self._path):
            if isinstance(found, Seen):
                # The instances of a patient have the same words: kept once.
                words = known.setdefault(found.identified_words, found.identified_words)
                source.seen = Seen(
                    identified_study_uid=found.identified_study_uid,
                    identified_sop_uid=found.identified_sop_uid,
                    patient_key=found.patient_key,
                    identified_words=words,
                )
            else:
                source.outcome = Skip.NOT_DICOM if isinstance(found, NotDicom) else found

    def _name_cases(self, instances: list[Source]) -> None:
        groups: dict[str, list[Source]] = defaultdict(list)
        for source in instances:
            groups[self._group(source)].append(source)
        for group, members in groups.items():
            name = self.case_name
            if not name:
                name = min(source.seen.identified_study_uid for source in members if source.seen)
            message = f"offline case\0{self.case_per}\0{group}\0{name}".encode("utf-8", "surrogateescape")
            key = hmac.new(self.pseudonym_key, message, hashlib.sha256)
            for source in members:
                source.case_key = key.hexdigest()[:32]

    def _group(self, source: Source) -> str:
        assert source.seen is not None
        if self.case_per is CasePer.FOLDER:
            return source.identified_path.parts[0] if len(source.identified_path.parts) > 1 else ""
        if self.case_per is CasePer.STUDY:
            return source.seen.identified_study_uid
        if self.case_per is CasePer.PATIENT:
            return source.seen.patient_key or source.seen.identified_study_uid
        return ""

    def _name_places(self, sources: list[Source]) -> None:
        """Give every file its place; what is no instance gets one too, to be named in the report."""
        # A folder may be called after the patient of another case that lies beside it.
        words = frozenset().union(*(source.seen.identified_words for source in sources if source.seen is not None))
        forms = IdentifiedForms(words)
        nobody = hmac.new(self.pseudonym_key, b"offline names", hashlib.sha256).hexdigest()[:32]
        names = {
            case: SafeNames(PseudonymScope(key=self.pseudonym_key, case_key=case or nobody), forms)
            for case in {source.case_key for source in sources}
        }
        taken: set[str] = set()
        for source in sources:
            wanted = place = names[source.case_key].path(source.identified_path)
            number = 2
            # Folders of other systems do not tell A from a.
            while str(place).casefold() in taken:
                place = wanted.with_name(f"{wanted.stem}-{number}.dcm")
                number += 1
            taken.add(str(place).casefold())
            source.place = place

    # -- what must wait ----------------------------------------------------------------------------------------------

    def _hold_two_patients(self, instances: list[Source]) -> None:
        # Of all cases together: where each patient is a case, one study of two of them is the same mistake.
        patients: dict[str, set[str]] = defaultdict(set)
        instances = [source for source in instances if source.seen and source.seen.identified_study_uid]
        for source in instances:
            if source.seen and source.seen.patient_key:
                patients[source.seen.identified_study_uid].add(source.seen.patient_key)
        for source in instances:
            if source.seen and len(patients[source.seen.identified_study_uid]) > 1:
                source.outcome = TWO_PATIENTS

    def _hold_conflicts(self, instances: list[Source]) -> None:
        """Hold what has the SOP Instance UID of another file of the case and other pixels; copies are copied."""
        instances = [source for source in instances if source.seen and source.seen.identified_sop_uid]
        counts = Counter(map(_instance, instances))
        twice = [source for source in instances if source.outcome is None and counts[_instance(source)] > 1]
        for digest_of in (offline_child.stored_pixels, offline_child.decoded_pixels):
            digests: dict[tuple[str, str], set[str]] = defaultdict(set)
            for source, digest in self._in_children("Comparing", twice, digest_of, self._path):
                # What cannot be compared equals nothing.
                digests[_instance(source)].add(digest if isinstance(digest, str) and digest else str(id(source)))
            twice = [source for source in twice if len(digests[_instance(source)]) > 1]
        for source in twice:
            source.outcome = CONFLICT

    # -- working -----------------------------------------------------------------------------------------------------

    def _deidentify(self, sources: list[Source]) -> None:
        # The slices of a series have the same things to tell: kept once.
        reports: dict[Report, Report] = {}
        for source, outcome in self._in_children("De-identifying", sources, offline_child.process, self._task):
            source.outcome = _with_shared_report(outcome, reports) if isinstance(outcome, Written) else outcome
            source.seen = None

    def _task(self, source: Source) -> FileTask:
        return FileTask(
            identified_source=self._path(source),
            target=str(self.output / source.place),
            case_key=source.case_key,
            with_uids=self.with_uids,
        )

    def _let_references_follow(self, sources: list[Source]) -> None:
        changed = {id(source): (source, uids) for source, uids in stale(sources)}
        if not changed:
            return

        def task(source: Source) -> FollowTask:
            return FollowTask(target=str(self.output / source.place), uids=changed[id(source)][1])

        waiting = [source for source, _ in changed.values()]
        try:
            for source, found in self._in_children("Following references", waiting, follow_file, task):
                assert isinstance(source.outcome, Written)
                source.outcome = followed(source.outcome, changed[id(source)][1], found)
        finally:
            for source in waiting:
                part_of(self.output / source.place).unlink(missing_ok=True)

    def _in_children(
        self, what: str, sources: list[Source], function: Callable[[T], R], argument: Callable[[Source], T]
    ) -> Iterator[tuple[Source, R | Hold]]:
        """Yield each source with its result as they come."""
        found = in_children(self.pool, self.workers, sources, function, argument)
        return counted(what, found, len(sources), self.step)


def _with_shared_report(written: Written, reports: dict[Report, Report]) -> Written:
    report = written.instance.report
    return replace(written, instance=replace(written.instance, report=reports.setdefault(report, report)))


def _instance(source: Source) -> tuple[str, str]:
    return source.case_key, source.seen.identified_sop_uid if source.seen else ""
