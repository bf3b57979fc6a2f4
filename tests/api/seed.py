"""A small world behind the API: users with tokens, received studies, filed images and holds."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from cases.blobs import BlobStore
from cases.errands import Errand
from cases.intake import Destination, InstanceFacts, NewArrival
from cases.model import CaseDetail
from cases.profiles import ProfileRevision
from cases.reruns import StagedInstance
from cases.store import Accounts, Cases, Collections, Database, Errands, Holds, Intake, Profiles, Reruns
from cases.users import Role, User
from deidentify.results import (
    AgeBand,
    DeidentifiedInstance,
    Description,
    ElementChange,
    ElementFate,
    Hold,
    PixelFinding,
    PixelVerdict,
    Report,
    ScreenReport,
    TextClass,
)
from scp.arrival import new_arrival_id

ARRIVED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
TEXT_KEY = b"t" * 32
HELD_FACTS = InstanceFacts(series_key="5" * 32, layout_key="1a" * 16, rows=96, columns=128, frames=2)
"""Of every image that is held: they are of one series, from one device."""
MR = "1.2.840.10008.5.1.4.1.1.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Somebody:
    """A user with a token."""

    id: str
    name: str
    role: Role
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(slots=True, kw_only=True)
class World:
    """Makes what the tests need; remembers what must never be seen from outside."""

    database: Database
    blobs: BlobStore
    secrets: list[str]
    studies: int = 0
    pending: dict[str, list[str]] = field(default_factory=dict)

    def user(self, name: str, role: Role = Role.CONTRIBUTOR, draft_limit: int = 10) -> Somebody:
        with self.database.write() as session:
            accounts = Accounts(session)
            user = accounts.user_named(name) or accounts.create_user(name, role, draft_limit)
            token = accounts.issue_token(user.id, "test")
        return Somebody(id=user.id, name=name, role=user.role, token=token)

    def study(
        self,
        owner: str | None,
        images: Sequence[bytes] = (),
        *,
        frames: int = 1,
        modality: str = "CT",
        pending: int = 0,
        holds: Sequence[Hold] = (),
        profile: ProfileRevision | None = None,
        patient: str = "",
        series: int = 1,
    ) -> str:
        """Receive one study, file its images and hold the rest; return the id of the case.

        Images are dealt out to as many series as are asked for.
        """
        self.studies += 1
        pending = pending or int(not images and not holds)
        hospital, study_key = f"hospital-{secrets.token_hex(8)}", secrets.token_hex(16)
        arrivals = [self._arrival(study_key, number, modality) for number in range(len(images) + pending + len(holds))]
        destination = Destination(
            id=f"route-{owner or 'inbox'}",
            calling_ae="PACS1",
            called_ae="CASEBRIDGE",
            owner=owner,
            hospital=hospital,
            profile="default",
        )
        with self.database.write() as session:
            [row_key] = Intake(session).record(arrivals, destination=destination)
            Intake(session).assign_generation(row_key)
            patient_key = Intake(session).set_patient_key(row_key, patient or secrets.token_hex(32))
            case_id = Cases(session).open_shell(row_key, profile).case_id
            if profile is not None:
                Profiles(session).keep(profile)
        unfinished = arrivals[len(images) : len(images) + pending]
        self.pending[case_id] = [arrival.arrival_id for arrival in unfinished]
        uid = f"2.25.{int(secrets.token_hex(16), 16)}"
        for number, (arrival, data) in enumerate(zip(arrivals, images, strict=False), start=1):
            blob_key = f"{case_id}/{secrets.token_hex(16)}"
            self.secrets.append(blob_key)
            self.blobs.put(blob_key, data)
            with self.database.write() as session:
                of_series = f"{uid}.{(number - 1) % series + 1}"
                filed = deidentified(data, uid=uid, number=number, modality=modality, frames=frames, series=of_series)
                Cases(session).file(case_id, arrival.arrival_id, filed, blob_key)
        for arrival, hold in zip(arrivals[len(images) + pending :], holds, strict=True):
            with self.database.write() as session:
                Intake(session).set_fingerprint(arrival.arrival_id, dataset="d", pixels="p", facts=HELD_FACTS)
                Holds(session).hold(case_id, arrival.arrival_id, hold)
        self.secrets += [hospital, study_key, row_key, patient_key, *(arrival.sop_key for arrival in arrivals)]
        return case_id

    def detail(self, case_id: str) -> CaseDetail:
        """Return the case as the store holds it."""
        everything = User(id="", name="", role=Role.ADMIN, draft_limit=0)
        with self.database.read() as session:
            return Cases(session).get(everything, case_id)

    def finish(self, case_id: str) -> None:
        """Write what a case needs to be public."""
        said = "title = 'A title', presentation = 'Pain.', discussion = 'Known.', age_band = '45 years', sex = 'F'"
        more = "systems = '[\"Chest\"]', certainty = 'certain', licence_accepted_at = created_at"
        with self.database.write() as session:
            session.execute(text(f"UPDATE teaching_case SET {said}, {more} WHERE id = :c"), {"c": case_id})
            session.execute(text("UPDATE case_study SET findings = 'Seen.' WHERE case_id = :c"), {"c": case_id})

    def submit(self, case_id: str) -> None:
        """Let a case wait for an editor."""
        with self.database.write() as session:
            waits = "UPDATE teaching_case SET status = 'pending_review', submitted_at = created_at WHERE id = :c"
            session.execute(text(waits), {"c": case_id})

    def publish(self, case_id: str) -> None:
        """Let everybody see a case, whatever is missing in it."""
        with self.database.write() as session:
            session.execute(
                text("UPDATE teaching_case SET status = 'published', approved_at = created_at WHERE id = :c"),
                {"c": case_id},
            )
            Collections(session).enter_public(case_id)

    def unlist(self, case_id: str) -> None:
        """Publish a case for those alone who are given a link to it."""
        with self.database.write() as session:
            published = "UPDATE teaching_case SET status = 'published', visibility = 'unlisted' WHERE id = :c"
            session.execute(text(published), {"c": case_id})
            Collections(session).leave_public(case_id)

    def rerun_in_review(self, case_id: str, profile: ProfileRevision) -> Errand:
        """Let a case of one image be made anew, and wait for an editor."""
        self.publish(case_id)
        with self.database.write() as session:
            errand, plan, _ = Reruns(session).request(case_id, profile, actor="admin")
            Errands(session).begin(errand.id, len(plan.instances))
            for one in plan.instances:
                old = deidentified(b"new", uid="2.25.1", number=1, modality="CT")
                blob_key = f"{case_id}/{secrets.token_hex(16)}"
                self.secrets.append(blob_key)
                change = ElementChange(place="(0018,1000)", name="DeviceSerialNumber", change=ElementFate.REMOVED)
                made = StagedInstance(
                    arrival_id=one.arrival_id,
                    was=one.outcome,
                    outcome=old,
                    blob_key=blob_key,
                    changes=(change,),
                )
                assert Reruns(session).stage(errand.id, made)
            ended = Reruns(session).conclude(errand.id)
            assert ended is not None
            return ended

    def file_pending(self, case_id: str, data: bytes) -> None:
        """File the first instance of a case that is still being worked on."""
        [arrival_id, *_] = self.pending[case_id]
        blob_key = f"{case_id}/{secrets.token_hex(16)}"
        self.blobs.put(blob_key, data)
        with self.database.write() as session:
            filed = deidentified(data, uid=f"2.25.{int(case_id, 16)}", number=1, modality="CT")
            Cases(session).file(case_id, arrival_id, filed, blob_key)

    def _arrival(self, study_key: str, number: int, modality: str) -> NewArrival:
        return NewArrival(
            arrival_id=new_arrival_id(),
            study_key=study_key,
            sop_key=secrets.token_hex(16),
            sop_class_uid=MR if modality == "MR" else CT,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            calling_ae="PACS1",
            called_ae="CASEBRIDGE",
            peer_address="192.0.2.7",
            association_id=secrets.token_hex(16),
            received_at=ARRIVED + timedelta(minutes=self.studies, milliseconds=number),
            size_bytes=1000,
        )


def deidentified(
    data: bytes, *, uid: str, number: int, modality: str, frames: int = 1, series: str = ""
) -> DeidentifiedInstance:
    """Return the papers of a filed instance."""
    return DeidentifiedInstance(
        description=Description(
            study_instance_uid=uid,
            series_instance_uid=series or f"{uid}.1",
            sop_instance_uid=f"{uid}.1.{number}",
            sop_class_uid=MR if modality == "MR" else CT,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            modality=modality,
            series_number=1,
            instance_number=number,
            frames=frames,
            rows=8,
            columns=8,
            has_pixels=True,
            age_band=AgeBand("45 years"),
            sex="F",
            study_day="20200101",
            study_description="abdomen",
            series_description="axial",
            body_part="ABDOMEN",
            laterality="",
            position=(0.0, 0.0, float(number)),
            orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        ),
        report=Report(profile="default", profile_revision="0" * 64, actions=(("X", 3),), options=("113100",)),
        screen=ScreenReport(verdict=PixelVerdict.CLEAR, frames=frames, frames_read=frames),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
    )


def burned_in(detail: str = "Text stands in the pixels.") -> Hold:
    """Return a hold with one box."""
    from deidentify.results import HoldReason

    box = PixelFinding(frame=0, x=3, y=4, width=50, height=12, text_class=TextClass.IDENTIFYING, score=0.93)
    return Hold(reason=HoldReason.BURNED_IN_TEXT, detail=detail, findings=(box,))
