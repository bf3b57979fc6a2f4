"""What every body and answer shares: kinds of text, ids, pages and problems."""

import re
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from cases.changes import LABEL_MAX, PRESENTATION_MAX, REFERENCE_MAX, TAG_MAX, TEXT_MAX, TITLE_MAX
from cases.publication import Requirement
from cases.users import USER_NAME
from deidentify.results import TextReason

ID_EXAMPLE = "0190b6f2a1c47d3e9b5a4c8e7f6d5b3a"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DAY_FIRST = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
_LINE_BREAK = re.compile(r"[\r\n\t]")
Item = TypeVar("Item")


def _without_control(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("Control characters are not text.")
    return text


def _one_line(text: str) -> str:
    if _LINE_BREAK.search(text):
        raise ValueError("This field is one line.")
    return text


def _written_as_a_moment(value: object) -> object:
    """Refuse a number: it would be taken for seconds, or for milliseconds where it is large."""
    if not isinstance(value, str) or not _DAY_FIRST.match(value):
        raise ValueError("Write a moment like 2026-01-31T12:00:00Z.")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_as_a_moment)]
"""A moment with its time zone, as RFC 3339 writes it."""
Text = Annotated[str, AfterValidator(_without_control)]
Line = Annotated[str, AfterValidator(_without_control), AfterValidator(_one_line)]
Title = Annotated[Line, StringConstraints(strip_whitespace=True, max_length=TITLE_MAX)]
Presentation = Annotated[Text, StringConstraints(max_length=PRESENTATION_MAX)]
LongText = Annotated[Text, StringConstraints(max_length=TEXT_MAX)]
Age = Annotated[str, StringConstraints(pattern=r"^(?:\d{1,2}\+? (?:day|month|year)s?)?$")]
SeriesLabel = Annotated[Line, StringConstraints(strip_whitespace=True, max_length=LABEL_MAX)]
Reference = Annotated[Line, StringConstraints(strip_whitespace=True, max_length=REFERENCE_MAX)]
Tag = Annotated[Line, StringConstraints(strip_whitespace=True, min_length=1, max_length=TAG_MAX)]
Label = Annotated[Line, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
UserName = Annotated[str, StringConstraints(pattern=USER_NAME)]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class Body(BaseModel):
    """A request: a field that does not exist is refused, never passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """An answer, built from the values of ``cases``."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class ProblemPart(Answer):
    """One fault of a request; the value is not repeated."""

    location: str = Field(
        examples=["body"], description="`case` where the request was right and the case is not ready."
    )
    field: str = Field(examples=["title"])
    detail: str = Field(examples=["String should have at most 120 characters"])
    start: int | None = Field(None, description="First character of the place in the field's text, from 0.")
    end: int | None = Field(None, description="The character behind the place; code points are counted.")
    line: int | None = Field(None, description="Line of a profile's or script's text, from 1.")
    reason: TextReason | None = Field(None, description="What the place looks like, where it could identify somebody.")
    requirement: Requirement | None = Field(None, description="What a case lacks before others may see it.")


class Problem(Answer):
    """A problem detail (RFC 9457)."""

    type: str = Field(examples=["urn:casebridge:problem:case-not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str | None = Field(None, examples=["There is no such case."])
    errors: list[ProblemPart] | None = None


class Listed(Answer, Generic[Item]):
    """One page; ``next`` is the cursor of the following page, null on the last one."""

    items: list[Item]
    next: str | None = Field(None, examples=[None])
