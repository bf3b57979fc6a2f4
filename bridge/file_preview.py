"""The preview of a file that was handed in: in a child process of its own, and nothing of it is kept."""

import threading
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.pool import ChildDiedError, Pool, TaskTimeoutError
from bridge.preview_desk import ACTION, PreviewDesk, named_revision
from cases.store import Audit

if TYPE_CHECKING:
    from bridge.preview import FilePreview
    from cases.profiles import ProfileRevision

TIMEOUT_S = 300.0
MOST_PICTURES = 8
"""Pictures in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previews(PreviewDesk):
    """Implements ``api.ports.ProfilePreview``."""

    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    """A file and what is made of it lie in memory: whoever comes second waits."""

    def identified_file(
        self, actor: str, identified: bytes, profile: str, *, has_pixels: bool, has_pictures: bool
    ) -> dict[str, Any]:
        """Return what becomes of a file; who looked is in the audit log before it is read.

        Raises
        ------
        ProfileNotKnownError, InvalidRequestError
            See ``named_revision``.
        """
        one = named_revision(self.database, self.settings, profile)
        detail: dict[str, str | int | bool | None] = {"revision": one.revision, "count": 1}
        with self.database.write() as session:
            Audit(session).append(actor, ACTION, "a file that was handed in", detail)
        found = self._looked_at(identified, one, has_pixels=has_pixels, most_pictures=MOST_PICTURES * has_pictures)
        pictures = [b64encode(picture).decode() for picture in found.identified_pictures]
        return {**found.values(), "png": pictures}

    def _looked_at(
        self, identified: bytes, one: "ProfileRevision", *, has_pixels: bool, most_pictures: int
    ) -> "FilePreview":
        # What reads images takes a second to load, and is not needed to start.
        from bridge.look_child import LOST, FileLook, preview_file, start_file_child  # noqa: PLC0415

        look = FileLook(
            identified=identified, profile_text=one.text, has_pixels=has_pixels, most_pictures=most_pictures
        )
        start = (self.settings.log_level,)
        with self._one_at_a_time, Pool(1, initializer=start_file_child, initargs=start, timeout_s=TIMEOUT_S) as pool:
            try:
                return pool.run(preview_file, look)
            except (ChildDiedError, TaskTimeoutError, MemoryError):
                return LOST
