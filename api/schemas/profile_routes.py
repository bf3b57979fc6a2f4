"""Which profile a route has, on the wire."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from api.schemas.common import Answer, Body
from api.schemas.peers import AeTitle
from api.schemas.profiles import REVISION_EXAMPLE, ProfileName, Revision
from cases.profiles import ANY, Origin, ShownRoute

SPELLED = r"^(?:[a-z0-9][a-z0-9-]{0,39}(?:@[0-9a-f]{16})?)?$"

ReplacedProfile = Annotated[str, StringConstraints(pattern=SPELLED)]
REPLACES = (
    "What is set for the route until now, as `profile` shows it, empty for nothing: if something else is set by now, "
    "nothing is changed (412)."
)


class RouteOut(Answer):
    """The profile of a route. Cases that are there keep their revision."""

    origin: Origin = Field(examples=[Origin.PUBLISHED], description="`file`: the settings say so.")
    called_ae: str = Field(examples=["TEACH_MR"])
    calling_ae: str = Field(examples=["*"], description="`*` for all who send there.")
    profile: str = Field(
        examples=["mr-device"],
        description="A name, whose newest revision counts, or name@revision; empty: the settings decide again.",
    )
    means: str = Field(
        examples=[REVISION_EXAMPLE],
        description="The revision of the next case; empty where nobody has the profile, or the settings decide.",
    )
    set_at: datetime | None
    set_by: str | None = Field(examples=["admin"])

    @classmethod
    def of(cls, shown: ShownRoute) -> Self:
        """Describe a route."""
        return cls.model_validate(shown)


class RoutesOut(Answer):
    """Routes, or what one had."""

    items: list[RouteOut]


class RouteOnly(Body):
    """A route."""

    called_ae: AeTitle = Field(examples=["TEACH_MR"], description="The AE title that is sent to.")
    calling_ae: AeTitle = Field(ANY, description="The AE title that sends; `*` for all.")
    replaces: ReplacedProfile | None = Field(None, examples=[None], description=REPLACES)


class RouteToSet(RouteOnly):
    """A profile for a route."""

    name: ProfileName = Field(examples=["mr-device"])
    revision: Revision | None = Field(None, examples=[None], description="Pinned; null: the newest of its name.")
