"""Pseudonyms of one case turned into those of another, without the originals.

What stands for an identifier in a case is a number, and each case has a keyed permutation of such numbers. A pseudonym
goes to another case by the inverse permutation of the one that it leaves and the permutation of the one that it comes
to. So the way does not matter: by three cases or at once, the result is the same, and back again is what it was. Who
has no key cannot tell that two pseudonyms stand for one thing (a Feistel network over HMAC-SHA256, ten rounds).
"""

import base64
import hmac
import re
from dataclasses import dataclass, field

_ROUNDS = 10
_PREFIX = "2.25."
_UID = re.compile(r"2\.25\.([1-9]\d{22,38})", re.ASCII)
_LABEL = re.compile(r"ID([-_])([A-Z2-7]{8})")
_PATIENT = re.compile(r"CB-([A-Z2-7]{8})(\^Anonymous)?")
_UID_BITS, _LABEL_BITS = 122, 40
_VERSION_AT, _VARIANT_AT = 76, 62
"""Bits below the version and the variant of a UUID (RFC 9562 §5.8)."""
_LOW, _MIDDLE = (1 << _VARIANT_AT) - 1, (1 << 12) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The way from one case to another of the same installation and the same generation of its secret.

    ``key`` is the installation's pseudonym key, the cases' keys are 32 hexadecimal digits each.
    """

    key: bytes = field(repr=False)
    from_case: str
    to_case: str
    _rounds: dict[tuple[str, str], tuple[bytes, ...]] = field(default_factory=dict, init=False, repr=False)
    _known: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def uid(self, pseudonym: str) -> str:
        """Return the UID in the other case; what is no pseudonym stays as it is."""
        known = self._known.get(pseudonym)
        if known is None:
            number = number_of_uid(pseudonym)
            made = pseudonym if number is None else uid_of_number(self._moved("uid", number, _UID_BITS))
            known = self._known[pseudonym] = made
        return known

    def label(self, pseudonym: str) -> str:
        """Return a stand-in for an identifier that others of the instance refer to."""
        return self._lettered("label", pseudonym, _LABEL.fullmatch(pseudonym), 2)

    def patient_id(self, pseudonym: str) -> str:
        """Return a Patient ID (0010,0020) as the other case would have it, were its patient known by this alone."""
        return self._lettered("patient", pseudonym, _PATIENT.fullmatch(pseudonym), 1)

    def _lettered(self, kind: str, pseudonym: str, match: re.Match[str] | None, group: int) -> str:
        if match is None:
            return pseudonym
        number = int.from_bytes(base64.b32decode(match[group]), "big")
        moved = self._moved(kind, number, _LABEL_BITS)
        letters = base64.b32encode(moved.to_bytes(_LABEL_BITS // 8, "big")).decode()
        return pseudonym[: match.start(group)] + letters + pseudonym[match.end(group) :]

    def _moved(self, kind: str, number: int, bits: int) -> int:
        return self._permuted(self.to_case, kind, self._permuted(self.from_case, kind, number, bits, -1), bits, 1)

    def _permuted(self, case_key: str, kind: str, number: int, bits: int, step: int) -> int:
        """Return where the permutation of a case takes a number; ``step`` -1 is its inverse."""
        half = bits // 2
        most = (1 << half) - 1
        left, right = number >> half, number & most
        size = (half + 7) // 8
        for round_key in self._round_keys(case_key, kind)[::step]:
            if step > 0:
                left, right = right, left ^ _mixed(round_key, right, size, most)
            else:
                left, right = right ^ _mixed(round_key, left, size, most), left
        return left << half | right

    def _round_keys(self, case_key: str, kind: str) -> tuple[bytes, ...]:
        known = self._rounds.get((case_key, kind))
        if known is None:
            messages = (f"move\0{kind}\0{case_key}\0{number}".encode() for number in range(_ROUNDS))
            known = tuple(hmac.digest(self.key, message, "sha256") for message in messages)
            self._rounds[case_key, kind] = known
        return known


def _mixed(round_key: bytes, half: int, size: int, most: int) -> int:
    return int.from_bytes(hmac.digest(round_key, half.to_bytes(size, "big"), "sha256")[:8], "big") & most


def number_of_uid(uid: str) -> int | None:
    """Return the 122 bits behind a UID that is a pseudonym: 2.25 and a UUID of version 8; None for all others."""
    match = _UID.fullmatch(uid)
    number = int(match[1]) if match else 0
    if not number or number >> 128 or number >> _VERSION_AT & 0xF != 0x8 or number >> _VARIANT_AT & 0x3 != 0x2:  # noqa: PLR2004 - the UUID's own marks
        return None
    high, middle, low = number >> (_VERSION_AT + 4), number >> (_VARIANT_AT + 2) & _MIDDLE, number & _LOW
    return (high << 12 | middle) << _VARIANT_AT | low


def uid_of_number(number: int) -> str:
    """Return the UID with these 122 bits."""
    high, middle, low = number >> (_VARIANT_AT + 12), number >> _VARIANT_AT & _MIDDLE, number & _LOW
    marked = (high << 4 | 0x8) << _VERSION_AT | middle << (_VARIANT_AT + 2) | 0x2 << _VARIANT_AT | low
    return f"{_PREFIX}{marked}"


def is_label(text: str) -> bool:
    """Tell whether a text is a stand-in for a label."""
    return _LABEL.fullmatch(text) is not None


def is_patient(text: str) -> bool:
    """Tell whether a text is a patient's pseudonym: an ID, or the name made of it."""
    return _PATIENT.fullmatch(text) is not None
