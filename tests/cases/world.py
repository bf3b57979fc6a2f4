"""A small world for the tests of cases: studies that arrive, images that come out of de-identification."""

import hashlib
from datetime import UTC, datetime
from itertools import count

from cases.intake import Destination, NewArrival
from cases.model import CaseShell
from cases.store import Accounts, Cases, Database, Intake
from cases.users import Role, User
from deidentify.results import (
    AgeBand,
    DeidentifiedInstance,
    Description,
    Hold,
    HoldReason,
    IdentifierHashes,
    PixelFinding,
    PixelVerdict,
    Report,
    ScreenReport,
    TextClass,
)
from deidentify.text_screen import KeyedTextScreen

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
INBOX = Destination(
    id="inbox", calling_ae="PACS", called_ae="CASEBRIDGE", owner=None, hospital="north", profile="default"
)
HOLD = Hold(
    reason=HoldReason.BURNED_IN_TEXT,
    detail="1 region(s) of text in 1 of 1 frame(s)",
    findings=(PixelFinding(frame=0, x=4, y=8, width=60, height=12, text_class=TextClass.IDENTIFYING, score=0.93),),
)
SCREEN = KeyedTextScreen(lambda _generation: b"s" * 32)
_numbers = count(1)


def key(name: str) -> str:
    """A key of 32 hexadecimal digits for a name."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def route(owner: str, name: str = "") -> Destination:
    return Destination(
        id=name or owner, calling_ae="PACS", called_ae="CASEBRIDGE", owner=owner, hospital="north", profile="default"
    )


def arrival(
    study: str, sop: str, *, at: datetime = NOON, calling_ae: str = "PACS", association: str = "a1"
) -> NewArrival:
    """A new file of the spool; later calls give later arrival ids."""
    return NewArrival(
        arrival_id=f"{next(_numbers):032x}",
        study_key=key(study),
        sop_key=key(f"{study}/{sop}"),
        sop_class_uid=CT_IMAGE_STORAGE,
        transfer_syntax_uid=EXPLICIT_LITTLE_ENDIAN,
        calling_ae=calling_ae,
        called_ae="CASEBRIDGE",
        peer_address="192.0.2.7",
        association_id=association,
        received_at=at,
        size_bytes=1000,
    )


def receive(
    database: Database, destination: Destination, study: str, sops: int | list[NewArrival] = 1
) -> list[NewArrival]:
    """Let instances arrive and settle; return them."""
    arrivals = [arrival(study, str(n)) for n in range(sops)] if isinstance(sops, int) else sops
    with database.write() as session:
        seen = max((arrived.received_at for arrived in arrivals), default=NOON)
        Intake(session).record(arrivals, destination=destination, now=seen)
        Intake(session).assign_generation(f"{key(study)}-{destination.id}")
    return arrivals


def open_shell(database: Database, destination: Destination, study: str) -> CaseShell:
    with database.write() as session:
        return Cases(session).open_shell(f"{key(study)}-{destination.id}")


def file_study(database: Database, destination: Destination, study: str, sops: int = 1) -> CaseShell:
    """Let a study arrive and take it to its case."""
    arrivals = receive(database, destination, study, sops)
    shell = open_shell(database, destination, study)
    for number, instance in enumerate(arrivals):
        file(database, shell, instance, image(f"{study}/{number}", study=study, number=number))
    return shell


def file(
    database: Database,
    shell: CaseShell,
    instance: NewArrival,
    written: DeidentifiedInstance,
    identifiers: IdentifierHashes | None = None,
) -> str:
    blob_key = f"cases/{shell.case_id}/{instance.arrival_id}-{written.sha256[:16]}.dcm"
    with database.write() as session:
        Cases(session).file(shell.case_id, instance.arrival_id, written, blob_key, identifiers)
    return blob_key


def user(database: Database, name: str, role: Role = Role.CONTRIBUTOR, draft_limit: int = 10) -> User:
    with database.write() as session:
        known = Accounts(session).user_named(name)
        return known or Accounts(session).create_user(name, role, draft_limit)


def uid(name: str) -> str:
    return f"2.25.{int(key(name), 16)}"


def image(
    name: str,
    *,
    study: str = "study",
    series: str = "series",
    modality: str = "CT",
    number: int | None = 1,
    position: tuple[float, float, float] | None = None,
    orientation: tuple[float, float, float, float, float, float] | None = None,
    study_day: str = "20200101",
    frames: int = 1,
) -> DeidentifiedInstance:
    """What de-identification hands on for an image of this name."""
    return DeidentifiedInstance(
        description=Description(
            study_instance_uid=uid(study),
            series_instance_uid=uid(f"{study}/{series}"),
            sop_instance_uid=uid(f"image {name}"),
            sop_class_uid=CT_IMAGE_STORAGE,
            transfer_syntax_uid=EXPLICIT_LITTLE_ENDIAN,
            modality=modality,
            series_number=3,
            instance_number=number,
            frames=frames,
            rows=512,
            columns=512,
            has_pixels=True,
            age_band=AgeBand("45 years"),
            sex="F",
            study_day=study_day,
            study_description="CT CHEST",
            series_description="AX LUNG",
            body_part="CHEST",
            laterality="",
            position=position,
            orientation=orientation,
        ),
        report=Report(
            profile="default", profile_revision="r1", actions=(("X", 31),), options=("113100",), notes=("a note",)
        ),
        screen=ScreenReport(verdict=PixelVerdict.CLEAR, frames=frames, frames_read=frames, detector="test 1"),
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size_bytes=1000,
    )
