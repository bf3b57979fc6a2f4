"""Keyed pseudonyms: the same input gives the same output inside one case, and nothing links two cases.

All of them are HMAC-SHA256 under the installation's key; an unkeyed hash of a name or an ID can be looked up by trying
names and IDs (PS3.15 §E.1.1).
"""

import base64
import datetime as dt
import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, field

from deidentify.charsets import DEFAULT, charset_of
from deidentify.dataset import ReceivedInstance, find
from deidentify.transfer import Transfer

SHORTEST_SHIFT_DAYS = 365
LONGEST_SHIFT_DAYS = 3650

PATIENT_ID, ISSUER_OF_PATIENT_ID = 0x00100020, 0x00100021
_CHARACTER_SET = 0x00080005

_DATE = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|\.(\d{2})\.(\d{2}))", re.ASCII)
_HOUR, _MINUTE, _SECOND = r"(?:[01]\d|2[0-3])", r"[0-5]\d", r"(?:[0-5]\d|60)(?:\.\d{1,6})?"
_TIME = re.compile(f"{_HOUR}(?:{_MINUTE}(?:{_SECOND})?)?|{_HOUR}:{_MINUTE}(?::{_SECOND})?", re.ASCII)
_DATETIME = re.compile(r"(\d{8})((?:\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?)([+-]\d{4})?", re.ASCII)


def _digest(key: bytes, *parts: str) -> bytes:
    message = b"\0".join(part.encode("utf-8", "surrogateescape") for part in parts)
    return hmac.new(key, message, hashlib.sha256).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudonymScope:
    """The scope of consistency: one case of one installation.

    ``key`` is the installation's pseudonym key, ``case_key`` 32 hexadecimal digits.
    """

    key: bytes = field(repr=False)
    case_key: str
    born_key: str = ""
    """Key of the case whose pseudonyms were turned into those of this one, where it is another: UIDs and labels of what
    comes later are made as that case's first, and fit those that are there already."""
    given_patient_id: str = ""
    """The Patient ID (0010,0020) that the files of the case have, where it is not made of the original's."""
    _cache: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _transfer: Transfer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse keys that would make pseudonyms guessable."""
        if len(self.key) < 16:  # noqa: PLR2004 - 128 bits
            raise ValueError("the pseudonym key must have at least 16 bytes")
        if not all(re.fullmatch(r"[0-9a-f]{32}", key) for key in (self.case_key, self.born_key or self.case_key)):
            raise ValueError("the case key must be 32 hexadecimal digits")
        way = Transfer(key=self.key, from_case=self._first_key, to_case=self.case_key)
        object.__setattr__(self, "_transfer", way)

    @property
    def _first_key(self) -> str:
        return self.born_key or self.case_key

    def uid(self, identified_uid: str, mask: str = "") -> str:
        """Return the UID that stands for another in this case: 2.25 and a UUID of version 8 (PS3.5 §B.2).

        ``mask`` names a change of the pixels (PS3.3 C.7.6.1.1.2); the empty mask is no change.
        """
        cached = self._cache.get(identified_uid) if not mask else None
        if cached is not None:
            return cached
        number = int.from_bytes(_digest(self.key, "uid", self._first_key, identified_uid, mask)[:16], "big")
        number = number & ~(0xF << 76) | 0x8 << 76
        number = number & ~(0x3 << 62) | 0x2 << 62
        made = f"2.25.{number}"
        if self._first_key != self.case_key:
            made = self._transfer.uid(made)
        if not mask:
            self._cache[identified_uid] = made
        return made

    def patient_id(self, identified_patient_id: str) -> str:
        """Return the Patient ID (0010,0020) of this case, eleven characters."""
        if self.given_patient_id:
            return self.given_patient_id
        # No UID begins so.
        remembered = f"patient {identified_patient_id}"
        made = self._cache.get(remembered)
        if made is None:
            digest = _digest(self.key, "patient", self.case_key, normalized_id(identified_patient_id))
            made = self._cache[remembered] = "CB-" + base64.b32encode(digest[:5]).decode()
        return made

    def patient_name(self, identified_patient_id: str) -> str:
        """Return the Patient's Name (0010,0010): as the ID, so that a list by name stays in order."""
        return f"{self.patient_id(identified_patient_id)}^Anonymous"

    def label(self, identified_label: str) -> str:
        """Return a stand-in for an identifier that others of the same instance refer to; 11 characters."""
        digest = _digest(self.key, "label", self._first_key, identified_label)
        made = "ID-" + base64.b32encode(digest[:5]).decode()
        return made if self._first_key == self.case_key else self._transfer.label(made)

    @property
    def shift_days(self) -> int:
        """How many whole days dates go back, 365 to 3,650."""
        number = int.from_bytes(_digest(self.key, "days", self.case_key)[:8], "big")
        return SHORTEST_SHIFT_DAYS + number % (LONGEST_SHIFT_DAYS - SHORTEST_SHIFT_DAYS + 1)


def shifted_date(identified_date: str, days: int) -> str | None:
    """Return a DA value ``days`` earlier, or None for one that is no complete date.

    The retired form with dots is understood, ranges are shifted at both ends.
    """
    if "-" in identified_date:
        ends = [shifted_date(end.strip(), days) if end.strip() else "" for end in identified_date.split("-", 1)]
        return None if None in ends or not any(ends) else "-".join(end or "" for end in ends)
    match = _DATE.fullmatch(identified_date)
    if match is None:
        return None
    year, month, day, dotted_month, dotted_day = match.groups()
    try:
        date = dt.date(int(year), int(month or dotted_month), int(day or dotted_day))
        return (date - dt.timedelta(days=days)).strftime("%Y%m%d").zfill(8)
    except (ValueError, OverflowError):
        return None


def shifted_datetime(identified_datetime: str, days: int) -> str | None:
    """Return a DT value ``days`` earlier with its time of day and offset, or None unless it names a day."""
    match = _DATETIME.fullmatch(identified_datetime)
    if match is None:
        return None
    date = shifted_date(match[1], days)
    return None if date is None else f"{date}{match[2]}{match[3] or ''}"


def is_time(value: str) -> bool:
    """Tell whether this is a TM value; whole-day shifts leave it as it is."""
    return _TIME.fullmatch(value) is not None


def normalized_id(identified_id: str) -> str:
    """Return a patient ID as two systems would agree on it: no case, no padding, no leading zeros of numbers."""
    folded = unicodedata.normalize("NFKC", identified_id).strip().casefold()
    folded = re.sub(r"\s+", " ", folded)
    return folded.lstrip("0") or "0" if folded.isdigit() else folded


def patient_key_of(key: bytes, *, issuer: str, identified_patient_id: str) -> str:
    """Return the internal key of a patient, 32 hexadecimal digits, from issuer and normalised ID.

    It is for the database only and never stands in a file.
    """
    return _digest(key, "id", issuer.strip().casefold(), normalized_id(identified_patient_id)).hex()[:32]


def patient_number_key_of(key: bytes, *, identified_patient_id: str) -> str:
    """Return the internal key of a patient ID, whoever issued it: for those who look for a patient by it alone."""
    return _digest(key, "number", normalized_id(identified_patient_id)).hex()[:32]


def age_band(identified_age: str, identified_birth_date: str, identified_study_date: str) -> str:
    """Return the age as a case may show it.

    From Patient's Age (0010,1010), else from birth and study dates: days under four weeks, months under two years,
    years under 18, then the nearest five years, from 90 on "90+ years". Empty when unknown.
    """
    days = _age_days(identified_age, identified_birth_date, identified_study_date)
    if days is None:
        return ""
    if days < 28:  # noqa: PLR2004
        return f"{int(days)} day{'' if int(days) == 1 else 's'}"
    months = int(days / 30.4375)
    if months < 24:  # noqa: PLR2004
        return f"{max(months, 1)} month{'s' if months > 1 else ''}"
    years = int(days / 365.25 + 1e-6)
    if years >= 90:  # noqa: PLR2004
        return "90+ years"
    if years < 18:  # noqa: PLR2004
        return f"{years} years"
    rounded = max(20, 5 * round(years / 5))
    return "90+ years" if rounded >= 90 else f"{rounded} years"  # noqa: PLR2004


def _age_days(age: str, birth: str, study: str) -> float | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY])", age.strip().upper())
    # No whole year, month or week says only what it is not yet.
    if match and (int(match[1]) or match[2] == "D"):
        return int(match[1]) * {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}[match[2]]
    born, seen = shifted_date(birth.strip(), 0), shifted_date(study.strip(), 0)
    if not born or not seen or "-" in born + seen:
        return None
    gap = _as_date(seen) - _as_date(born)
    return float(gap.days) if gap.days >= 0 else None


def _as_date(text: str) -> dt.date:
    return dt.date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def banded_age_string(band: str) -> str:
    """Return an AS value for an age band, for profiles that keep Patient's Age (0010,1010)."""
    number, _, unit = band.partition(" ")
    return f"{int(number.rstrip('+')):03d}{unit[0].upper()}" if unit else ""


def names_patient(received: ReceivedInstance) -> bool:
    """Say whether an instance has a Patient ID (0010,0020); without one nobody knows whose it is."""
    return bool(received.text(PATIENT_ID).strip())


def patient_key(received: ReceivedInstance, key: bytes, hospital: str) -> str:
    """Return the internal key of an instance's patient; see `patient_key_of`.

    The issuer is Issuer of Patient ID (0010,0021) where given, else the hospital of the route.
    """
    issuer = identified_text(received, ISSUER_OF_PATIENT_ID) or hospital
    return patient_key_of(key, issuer=issuer, identified_patient_id=identified_text(received, PATIENT_ID))


def patient_number_key(received: ReceivedInstance, key: bytes) -> str:
    """Return the internal key of an instance's patient ID alone; see `patient_number_key_of`."""
    return patient_number_key_of(key, identified_patient_id=identified_text(received, PATIENT_ID))


def identified_text(received: ReceivedInstance, tag: int) -> str:
    """Return a top level value as a person would type it, by the character set that the data set states."""
    element = find(received.identified_elements, tag)
    if element is None or element.items is not None:
        return ""
    stated = find(received.identified_elements, _CHARACTER_SET)
    charset = charset_of(stated.value) if stated is not None and stated.items is None else DEFAULT
    return charset.decode(element.value).strip(" \0")
