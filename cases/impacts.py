"""What another revision of a profile would change, counted over instances: outcomes and attributes, never a value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

_HELD = "held"


@dataclass(slots=True, kw_only=True)
class ImpactCounts:
    """Counts over all instances that were looked at under both revisions."""

    instances: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What becomes of an instance under the first and under the second, with the reason."""
    attributes: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Place without item numbers, name, what happens under the first and under the second."""
    touched: int = 0
    """Instances that would be written otherwise."""
    left_out: int = 0
    """Rarer attributes that are not listed."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the counts that ``values`` gave."""
        return cls(
            instances=values["instances"],
            touched=values["touched"],
            left_out=values["attributes_left_out"],
            outcomes=Counter({(row["first"], row["second"]): row["instances"] for row in values["outcomes"]}),
            attributes=Counter(
                {
                    (row["place"], row["attribute"], row["first"], row["second"]): row["instances"]
                    for row in values["attributes"]
                }
            ),
        )

    def values(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "instances": self.instances,
            "touched": self.touched,
            "outcomes": [
                {"first": first, "second": second, "instances": count}
                for (first, second), count in sorted(self.outcomes.items())
            ],
            "attributes": [
                {"place": place, "attribute": name, "first": first, "second": second, "instances": count}
                for (place, name, first, second), count in sorted(self.attributes.items())
            ],
            "attributes_left_out": self.left_out,
        }

    def merge(self, other: "ImpactCounts") -> None:
        """Add the counts over other instances."""
        self.instances += other.instances
        self.touched += other.touched
        self.outcomes.update(other.outcomes)
        self.attributes.update(other.attributes)
        self.left_out += other.left_out

    def keep_most(self, most: int) -> None:
        """Keep the attributes that most instances have, and count the others."""
        kept = self.attributes.most_common(most)
        self.left_out += len(self.attributes) - len(kept)
        self.attributes = Counter(dict(kept))

    def holds(self) -> tuple[Counter[str], Counter[str]]:
        """Return which holds would appear and which would vanish, by their reason."""
        appear, vanish = Counter[str](), Counter[str]()
        for (first, second), count in self.outcomes.items():
            if first == second:
                continue
            if _is_hold(second):
                appear[_reason(second)] += count
            if _is_hold(first):
                vanish[_reason(first)] += count
        return appear, vanish


def _is_hold(outcome: str) -> bool:
    return outcome.partition(":")[0] == _HELD


def _reason(outcome: str) -> str:
    return outcome.partition(": ")[2]
