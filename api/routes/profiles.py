"""Profiles: to be read, checked, explained, published and taken back."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response

from api.context import Call
from api.errors import InvalidRequestError
from api.etags import is_held, tag_of
from api.openapi import problems
from api.schemas.profiles import (
    NAME_PATTERN,
    CheckedOut,
    ExplainedOut,
    MeaningOut,
    ProfileItem,
    ProfileOut,
    ProfileRollback,
    ProfilesOut,
    ProfileToCheck,
    ProfileToExplain,
    ProfileToPublish,
    ProfileToTranslate,
    Revision,
    RevisionOut,
    TranslatedOut,
)
from cases.profiles import ProfileSource
from deidentify.errors import ProfileError

router = APIRouter(prefix="/api/v1/profiles", tags=["profiles"])

Name = Annotated[str, Path(pattern=NAME_PATTERN)]
IfNoneMatch = Annotated[str | None, Header(description="The ETag that the caller holds.", max_length=512)]
_SCHEMA_EXAMPLE = {"type": "object", "required": ["name", "base"], "additionalProperties": False}
_SCHEMA_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "JSON Schema (2020-12)", "content": {"application/json": {"example": _SCHEMA_EXAMPLE}}}
}


@router.get("", responses=problems(403, 409))
def list_profiles(call: Call) -> ProfilesOut:
    """List what each name means: what was published under it, else the file of this host."""
    return ProfilesOut(items=[ProfileItem.of(one) for one in call.context.profiles.listed()])


@router.post("", status_code=201, responses={200: {"model": MeaningOut}, **problems(403, 409, 412, 413)})
def publish_profile(call: Call, *, body: ProfileToPublish, response: Response) -> MeaningOut:
    """Let a profile's name mean this text from the next case on; 200 where it means it already."""
    source = ProfileSource(text=body.text)
    done = call.context.profiles.publish(call.caller.name, source, note=body.note, replaces=body.replaces)
    if not done.is_changed:
        response.status_code = 200
    return MeaningOut.of(done)


@router.get("/schema", responses={**_SCHEMA_ANSWER, **problems(403)})
def get_profile_schema(call: Call) -> dict[str, Any]:
    """Show the JSON Schema of the language, for editors."""
    return dict(call.context.profiles.schema())


@router.post("/check", responses=problems(403, 409, 413))
def check_profile(call: Call, *, body: ProfileToCheck) -> CheckedOut:
    """Say what a text says and loosens, or all of its faults (422); nothing is kept."""
    shown = call.context.profiles.shown(ProfileSource(text=body.text))
    if shown.checked is None:
        raise ProfileError("\n".join(shown.faults))
    return CheckedOut.model_validate(shown.checked)


@router.post("/explain", responses=problems(403, 404, 409, 413))
def explain_profile(call: Call, *, body: ProfileToExplain) -> ExplainedOut:
    """Say what becomes of an attribute, or of all, and which line decides it."""
    if body.sources != 1:
        raise InvalidRequestError("Give one of text, name and revision.")
    found = call.context.profiles.explained(body.source, body.question)
    return ExplainedOut.model_validate({"items": found})


@router.post("/translate", responses=problems(403, 413))
def translate_profile(call: Call, *, body: ProfileToTranslate) -> TranslatedOut:
    """Translate a script or recipe of another program into a profile, with what became of each of its lines."""
    found = call.context.profiles.translated(body.text, name=body.name or "", allow_loosening=body.allow_loosening)
    return TranslatedOut.of(found)


@router.get("/revisions/{revision}", response_model=RevisionOut, responses={304: {}, **problems(403, 404)})
def get_profile_revision(call: Call, *, revision: Revision, if_none_match: IfNoneMatch = None) -> Response:
    """Show the text of a revision and what it says. It never changes; what is told of it may with the program."""
    body = RevisionOut.of(call.context.profiles.shown(ProfileSource(revision=revision))).model_dump_json()
    tag = tag_of(body)
    headers = {"ETag": tag, "Cache-Control": "private, max-age=86400"}
    if is_held(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get("/{name}", responses=problems(403, 404, 409))
def get_profile(call: Call, *, name: Name) -> ProfileOut:
    """Show what a name means, all that this says and loosens, and what was published under it."""
    return ProfileOut.of(call.context.profiles.named(name))


@router.post("/{name}/rollback", responses=problems(403, 404, 409, 412, 413))
def roll_back_profile(call: Call, *, name: Name, body: ProfileRollback | None = None) -> MeaningOut:
    """Let a name mean again what it meant before, from the next case on."""
    replaces = body.replaces if body is not None else None
    return MeaningOut.of(call.context.profiles.roll_back(call.caller.name, name, replaces=replaces))
