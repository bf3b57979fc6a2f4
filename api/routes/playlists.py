"""Playlists: cases in an order that somebody chose, to be read or to be guessed."""

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.authorization import permit, relation_to
from api.context import AuthorizedCall, Call
from api.etags import expected_version, is_held, tag_of
from api.openapi import problems
from api.paging import Cursor, Limit
from api.schemas.common import Key, Listed
from api.schemas.playlists import NewPlaylist, PlaylistEdit, PlaylistEntries, PlaylistItem, PlaylistOut
from cases.errors import IdentifyingTextError
from cases.model import Visibility
from cases.playlists import Playlist, PlaylistChanges, PlaylistScope
from cases.store import Audit, Collector, Playlists

router = APIRouter(prefix="/api/v1/playlists", tags=["playlists"])

Scope = Annotated[PlaylistScope, Query(description="`visible`: your own and public ones.")]
AsQuiz = Annotated[bool, Query(description="Whether you are shown your own quiz as others are.")]
IfMatch = Annotated[str | None, Header(description="The ETag of the playlist that the edit builds on.", max_length=512)]
IfNoneMatch = Annotated[str | None, Header(description="The ETag that the caller holds.", max_length=512)]


@router.get("", responses=problems(403))
def list_playlists(
    call: Call, *, limit: Limit = 50, cursor: Cursor = None, scope: Scope = PlaylistScope.VISIBLE
) -> Listed[PlaylistItem]:
    """List the caller's playlists and public ones, the newest first."""
    with call.database.read() as session:
        page = Playlists(session).list(call.caller, scope=scope, cursor=cursor, limit=limit)
    return Listed(items=[PlaylistItem.of(one) for one in page.items], next=page.next_cursor)


@router.post("", status_code=201, response_model=PlaylistOut, responses=problems(403, 413))
def create_playlist(call: Call, *, body: NewPlaylist) -> Response:
    """Make a playlist, unlisted where the body does not say otherwise."""
    changes = body.changes()
    try:
        with call.database.write() as session:
            playlist = Playlists(session).make(call.caller, changes, call.context.text_screen)
            Audit(session).append(call.caller.name, "playlist.create", playlist.summary.id, _detail(playlist))
    except IdentifyingTextError as error:
        _note_refusal(call, "playlists", error)
        raise
    return _answer(call, playlist, status=201)


@router.get("/{playlist_id}", response_model=PlaylistOut, responses={304: {}, **problems(403, 404)})
def get_playlist(call: Call, *, playlist_id: Key, quiz: AsQuiz = False, if_none_match: IfNoneMatch = None) -> Response:
    """Show a playlist with those of its cases that the caller may see.

    In a quiz, others than its owner are shown no title, note or findings.
    """
    with call.database.read() as session:
        playlist = Playlists(session).get(call.caller, playlist_id)
    _permit(call, playlist)
    return _answer(call, playlist, if_none_match, is_asked=quiz)


@router.patch("/{playlist_id}", response_model=PlaylistOut, responses=problems(403, 404, 409, 412, 413))
def edit_playlist(call: Call, *, playlist_id: Key, body: PlaylistEdit, if_match: IfMatch = None) -> Response:
    """Change title, description, visibility or quiz mode; what is not named stays."""
    return _edit(call, playlist_id, body.changes(), if_match)


@router.put("/{playlist_id}/entries", response_model=PlaylistOut, responses=problems(403, 404, 412, 413))
def set_playlist_entries(call: Call, *, playlist_id: Key, body: PlaylistEntries, if_match: IfMatch = None) -> Response:
    """Replace the cases of a playlist, or bring them into another order: the body is the whole list."""
    return _edit(call, playlist_id, body.changes(), if_match)


@router.delete("/{playlist_id}", status_code=204, responses=problems(403, 404))
def delete_playlist(call: Call, *, playlist_id: Key) -> Response:
    """Delete a playlist; its cases stay."""
    with call.database.write() as session:
        playlists = Playlists(session)
        _permit(call, playlists.get(call.caller, playlist_id))
        playlists.delete(call.caller, playlist_id)
        Audit(session).append(call.caller.name, "playlist.delete", playlist_id)
    return Response(status_code=204)


def _permit(call: AuthorizedCall, playlist: Playlist) -> None:
    is_public = playlist.summary.visibility is Visibility.PUBLIC
    permit(call.operation, call.caller, relation_to(call.caller, playlist.summary.owner, is_public=is_public))


def _edit(call: AuthorizedCall, playlist_id: str, changes: PlaylistChanges, if_match: str | None) -> Response:
    expected = expected_version(if_match)
    try:
        with call.database.write() as session:
            playlists = Playlists(session)
            _permit(call, playlists.get(call.caller, playlist_id))
            playlist = playlists.edit(call.caller, playlist_id, changes, expected, call.context.text_screen)
            Audit(session).append(call.caller.name, "playlist.edit", playlist_id, _detail(playlist))
    except IdentifyingTextError as error:
        _note_refusal(call, playlist_id, error)
        raise
    return _answer(call, playlist)


def _detail(playlist: Playlist) -> dict[str, str | int | bool | None]:
    summary = playlist.summary
    return {"version": summary.version, "visibility": summary.visibility.value, "entries": summary.entries}


def _note_refusal(call: AuthorizedCall, subject: str, error: IdentifyingTextError) -> None:
    """Keep that a text was refused: whoever tries names until one is refused has to be seen."""
    reasons = Counter(found.finding.reason.value for found in error.findings)
    with call.database.write() as session:
        Audit(session).append(call.caller.name, "playlist.edit-refused", subject, dict(reasons))


def _answer(
    call: AuthorizedCall,
    playlist: Playlist,
    if_none_match: str | None = None,
    *,
    is_asked: bool = False,
    status: int = 200,
) -> Response:
    with call.database.read() as session:
        collectors = Collector(session).of_owners(entry.case for entry in playlist.entries)
    is_own = playlist.summary.owner == call.caller.name
    hides_answers = is_asked or (playlist.summary.is_quiz and not is_own)
    body = PlaylistOut.of_playlist(playlist, collectors, hides_answers=hides_answers).model_dump_json()
    tag = tag_of(body, version=playlist.summary.version)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_held(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, status_code=status, media_type="application/json", headers=headers)
