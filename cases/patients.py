"""What a privacy officer finds of one patient."""

from dataclasses import dataclass, field
from datetime import datetime

from cases.model import CaseStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientCase:
    """A case of the patient."""

    case_id: str
    status: CaseStatus
    secret_generation: int
    created_at: datetime
    owner: str | None
    images: int
    receipt_code: str
    """Receipt of the study it was made of."""
    patient_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientStudy:
    """A received study of the patient; its originals may be there, and it may be that no case was made of it."""

    key: str
    receipt_code: str
    originals: int
    committed: int
    """Originals that are kept because storage commitment was promised for them."""
    cases: int
    patient_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientKeys:
    """By which keys a patient is looked for: those of each generation of the secret, for each issuer that may be."""

    patient_keys: frozenset[str] = frozenset()
    number_keys: frozenset[str] = frozenset()
    study_key: str = ""
    """The study's key in the spool, instead of the patient's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFindings:
    """All that was found."""

    cases: tuple[PatientCase, ...]
    studies: tuple[PatientStudy, ...]
