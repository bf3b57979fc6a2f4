"""What a teaching file filled in a draft, told apart from what a person wrote."""

import hashlib

from cases.store.rows import CaseRow

FIELDS = ("title", "presentation", "discussion", "tags", "systems", "level")
"""Fields of a case that are written by people, and that a teaching file may begin."""
WRITTEN = ("differential", "certainty", "certainty_evidence", "consent_kind", "consent_reference", "key_image_id")
"""Fields that people alone write."""


def is_only_prefilled(case: CaseRow) -> bool:
    """Tell whether nobody wrote into a case: its texts are empty, or as a teaching file filled them."""
    values = {name: getattr(case, name) for name in FIELDS}
    is_prefilled = all(not value or case.prefilled.get(name) == digest(value) for name, value in values.items())
    return is_prefilled and not any(getattr(case, name) for name in WRITTEN)


def digest(value: object) -> str:
    """Return what is kept of a value to tell whether somebody changed it."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:32]
