"""Featured cases on the wire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.common import ID_EXAMPLE, Answer, Body, Key
from api.schemas.public_cases import PublicCaseItem
from cases.featured import FeaturedCase


class FeaturedOut(Answer):
    """A public case that editors point out."""

    case: PublicCaseItem
    month: str | None = Field(examples=["2026-11"], description="Where it is the case of a month: of which.")
    featured_at: datetime

    @classmethod
    def of(cls, featured: FeaturedCase, collectors: Mapping[str, int]) -> Self:
        """Describe a featured case; ``collectors`` as in ``PublicCaseItem.of``."""
        case = PublicCaseItem.of(featured.case, collectors)
        return cls(case=case, month=featured.month, featured_at=featured.featured_at)


class PickedCase(Body):
    """The case of a month."""

    case_id: Key = Field(examples=[ID_EXAMPLE], description="A public case, first published in the month before.")
