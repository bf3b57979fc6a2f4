"""Finding one patient's cases by keyed hashes, and withdrawing or erasing them. Nothing that identifies is kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.keys import Keys, Purpose
from bridge.retention import delete_condemned
from cases.blobs import BlobStore
from cases.intake import ReceivedInstance
from cases.patients import PatientCase, PatientFindings, PatientKeys, PatientStudy
from cases.store import Audit, Cases, Database, Intake, Leases, Patients, Shares
from deidentify.pseudonyms import patient_key_of, patient_number_key_of
from scp.spool import Spool

UNKNOWN_ISSUER = "another issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Who is looked for. All of it identifies."""

    identified_patient_id: str = field(repr=False, default="")
    identified_issuer: str = field(repr=False, default="")
    identified_study_uid: str = field(repr=False, default="")
    """Instead of the patient's number: a study whose patient has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found, and which issuer each patient's key stands for."""

    findings: PatientFindings
    issuers: dict[str, str] = field(repr=False)
    elsewhere: int = 0
    """Cases and studies under the same number from another issuer than the one that was named."""

    def issuer_of(self, one: PatientCase | PatientStudy) -> str:
        """Return in words who issued the number by which a case or study was found."""
        return self.issuers.get(one.patient_key, UNKNOWN_ISSUER) if one.patient_key else ""

    @property
    def patients(self) -> int:
        """How many people this may be: one number of two issuers is two.

        The key of an issuer whom nobody named counts for itself, although generations may have made two of one.
        """
        keys = [one.patient_key for one in _all_of(self.findings) if one.patient_key]
        return len({self.issuers.get(key, key) for key in keys})


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientSearch:
    """Looks for a patient by every generation of the secret and every issuer that may be."""

    database: Database
    keys: Keys
    spool: Spool
    hospitals: frozenset[str]
    """Those that the routes of the settings name."""

    def find(self, wanted: Wanted, *, actor: str) -> Found:
        """Return what there is of a patient; the audit log keeps who asked, when, and how much was found."""
        with self.database.write() as session:
            patients = Patients(session)
            found = self._find(patients, wanted)
            Audit(session).append(
                actor,
                "patient.find",
                "patients",
                {
                    "by": "study" if wanted.identified_study_uid else "patient id",
                    "with_issuer": bool(wanted.identified_issuer),
                    "cases": len(found.findings.cases),
                    "studies": len(found.findings.studies),
                },
            )
        return found

    def _find(self, patients: Patients, wanted: Wanted) -> Found:
        if wanted.identified_study_uid:
            study_key = self.spool.study_key(wanted.identified_study_uid)
            findings = patients.find(PatientKeys(study_key=study_key))
            keys = [one.patient_key for one in _all_of(findings)]
            return Found(findings=findings, issuers=dict.fromkeys(keys, "this study"))
        number_keys = frozenset(
            patient_number_key_of(key, identified_patient_id=wanted.identified_patient_id)
            for key in self._patient_keys()
        )
        if wanted.identified_issuer:
            issuers = self._issuers(wanted, [wanted.identified_issuer])
            exact = patients.find(PatientKeys(patient_keys=frozenset(issuers)))
            everywhere = patients.find(PatientKeys(patient_keys=frozenset(issuers), number_keys=number_keys))
            elsewhere = _size(everywhere) - _size(exact)
            return Found(findings=exact, issuers=issuers, elsewhere=elsewhere)
        issuers = self._issuers(wanted, self.hospitals | patients.hospitals())
        return Found(
            findings=patients.find(PatientKeys(patient_keys=frozenset(issuers), number_keys=number_keys)),
            issuers=issuers,
        )

    def _patient_keys(self) -> list[bytes]:
        return [generation.subkey(Purpose.PATIENTS) for generation in self.keys.generations]

    def _issuers(self, wanted: Wanted, names: Iterable[str]) -> dict[str, str]:
        return {
            patient_key_of(key, issuer=name, identified_patient_id=wanted.identified_patient_id): name or "no hospital"
            for key in self._patient_keys()
            for name in names
        }


def _all_of(findings: PatientFindings) -> list[PatientCase | PatientStudy]:
    return [*findings.cases, *findings.studies]


def _size(findings: PatientFindings) -> int:
    return len(findings.cases) + len(findings.studies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was erased."""

    cases: int = 0
    images: int = 0
    links: int = 0
    """Links that showed one of the cases to people without an account, and ended."""
    originals: int = 0
    committed: int = 0
    """Originals among them that storage commitment was promised for."""
    left: int = 0
    """Originals that could not be deleted; erasing again tries them again."""
    blobs_left: int = 0
    """Images whose files the store did not delete yet; workers go on trying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRights:
    """Withdraws or erases what was found; each case and study is one transaction, with its line in the audit log."""

    database: Database
    spool: Spool
    blobs: BlobStore
    actor: str

    def withdraw(self, findings: PatientFindings) -> int:
        """Make drafts again of the cases that others may see, and end the links to them; return how many they were."""
        withdrawn = 0
        for case in findings.cases:
            with self.database.write() as session:
                links = Shares(session).revoke_all(case.case_id)
                if Cases(session).withdraw(case.case_id):
                    Audit(session).append(self.actor, "patient.withdraw", case.case_id, {"links": links})
                    withdrawn += 1
        return withdrawn

    def erase(self, findings: PatientFindings) -> Erased:
        """Erase cases with their images, and originals with what was derived from them. It may be repeated.

        Studies first: what a worker has in its hands finds its case removed, and nothing left to open another for.
        """
        originals = left = images = links = 0
        cases = [case.case_id for case in findings.cases]
        for study in findings.studies:
            deleted, kept = self._erase_study(study)
            originals, left = originals + deleted, left + kept
            with self.database.read() as session:  # one may have been opened since
                cases += Patients(session).case_ids_of(study.key)
        cases = list(dict.fromkeys(cases))
        for case_id in cases:
            with self.database.write() as session:
                ended = Shares(session).revoke_all(case_id)
                gone = Cases(session).erase(case_id)
                Audit(session).append(self.actor, "patient.erase", case_id, {"images": gone, "links": ended})
            links += ended
            images += gone
        delete_condemned(self.database, self.blobs)
        with self.database.read() as session:
            waiting = Cases(session).condemned_blobs(has_spared=True)
        ours = tuple(f"{prefix}/{case_id}/" for case_id in cases for prefix in ("cases", "consents"))
        return Erased(
            cases=len(cases),
            images=images,
            links=links,
            originals=originals,
            committed=sum(study.committed for study in findings.studies),
            left=left,
            blobs_left=sum(key.startswith(ours) for key in waiting),
        )

    def _erase_study(self, study: PatientStudy) -> tuple[int, int]:
        """Delete the originals of a study; return how many were, and how many could not be.

        The files go within the transaction, so that a row never says "purged" of a file that is still there. The keys
        of the patient go last, with the last file: until then the study is found again.
        """
        with self.database.write() as session:
            there = Patients(session).close_study(study.key)
            gone = [instance for instance in there if self._remove(instance)]
            Intake(session).mark_purged([instance.arrival_id for instance in gone], Leases(session).now())
            if len(gone) == len(there):
                Patients(session).forget(study.key)
            detail = {"originals": len(gone), "left": len(there) - len(gone), "committed": study.committed}
            Audit(session).append(self.actor, "patient.erase-study", study.key, detail)
        return len(gone), len(there) - len(gone)

    def _remove(self, instance: ReceivedInstance) -> bool:
        try:
            self.spool.remove(instance.study_key, instance.sop_key, instance.arrival_id)
        except OSError:
            return False
        return True
