"""What devices burn in: who was examined and where, and what anybody may read."""

import random as plain_random
from dataclasses import dataclass
from datetime import date, time

import numpy as np
from pydicom import Dataset

from benchmarks.midib.people import CULTURES, Person, made_up_person

__all__ = ["Line", "header_of", "identity_lines", "person", "safe_lines", "side"]

Random = np.random.Generator

_SAFE = (
    "W:400 L:40",
    "W 1500 L -600",
    "WW 350 WL 50",
    "W400 L40",
    "C 40 W 400",
    "120 kV",
    "250 mA",
    "80 kVp 12 mAs",
    "MI 0.8",
    "MI:1.2 TIS:0.4",
    "TIS 0.2 TIB 0.2",
    "TE 12.3",
    "TR 4500 TE 98",
    "TI 2500",
    "SL 3.0 mm",
    "FOV 24 cm",
    "HR 72 bpm",
    "FR 38 Hz",
    "Gn 60 DR 70 dB",
    "5.0 MHz",
    "PWR 100%",
    "Zoom 1.5",
    "AP ERECT",
    "PA",
    "AP SUPINE",
    "LAT",
    "RMLO",
    "L CC",
    "R MLO",
    "PORTABLE",
    "LEFT",
    "RIGHT",
    "UPRIGHT",
    "10 cm",
    "AX T2",
    "SAG",
    "MAX 120 MIN 15",
    "Area 3.2 cm",
)
_TICKS = (("0", "5", "10", "15"), ("2", "4", "6", "8"), ("50", "0", "-50"), ("10", "20", "30"))
_TICKS_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of text; ``what`` is the kind of identifier or "safe", ``script`` that of its letters."""

    text: str
    what: str
    script: str


def person(random: Random) -> Person:
    """Return somebody made up, of any culture."""
    culture = str(random.choice(list(CULTURES)))
    return made_up_person(plain_random.Random(int(random.integers(2**62))), culture=culture)


def _script(text: str) -> str:
    for name, first, last in (
        ("Greek", "Ͱ", "Ͽ"),
        ("Cyrillic", "Ѐ", "ӿ"),
        ("Arabic", "؀", "ۿ"),
        ("CJK", "぀", "鿿"),
        ("Hangul", "가", "힣"),
    ):
        if any(first <= letter <= last for letter in text):
            return name
    return "Latin" if text.isascii() else "Latin with accents"


def identity_lines(who: Person, random: Random, count: int) -> list[Line]:
    """Return different lines that name somebody, as devices write them."""
    names = [f"{who.family.upper()} {who.given.upper()}", f"{who.family}, {who.given}", f"{who.family}^{who.given}"]
    ideographic = who.dicom_name.split("=")[1:2]
    names += [name.replace("^", " ") for name in ideographic]
    day = date(2010, 1, 1).replace(year=int(random.integers(2009, 2026)), day=int(random.integers(1, 29)))
    clock = time(int(random.integers(7, 19)), int(random.integers(60)))
    birth = who.birth_text
    ways = {
        "name": str(random.choice(names)),
        "record number": str(random.choice([who.record, f"ID: {who.record}", f"Pat-ID {who.other_record}"])),
        "birth date": str(random.choice([birth, f"DOB {birth}", f"*{birth}", who.birth.strftime("%d-%b-%Y")])),
        "accession number": str(random.choice([who.accession, f"Acc# {who.accession}"])),
        "institution": str(random.choice([who.hospital, who.hospital.upper(), who.department])),
        "study date": f"{day.strftime(who.date_format)} {clock:%H:%M}",
        "physician": f"Dr. {who.doctors[0][0]}",
    }
    shares = np.array([4.0, 2, 2, 1, 2, 1.5, 1])
    picked = random.choice(list(ways), size=min(count, len(ways)), replace=False, p=shares / shares.sum())
    return [Line(text=ways[str(what)], what=str(what), script=_script(ways[str(what)])) for what in picked]


def safe_lines(random: Random) -> list[Line]:
    """Return technical text that identifies nobody: one to three settings or markers, or the ticks of a scale."""
    if random.random() < _TICKS_SHARE:
        texts = list(_TICKS[int(random.integers(len(_TICKS)))])
    else:
        texts = [str(text) for text in random.choice(_SAFE, size=int(random.integers(1, 4)), replace=False)]
    return [Line(text=text, what="safe", script="Latin") for text in texts]


def side(random: Random) -> list[Line]:
    """Return a marker of one letter."""
    return [Line(text="LR"[int(random.integers(2))], what="safe", script="Latin")]


def header_of(who: Person) -> Dataset:
    """Return the attributes that name somebody."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName = who.dicom_name
    header.PatientID = who.record
    header.OtherPatientIDs = who.other_record
    header.PatientBirthDate = who.birth.strftime("%Y%m%d")
    header.AccessionNumber = who.accession
    header.InstitutionName = who.hospital
    header.InstitutionalDepartmentName = who.department
    header.ReferringPhysicianName = "^".join(who.doctors[0])
    header.StudyDate = "20240229"
    header.StudyTime = "101500"
    return header
