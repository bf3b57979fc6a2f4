"""What an original tells for the receipt of its study: a key, numbers, and how an operator knows it again.

The end of the Accession Number is how an operator knows a study again. It identifies, so it lies beside the originals,
sealed alike, and goes with the last of them: it is never in the database, a log or a figure.
"""

import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass

from bridge.layouts import layout_key, unsigned
from cases.intake import InstanceFacts
from deidentify.charsets import DEFAULT, charset_of
from deidentify.dataset import ReceivedInstance, find
from scp.arrival import keyed_name
from scp.errors import ScpError
from scp.spool import Spool

log = logging.getLogger("casebridge.pipeline")

SUFFIX = "receipt.json"
ACCESSION_CHARS = 4
_CHARSET, _ACCESSION, _SERIES = 0x00080005, 0x00080050, 0x0020000E
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_LARGEST = 2**31 - 1


def instance_facts(received: ReceivedInstance, name_key: bytes) -> InstanceFacts:
    """Return the key of the series and the numbers that the header states."""
    identified_series_uid = received.text(_SERIES)
    return InstanceFacts(
        series_key=keyed_name(name_key, "series", identified_series_uid) if identified_series_uid else "",
        instance_number=_integer(received.text(0x00200013)),
        acquisition_number=_integer(received.text(0x00200012)),
        stated_study=_count(received.text(0x00201208)),
        stated_series=_count(received.text(0x00201209)),
        stated_acquisition=_count(received.text(0x00201002)),
        layout_key=layout_key(received, name_key),
        rows=unsigned(received, 0x00280010),
        columns=unsigned(received, 0x00280011),
        frames=_count(received.text(0x00280008)),
    )


def _integer(identified_text: str) -> int | None:
    if not _INTEGER.fullmatch(identified_text):
        return None
    number = int(identified_text)
    return number if abs(number) <= _LARGEST else None


def _count(identified_text: str) -> int | None:
    number = _integer(identified_text)
    return number if number is not None and number > 0 else None


def keep_accession_end(spool: Spool, study_key: str, received: ReceivedInstance) -> None:
    """Write the end of the Accession Number (0008,0050) beside the study, once."""
    identified_end = _accession_end(received)
    if not identified_end:
        return
    try:
        if spool.read_beside_study(study_key, SUFFIX) is None:
            with suppress(FileNotFoundError):  # its originals were purged meanwhile: nothing outlives them
                spool.write_beside_study(study_key, SUFFIX, json.dumps({"accession_end": identified_end}).encode())
    except (OSError, ScpError) as error:
        log.warning("a receipt goes without the end of its accession number", extra={"error": type(error).__name__})


def _accession_end(received: ReceivedInstance) -> str:
    element = find(received.identified_elements, _ACCESSION)
    if element is None or element.items is not None:
        return ""
    named = find(received.identified_elements, _CHARSET)
    charset = charset_of(named.value) if named is not None else DEFAULT
    identified_number = charset.decode(element.value).strip(" \0")
    return identified_number[-ACCESSION_CHARS:] if identified_number.isprintable() else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolMarks:
    """Reads what lies beside the originals of a study, for the operator's eyes."""

    spool: Spool

    def identified_accession_end(self, study_key: str) -> str | None:
        """Return the end of the Accession Number while an original of the study is there; None after that."""
        try:
            content = self.spool.read_beside_study(study_key, SUFFIX)
            return None if content is None else str(json.loads(content)["accession_end"])
        except (OSError, ScpError, ValueError, KeyError, TypeError) as error:
            log.warning("the end of an accession number cannot be read", extra={"error": type(error).__name__})
            return None
