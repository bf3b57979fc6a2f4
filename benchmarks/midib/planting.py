"""Plants a person in a data set: attributes, text, sequences, private elements, and around the data set."""

import datetime as dt
import random
from collections.abc import Callable

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_keyword, dictionary_VR
from pydicom.sequence import Sequence

from benchmarks.midib.companions import item
from benchmarks.midib.key import Action, Answer, Path, Step
from benchmarks.midib.people import Kind, Person, Secret
from benchmarks.midib.phrases import Told, findings, history, told
from deidentify.tables import attribute_rows

__all__ = ["SAFE_PRIVATE", "Planter"]

_LONGEST = {"SH": 16, "LO": 64, "AE": 16, "ST": 400, "LT": 400, "UT": 400, "UC": 400}
_BYTES = ("OB", "UN")

SAFE_PRIVATE: tuple[tuple[int, str, int, str, object], ...] = (
    (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "1000"),
    (0x0019, "SIEMENS MR HEADER", 0x0D, "CS", "DIRECTIONAL"),
    (0x0019, "SIEMENS MR HEADER", 0x0E, "FD", [0.5, 0.5, 0.7071]),
    (0x0043, "GEMS_PARM_01", 0x39, "IS", [800, 8, 0, 0]),
    (0x0019, "GEMS_ACQU_01", 0x23, "DS", "55.0"),
    (0x0019, "GEMS_ACQU_01", 0x27, "DS", "0.8"),
    (0x7053, "Philips PET Private Group", 0x00, "DS", "0.000551"),
    (0x7053, "Philips PET Private Group", 0x09, "DS", "1.2"),
    (0x2001, "Philips Imaging DD 001", 0x03, "FL", 1000.0),
    (0x2001, "Philips Imaging DD 001", 0x0B, "CS", "TRANSVERSAL"),
    (0x00E1, "ELSCINT1", 0x21, "DS", "412.6"),
)
"""Some of Table E.3.10-1: group, creator, element, VR and a value."""

_IDENTIFYING_PRIVATE = (
    (0x0009, "GEMS_IDEN_01"),
    (0x0011, "SPI RELEASE 1"),
    (0x0033, "MITRA OBJECT UTF8 ATTRIBUTES 1.0"),
    (0x2005, "Philips MR Imaging DD 001"),
    (0x0029, "ACME HOSPITAL IT"),
)

# Outside Table E.1-1, where nobody should type names, and somebody does (PS3.15 §E.1.1 warns of it).
_MISUSED = ("PerformedProcedureTypeDescription", "StageName", "ContrastBolusRoute", "LUTExplanation", "RescaleType")


class Planter:
    """Plants one person in the instances of one study."""

    def __init__(
        self, rng: random.Random, person: Person, secrets: list[Secret], day: dt.date, uid: Callable[[], str]
    ) -> None:
        self._rng, self._person, self._secrets, self._day, self._uid = rng, person, secrets, day, uid
        self._when = day.strftime(person.date_format)
        self.answers: list[Answer] = []
        self.planted: set[Path] = set()

    def plant(self, data: Dataset) -> None:
        """Plant in all places, and keep what has to become of it."""
        self._identity(data)
        self._staff_and_place(data)
        self._descriptions(data)
        self._rows(data)
        self._sequences(data)
        self._private(data)
        self._misused(data)
        self._report(data)
        self._around(data)

    # One place at a time.

    def _identity(self, data: Dataset) -> None:
        person = self._person
        self._put(data, "PatientName", person.dicom_name, self._name_words())
        self._put(data, "PatientID", person.record, [person.record], is_removed=False)
        self._put(data, "PatientBirthDate", person.birth.strftime("%Y%m%d"), [person.birth.strftime("%Y%m%d")])
        self._put(data, "AccessionNumber", person.accession, [person.accession])
        self._put(data, "StudyID", person.study_id, [person.study_id])
        for keyword, value, words in (
            ("OtherPatientIDs", person.other_record, [person.other_record]),
            ("PatientAddress", f"{person.street}, {person.town}", [person.street, person.town]),
            ("PatientTelephoneNumbers", person.phone[:16], [person.phone[:16]]),
            ("PatientMotherBirthName", f"{person.doctors[0][0]}", [person.doctors[0][0]]),
            ("MilitaryRank", "Lieutenant", []),
        ):
            if self._rng.random() < 0.6:
                self._put(data, keyword, value, words)

    def _staff_and_place(self, data: Dataset) -> None:
        person, rng = self._person, self._rng
        for keyword in ("ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "RequestingPhysician"):
            if keyword in data or rng.random() < 0.7:
                family, given = rng.choice(person.doctors)
                self._put(data, keyword, f"{family}^{given}^^Dr.", [family, given])
        self._put(data, "InstitutionName", person.hospital, [person.place])
        for keyword, value, words in (
            ("InstitutionAddress", f"{person.street}, {person.town}", [person.street, person.town]),
            ("InstitutionalDepartmentName", person.department, [person.place]),
            ("StationName", person.station, [person.station]),
            ("DeviceSerialNumber", person.serial, [person.serial]),
        ):
            if keyword in data or rng.random() < 0.6:
                self._put(data, keyword, value, words)

    def _descriptions(self, data: Dataset) -> None:
        cleaned = [
            tag
            for tag, row in attribute_rows().items()
            if row.options.get("clean_descriptors") and row.vr in {"LO", "SH", "ST", "LT", "UT"}
        ]
        always = [0x00081030, 0x0008103E]
        mostly = [tag for tag in cleaned if tag in data and tag not in always]
        comments = [0x00204000, 0x001021B0, 0x00181030, 0x00321060, 0x00400254, 0x00102000 | 0x4000]
        for tag in dict.fromkeys([*always, *mostly, *self._rng.sample(comments, 3), *self._rng.sample(cleaned, 2)]):
            if tag not in attribute_rows() or attribute_rows()[tag].options.get("clean_descriptors") is None:
                continue
            vr = dictionary_VR(tag)
            if vr in {"SQ", "OB", "CS"}:
                continue
            longest = _LONGEST.get(vr, 64)
            text = (
                history(self._rng, self._person, self._when, self._one_uid())
                if vr in {"LT", "UT"} and self._rng.random() < 0.5
                else told(self._rng, self._person, self._when, self._one_uid(), longest)
            )
            data.add_new(tag, vr, text.text)
            self._told((tag,), text, "PS3.15 §E.3.5: clean the descriptor, keep what is known to be safe")

    def _rows(self, data: Dataset) -> None:
        """Fill some rows of Table E.1-1 that nothing above has filled, whatever the kind of object."""
        rows = [
            (tag, row.vr)
            for tag, row in attribute_rows().items()
            if row.vr in {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", *_BYTES}
            and not {"clean_descriptors", "retain_longitudinal_modified_dates"} & set(row.options)
            and (tag,) not in self.planted
            and tag >> 16 not in {0x0002, 0x0004}
        ]
        for tag, vr in self._rng.sample(rows, 8):
            value, words = self._row_value(dictionary_keyword(tag), vr)
            if vr in _BYTES:
                data.add_new(tag, vr, value.encode("utf-8").ljust(len(value.encode()) + len(value.encode()) % 2))
                self.planted.add((tag,))
            else:
                data.add_new(tag, vr, value)
                self._removed((tag,), value, words)

    def _row_value(  # noqa: PLR0911 - a list of cases
        self, keyword: str, vr: str
    ) -> tuple[str, list[str]]:
        person, rng = self._person, self._rng
        doctor = rng.choice(person.doctors)
        if vr == "PN":
            return f"{doctor[0]}^{doctor[1]}", list(doctor)
        if vr == "AE" or "Station" in keyword:
            return person.station, [person.station]
        if any(part in keyword for part in ("Address", "Residence", "Country")) and vr != "SH":
            return f"{person.street}, {person.town}"[:64], [person.street]
        if "Phone" in keyword or "Telephone" in keyword:
            return person.phone[:16], [person.phone[:16]]
        if any(part in keyword for part in ("Institution", "Organization", "Location", "Facility")) and vr != "SH":
            return person.hospital, [person.place]
        if any(part in keyword for part in ("ID", "Number", "Identifier", "UDI")) or vr == "SH":
            made = f"{rng.choice('BDQ')}{rng.randrange(10**8, 10**9)}"
            self._secrets.append(Secret(made, Kind.RECORD))
            return made, [made]
        return f"{person.given} {person.family} {person.other_record}"[:64], [person.family, person.other_record]

    def _sequences(self, data: Dataset) -> None:
        person, rng = self._person, self._rng
        other = item(PatientID=person.other_record, IssuerOfPatientID=person.place, TypeOfPatientID="TEXT")
        text = told(rng, person, self._when, self._one_uid(), 64)
        request = item(
            RequestedProcedureID=person.accession,
            RequestedProcedureDescription=text.text,
            ScheduledProcedureStepID=person.study_id,
            ReferringPhysicianName=f"{person.doctors[0][0]}^{person.doctors[0][1]}",
        )
        equipment = item(
            Manufacturer="Agfa-Gevaert",
            InstitutionName=person.hospital,
            StationName=person.station,
            DeviceSerialNumber=person.serial,
            SoftwareVersions="2.1",
            PurposeOfReferenceCodeSequence=Sequence(
                [item(CodeValue="109101", CodingSchemeDesignator="DCM", CodeMeaning="Acquisition Equipment")]
            ),
        )
        local = item(CodeValue="X17", CodingSchemeDesignator="99LOCAL", CodeMeaning=f"Head of {person.family}")
        step = item(StageName="?", OperatorsName=f"{person.doctors[1][0]}^{person.doctors[1][1]}")
        step.TextValue = f"Telephoned {person.relative} at {person.phone}"
        for keyword, made in (
            ("OtherPatientIDsSequence", other),
            ("RequestAttributesSequence", request),
            ("ContributingEquipmentSequence", equipment),
            ("AnatomicRegionModifierSequence", local),
            ("PatientOrientationModifierCodeSequence", step),
        ):
            if rng.random() < 0.6 and not data.get(keyword):
                setattr(data, keyword, Sequence([made]))
                tag = int(data.data_element(keyword).tag)  # type: ignore[union-attr]
                self.planted.add((tag,))
                if made is request:
                    why = "Request Attributes Sequence is cleaned under Clean Descriptors, Table E.1-1"
                    self._told((tag, 0, 0x00321060), text, why)

    def _private(self, data: Dataset) -> None:
        person, rng = self._person, self._rng
        for group, creator in rng.sample(_IDENTIFYING_PRIVATE, 2):
            block = data.private_block(group, creator, create=True)
            made = [
                (0xA1, "LO", f"{person.family}, {person.given}"),
                (0xA2, "SH", person.record),
                (0xA3, "UN", f"{person.family}^{person.given}".encode()),
                (0xA4, "UN", f"{person.street} {person.town} ".encode()),
            ]
            for number, vr, value in rng.sample(made, 3):
                block.add_new(number, vr, value)
                if vr != "UN":
                    path: Path = ((group, creator, number),)
                    self.planted.add(path)
                    self._removed(path, str(value), [person.family if number == 0xA1 else person.record])
            inner = item(PatientName=person.dicom_name, PatientID=person.record)
            block.add_new(0xA5, "SQ", Sequence([inner]))
        for group, creator, number, vr, safe in rng.sample(SAFE_PRIVATE, 3):
            block = data.private_block(group, creator, create=True)
            if number in block:
                continue
            block.add_new(number, vr, safe)
            self.planted.add(((group, creator, number),))
            self._answer(
                Action.TEXT_RETAINED,
                ((group, creator, number),),
                why="Table E.3.10-1: safe private",
                value=value_text(block[number]),
            )

    def _misused(self, data: Dataset) -> None:
        for keyword in self._rng.sample(_MISUSED, 2):
            tag = int(item(**{keyword: "x"}).data_element(keyword).tag)  # type: ignore[union-attr]
            if tag not in data:
                doctor = self._rng.choice(self._person.doctors)[0]
                longest = _LONGEST.get(dictionary_VR(tag), 64)
                data.add_new(tag, dictionary_VR(tag), f"{self._person.family} {doctor}"[:longest])
                self._removed((tag,), doctor, [self._person.family])

    def _report(self, data: Dataset) -> None:
        for number, content in enumerate(data.get("ContentSequence") or []):
            path: Path = (0x0040A730, number)
            if content.get("ValueType") == "PNAME":
                family, given = self._rng.choice(self._person.doctors)
                content.PersonName = f"{family}^{given}"
                self._removed((*path, 0x0040A123), content.PersonName, [family, given])
            elif content.get("ValueType") == "TEXT":
                text = findings(self._rng, self._person, self._when)
                content.TextValue = text.text
                self._told((*path, 0x0040A160), text, "PS3.15 §E.3.4: clean the text of content items")

    def _around(self, data: Dataset) -> None:
        """File meta, preamble, overlay comments, trailing padding: all of it is rebuilt or removed (PS3.15 §E.1.1)."""
        person, rng = self._person, self._rng
        preamble = f"{person.family} {person.record} {person.hospital}".encode("utf-8", "ignore")[:128]
        data.preamble = preamble.ljust(128, b"\0") if rng.random() < 0.5 else bytes(128)
        data.file_meta.SourceApplicationEntityTitle = person.station
        if rng.random() < 0.5:
            data.file_meta.PrivateInformationCreatorUID = self._uid()
            data.file_meta.PrivateInformation = f"{person.family}^{person.record} ".encode()
        if rng.random() < 0.3 and 0x60004000 not in data and 0x60000010 not in data:
            data.add_new(0x60004000, "LT", f"Overlay for {person.family}, {person.birth_text}")
        if rng.random() < 0.3 and 0xFFFCFFFC not in data:
            data.add_new(0xFFFCFFFC, "OB", f"PAD {person.family} {person.record} ".encode().ljust(256, b"\0"))

    # Bookkeeping.

    def _name_words(self) -> list[str]:
        return [secret.text for secret in self._person.secrets if secret.kind is Kind.NAME][:2]

    def _one_uid(self) -> str:
        made = self._uid()
        self._secrets.append(Secret(made, Kind.UID))
        return made

    def _put(self, data: Dataset, keyword: str, value: str, words: list[str], *, is_removed: bool = True) -> None:
        setattr(data, keyword, value)
        tag = int(data.data_element(keyword).tag)  # type: ignore[union-attr]
        self.planted.add((tag,))
        if is_removed and words:
            self._removed((tag,), value, words)

    def _removed(self, path: tuple[Step, ...], value: str, words: list[str]) -> None:
        why = "Table E.1-1" if isinstance(path[-1], int) and path[-1] in attribute_rows() else "PS3.15 §E.1.1"
        self._answer(Action.TEXT_REMOVED, path, value=value, words=tuple(words), why=why)

    def _told(self, path: Path, text: Told, why: str) -> None:
        if text.secrets:
            gone = tuple(secret.text for secret in text.secrets)
            self._answer(Action.TEXT_REMOVED, path, value=text.text, words=gone, why=why)
            self._secrets.extend(text.secrets)
        useful = tuple(text.useful.split())
        self._answer(Action.TEXT_RETAINED, path, value=text.useful, words=useful, why=why, is_sealed=text.is_sealed)

    def _answer(
        self,
        action: Action,
        path: Path,
        *,
        why: str,
        value: str = "",
        words: tuple[str, ...] = (),
        is_sealed: bool = False,
    ) -> None:
        self.planted.add(path)
        self.answers.append(Answer(action=action, path=path, value=value, words=words, why=why, is_sealed=is_sealed))


def value_text(element: DataElement) -> str:
    """Return a value as it is compared: numbers as numbers, many values one after the other."""
    value = element.value
    many = list(value) if element.VM > 1 else [value]
    return "\\".join(_one_text(one) for one in many)


def _one_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b"\0 ").hex()
    if isinstance(value, float) or (isinstance(value, str) and hasattr(value, "original_string")):
        return repr(float(value))
    return str(value).strip(" \0")
