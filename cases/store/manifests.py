"""Teaching file manifests: their lists, the marks of images, and the drafts that they fill."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ColumnElement, ForeignKey, Index, Integer, String, exists, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from cases import states
from cases.evidence import EvidenceRule, ListedInstances
from cases.manifests import LEVELS, ManifestKind, Marks, NewManifest, systems_of
from cases.model import OPEN_STATUSES, CaseStatus
from cases.store.account_rows import UserRow
from cases.store.accounts import draft_count, lock_user
from cases.store.audit import Audit
from cases.store.clock import now as clock_now
from cases.store.prefilled import digest
from cases.store.rows import (
    ID,
    STUDY_KEY,
    Base,
    CaseImageRow,
    CaseRow,
    CaseSeriesRow,
    CaseStudyRow,
    ReceivedInstanceRow,
)
from cases.store.shells import lock_case
from cases.store.upsert import insert_or_nothing
from cases.users import Role
from deidentify.results import TeachingText

ACTOR = "teaching-file"


class ManifestRow(Base):
    """A key object selection that marks images of a case, or lists one."""

    __tablename__ = "teaching_manifest"

    arrival_id: Mapped[str] = mapped_column(String(ID), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    group_key: Mapped[str] = mapped_column(String(ID))
    recorded_at: Mapped[datetime]


class ManifestEntryRow(Base):
    """An instance that a manifest names."""

    __tablename__ = "teaching_manifest_entry"
    __table_args__ = (Index("ix_teaching_manifest_entry_study_sop", "received_study", "sop_key"),)

    arrival_id: Mapped[str] = mapped_column(ForeignKey("teaching_manifest.arrival_id"), primary_key=True)
    sop_key: Mapped[str] = mapped_column(String(ID), primary_key=True)
    received_study: Mapped[str] = mapped_column(String(STUDY_KEY))
    is_listed: Mapped[bool] = mapped_column(Boolean)
    key_position: Mapped[int | None] = mapped_column(Integer)
    key_frames: Mapped[list[Any]]


def teaching_list(session: Session, study_key: str) -> ListedInstances | None:
    """Return the lists of a study's teaching files, held against what arrived; None where there is none."""
    listed, missing = Manifests(session).listed(study_key)
    return ListedInstances(rule=EvidenceRule.MANIFEST, listed=listed, missing=missing) if listed else None


class Manifests:
    """What manifests say; every call may be repeated after a crash."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, manifests: Iterable[NewManifest]) -> None:
        """Keep what manifests list; one that is kept already stays as it is."""
        for manifest in manifests:
            row = {
                "arrival_id": manifest.arrival_id,
                "kind": manifest.kind.value,
                "group_key": manifest.group_key,
                "recorded_at": clock_now(),
            }
            if not insert_or_nothing(self._session, ManifestRow, [row], ["arrival_id"]):
                continue
            entries = [
                {
                    "arrival_id": manifest.arrival_id,
                    "sop_key": entry.sop_key,
                    "received_study": entry.received_study,
                    "is_listed": entry.is_listed,
                    "key_position": entry.key_position,
                    "key_frames": list(entry.key_frames),
                }
                for entry in manifest.entries
            ]
            insert_or_nothing(self._session, ManifestEntryRow, entries, ["arrival_id", "sop_key"])

    def has_documents(self, study_key: str, sop_class_uids: Collection[str]) -> bool:
        """Return whether any instance of a study is of these SOP Classes."""
        found = self._session.scalar(
            select(ReceivedInstanceRow.arrival_id)
            .where(
                ReceivedInstanceRow.received_study == study_key, ReceivedInstanceRow.sop_class_uid.in_(sop_class_uids)
            )
            .limit(1)
        )
        return found is not None

    def listed(self, study_key: str) -> tuple[int, int]:
        """Return how many instances the teaching files of a study list, and how many of them have not arrived.

        Lists of mere key images do not count: they never say what belongs to a case.

        Parameters
        ----------
        study_key
            Row key of the received study.
        """
        arrived = exists().where(
            ReceivedInstanceRow.received_study == study_key, ReceivedInstanceRow.sop_key == ManifestEntryRow.sop_key
        )
        listed, there = self._session.execute(
            select(
                func.count(ManifestEntryRow.sop_key.distinct()),
                func.count(ManifestEntryRow.sop_key.distinct()).filter(arrived),
            )
            .join(ManifestRow)
            .where(_of_teaching_files(study_key), ManifestEntryRow.is_listed)
        ).one()
        return listed, listed - there

    def is_complete(self, study_key: str) -> bool:
        """Return whether a teaching file lists instances of the study, and every one of them has arrived."""
        listed, missing = self.listed(study_key)
        return listed > 0 and not missing

    # -- images --------------------------------------------------------------------------------------------------------

    def mark_image(self, image: CaseImageRow, arrival_id: str) -> None:
        """Set the marks of an image that is filed just now; ``mark_case`` puts those of several manifests in order."""
        study_key, sop_key = self._session.execute(
            select(ReceivedInstanceRow.received_study, ReceivedInstanceRow.sop_key).where(
                ReceivedInstanceRow.arrival_id == arrival_id
            )
        ).one()
        entries = self._entries(study_key, ManifestEntryRow.sop_key == sop_key)
        if entries or self._has_list(study_key):
            selects = self._has_list(study_key)
            marks = _marks(entries, selects=selects).get(sop_key, Marks(is_selected=not selects))
            place = next((entry.key_position for _, entry in entries if entry.key_position is not None), None)
            _apply(image, replace(marks, key_position=place))

    def mark_case(self, study_key: str, case_id: str) -> None:
        """Set the marks of every image of a case, after a manifest came later than images."""
        entries = self._entries(study_key)
        if not entries:
            return
        selects = any(kind == ManifestKind.TEACHING_FILE for kind, _ in entries)
        marks, others = _marks(entries, selects=selects), Marks(is_selected=not selects)
        rows = self._session.execute(
            select(CaseImageRow, ReceivedInstanceRow.sop_key)
            .join(ReceivedInstanceRow, ReceivedInstanceRow.arrival_id == CaseImageRow.arrival_id)
            .where(CaseImageRow.case_id == case_id, ReceivedInstanceRow.received_study == study_key)
        )
        for image, sop_key in rows:
            _apply(image, marks.get(sop_key, others))
        group = self._session.scalar(
            select(ManifestRow.group_key)
            .join(ManifestEntryRow)
            .where(_of_teaching_files(study_key))
            .order_by(ManifestRow.arrival_id)
            .limit(1)
        )
        if group:
            self._session.execute(update(CaseRow).where(CaseRow.id == case_id).values(manifest_group=group))
        self._session.flush()

    def _has_list(self, study_key: str) -> bool:
        found = self._session.scalar(
            select(ManifestEntryRow.sop_key).join(ManifestRow).where(_of_teaching_files(study_key)).limit(1)
        )
        return found is not None

    def _entries(
        self, study_key: str, *conditions: ColumnElement[bool]
    ) -> Sequence[tuple[ManifestKind, ManifestEntryRow]]:
        """Return what is said of a study's instances: teaching files first, in the order of their images."""
        query = (
            select(ManifestRow.kind, ManifestEntryRow)
            .join(ManifestRow)
            .where(ManifestEntryRow.received_study == study_key, *conditions)
            .order_by(
                ManifestRow.kind != ManifestKind.TEACHING_FILE.value,
                ManifestRow.arrival_id,
                ManifestEntryRow.key_position,
            )
        )
        return [(ManifestKind(kind), entry) for kind, entry in self._session.execute(query)]

    # -- drafts --------------------------------------------------------------------------------------------------------

    def prefill(self, case_id: str, text: TeachingText) -> None:
        """Fill what is empty in a draft, each field once: what a contributor wrote or emptied stays."""
        case = lock_case(self._session, case_id)
        if case.status not in OPEN_STATUSES:
            return
        filled: dict[str, str] = dict(case.prefilled)
        values: dict[str, Any] = {
            "title": text.title,
            "presentation": text.presentation,
            "discussion": text.discussion,
            "tags": list(text.tags),
            "systems": [system.value for system in systems_of(text.categories)],
            "level": LEVELS[text.level].value if text.level in LEVELS else "",
            "hold_reason": text.delay.value if text.delay else "",
        }
        for name, value in values.items():
            if value and name not in filled and not getattr(case, name):
                setattr(case, name, value)
                filled[name] = digest(value)
        study = self._study_of_findings(case_id) if text.findings and "findings" not in filled else None
        if study is not None and not study.findings:
            study.findings, filled["findings"] = text.findings, digest(text.findings)
        if filled != case.prefilled or case.withheld_words != text.withheld:
            case.prefilled, case.withheld_words, case.updated_at = filled, text.withheld, clock_now()
        self._session.flush()

    def unfill(self, case: CaseRow) -> int:
        """Empty what a teaching file filled and nobody edited, and return how many texts that were.

        Codes (systems, level, what is waited for) are no text and stay.
        """
        emptied = 0
        for name, nothing in (("title", ""), ("presentation", ""), ("discussion", ""), ("tags", [])):
            value = getattr(case, name)
            if value and case.prefilled.get(name) == digest(value):
                setattr(case, name, nothing)
                emptied += 1
        if "findings" in case.prefilled:
            for study in self._session.scalars(select(CaseStudyRow).where(CaseStudyRow.case_id == case.id)):
                if study.findings and digest(study.findings) == case.prefilled["findings"]:
                    study.findings = ""
                    emptied += 1
        self._session.flush()
        return emptied

    def _study_of_findings(self, case_id: str) -> CaseStudyRow | None:
        """Return the study that findings are written to: the one with the first key image, else the first."""
        images = (
            select(CaseSeriesRow.case_study_id, func.min(CaseImageRow.key_position).label("place"))
            .join(CaseImageRow, CaseImageRow.series_id == CaseSeriesRow.id)
            .where(CaseImageRow.case_id == case_id)
            .group_by(CaseSeriesRow.case_study_id)
            .subquery()
        )
        return self._session.scalar(
            select(CaseStudyRow)
            .join(images, images.c.case_study_id == CaseStudyRow.id)
            .order_by(images.c.place.is_(None), images.c.place, CaseStudyRow.position)
            .limit(1)
        )

    def accounts(self) -> Sequence[str]:
        """Return the names of those who may be given a draft."""
        return self._session.scalars(
            select(UserRow.name)
            .where(UserRow.disabled_at.is_(None), UserRow.role.in_([Role.CONTRIBUTOR, Role.EDITOR, Role.ADMIN]))
            .order_by(UserRow.name)
        ).all()

    def assign(self, case_id: str, account: str) -> bool:
        """Give a draft of the inbox to the account that its sender named, if there is a place; return whether it was.

        Whoever has a place is told by the list of drafts; where there is none the draft stays in the inbox for all.
        """
        found = self._session.scalar(select(UserRow.id).where(UserRow.name == account, UserRow.disabled_at.is_(None)))
        if found is None:
            return False
        owner = lock_user(self._session, found)
        case = lock_case(self._session, case_id)
        facts = states.Facts(drafts=draft_count(self._session, owner.id), draft_limit=owner.draft_limit)
        if case.owner_id is not None or case.status != CaseStatus.DRAFT or facts.drafts >= facts.draft_limit:
            return False
        case.owner_id, case.updated_at = owner.id, clock_now()
        case.version += 1
        Audit(self._session).append(ACTOR, "case.assign", case_id)
        self._session.flush()
        return True


def _of_teaching_files(study_key: str) -> ColumnElement[bool]:
    return (ManifestEntryRow.received_study == study_key) & (ManifestRow.kind == ManifestKind.TEACHING_FILE.value)


def _marks(entries: Iterable[tuple[ManifestKind, ManifestEntryRow]], *, selects: bool) -> Mapping[str, Marks]:
    """Return the marks of every instance that is named."""
    keys: dict[str, tuple[int, ...]] = {}
    listed: set[str] = set()
    for kind, entry in entries:
        if entry.key_position is not None:
            keys.setdefault(entry.sop_key, tuple(entry.key_frames))
        if kind is ManifestKind.TEACHING_FILE:
            listed.add(entry.sop_key)
    places = {key: place for place, key in enumerate(keys)}
    return {
        key: Marks(
            is_selected=key in listed or not selects,
            is_key=key in keys,
            key_position=places.get(key),
            key_frames=keys.get(key, ()),
        )
        for key in {*keys, *listed}
    }


def _apply(image: CaseImageRow, marks: Marks) -> None:
    image.is_selected, image.is_key = marks.is_selected, marks.is_key
    image.key_position = marks.key_position
    image.key_frames = list(marks.key_frames)
