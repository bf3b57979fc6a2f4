"""How many public cases somebody has: what a contributor collects."""

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from cases.model import CaseStatus, CaseSummary, Visibility
from cases.store.account_rows import UserRow
from cases.store.rows import CaseRow


class Collector:
    """Counts the public cases of contributors."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self, name: str) -> int:
        """Return how many public cases the user of this name has."""
        return self.counts([name]).get(name, 0)

    def counts(self, names: Iterable[str]) -> dict[str, int]:
        """Return how many public cases each of these users has; those without any are left out."""
        wanted = {"names": sorted(set(names))}
        if not wanted["names"]:
            return {}
        owners = {user_id: name for user_id, name in self._session.execute(_OWNERS, wanted)}  # noqa: C416 - rows are no tuples
        return self._counted(owners)

    def of_owners(self, cases: Iterable[CaseSummary]) -> dict[str, int]:
        """Return the counts of the owners of these cases."""
        return self._counted({case.owner_id: case.owner for case in cases if case.owner_id and case.owner})

    def _counted(self, owners: Mapping[str, str]) -> dict[str, int]:
        found = self._session.execute(_COUNTS, {"ids": sorted(owners)}) if owners else ()
        return {owners[user_id]: count for user_id, count in found if user_id is not None}


def _collected() -> ColumnElement[bool]:
    """Return what counts: cases that are public now, and that an editor, or the trust in their owner, let become so."""
    is_public = (CaseRow.status == CaseStatus.PUBLISHED) & (CaseRow.visibility == Visibility.PUBLIC)
    return is_public & CaseRow.approved_at.is_not(None)


# Asked by name in one query, SQLite counts the public cases of everybody.
_OWNERS = select(UserRow.id, UserRow.name).where(UserRow.name.in_(bindparam("names", expanding=True)))
_COUNTS = (
    select(CaseRow.owner_id, func.count())
    .where(CaseRow.owner_id.in_(bindparam("ids", expanding=True)), _collected())
    .group_by(CaseRow.owner_id)
)
