"""What another profile revision would change: outcomes and attributes, counted over instances, without any value."""

import re
from collections.abc import Iterable

from bridge.preview import FilePreview
from cases.impacts import ImpactCounts
from deidentify.preview import PreviewRow

_ITEM = re.compile(r"\[\d+\]")


class Impact(ImpactCounts):
    """Counts what two previews of one instance say."""

    __slots__ = ()

    def add(self, first: FilePreview, second: FilePreview) -> None:
        """Count one instance."""
        self.instances += 1
        self.outcomes[_outcome(first), _outcome(second)] += 1
        before, after = _by_place(first.rows), _by_place(second.rows)
        found = {
            (_ITEM.sub("", place), name, *_fates(before.get(place), after.get(place)))
            for place, name in _places(first.rows, second.rows)
            if _differs(before.get(place), after.get(place))
        }
        self.attributes.update(found)
        self.touched += bool(found) or _outcome(first) != _outcome(second)


def _outcome(one: FilePreview) -> str:
    return f"{one.outcome}: {one.reason}" if one.reason else one.outcome


def _by_place(rows: Iterable[PreviewRow]) -> dict[str, PreviewRow]:
    return {row.place: row for row in rows}


def _places(first: Iterable[PreviewRow], second: Iterable[PreviewRow]) -> dict[tuple[str, str], None]:
    return dict.fromkeys((row.place, row.name) for row in (*first, *second))


def _differs(first: PreviewRow | None, second: PreviewRow | None) -> bool:
    if first is None or second is None:
        return True
    # The profile's own name and revision stand in every file.
    if first.place.startswith(("(0012,0063)", "(0012,0064)")):
        return False
    return (first.change, first.after) != (second.change, second.after)


def _fates(first: PreviewRow | None, second: PreviewRow | None) -> tuple[str, str]:
    told = [str(row.change) if row is not None else "not there" for row in (first, second)]
    if first is not None and second is not None and told[0] == told[1]:
        if first.source == second.source:
            return told[0], f"{told[1]} otherwise"
        told = [f"{fate} by {row.source}" for fate, row in zip(told, (first, second), strict=True)]
    return told[0], told[1]
