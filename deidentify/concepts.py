"""What the Standard itself calls a coded concept: the context groups of PS3.16, from pydicom's tables."""

import re
from functools import cache
from typing import Any

_SNOMED_TWINS = frozenset(("SRT", "SNM3", "99SDM"))
"""Designators of the older SNOMED RT codes, which have a SNOMED CT twin each."""

_SEMANTIC_TAG = re.compile(r" \([a-z/ ]+\)$")
"""What SNOMED CT adds to its full names, as in "Head structure (body structure)"."""


@cache
def _meanings() -> dict[tuple[str, str], str]:
    # Half a second to import: only those pay for it who meet a meaning with words outside the vocabulary.
    from pydicom.sr import _concepts_dict  # noqa: PLC0415

    concepts: dict[str, Any] = _concepts_dict.concepts
    return {
        (scheme, code): meaning
        for scheme, by_keyword in concepts.items()
        for by_code in by_keyword.values()
        for code, (meaning, _) in by_code.items()
    }


@cache
def _twins() -> dict[str, str]:
    from pydicom.sr._snomed_dict import mapping  # noqa: PLC0415

    return dict(mapping["SRT"])


def standard_meaning(scheme: str, value: str) -> str | None:
    """Return the Code Meaning of PS3.16; None for codes that it does not list."""
    if scheme in _SNOMED_TWINS:
        scheme, value = "SCT", _twins().get(value, "")
    meaning = _meanings().get((scheme, value))
    if meaning is not None and scheme == "UCUM":
        # Most character sets of DICOM have no such letter, and "V" alone is another unit.
        meaning = meaning.replace("\u00b5", "u").replace("\u03bc", "u")
    return _SEMANTIC_TAG.sub("", meaning) if meaning and scheme == "SCT" else meaning
