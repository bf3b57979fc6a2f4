"""Entity tags: which version of a case or playlist, or which picture, a caller holds."""

import hashlib
import re

from api.errors import PreconditionFailedError

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_VERSION = re.compile(r"(\d{1,9})-[0-9a-f]{16}")


def tag_of(body: bytes | str, *, version: int | None = None) -> str:
    """
    Return the tag of an answer.

    A case's tag begins with its version, which edits raise; the digest behind it changes whenever the answer does, also
    when images arrive.
    """
    digest = hashlib.sha256(body.encode() if isinstance(body, str) else body).hexdigest()[:16]
    return f'"{digest}"' if version is None else f'"{version}-{digest}"'


def is_held(if_none_match: str | None, tag: str) -> bool:
    """Return whether the caller holds this very answer (RFC 9110 §13.1.2, weak comparison)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.strip('"') in _TAG.findall(if_none_match)


def expected_version(if_match: str | None) -> int | None:
    """
    Return the version that an edit builds on, None where the caller does not mind.

    Only the version counts: images that arrived since do not make an edit of texts fail. Of several tags the newest
    decides, because versions only rise.

    Raises
    ------
    PreconditionFailedError
        When no tag is one of those that begin with a version.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    versions = [int(found[1]) for tag in _TAG.findall(if_match) if (found := _VERSION.fullmatch(tag))]
    if not versions:
        raise PreconditionFailedError("If-Match holds no tag that edits go by: read again, and send that ETag.")
    return max(versions)
