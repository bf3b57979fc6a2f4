"""Previews of retained studies for the HTTP API: asked for, and read from beside the originals.

Who looked is in the audit log before anything that identifies is read.
"""

import json
import logging
from dataclasses import dataclass
from typing import Any

from api.errors import GoneError, InvalidRequestError, PartNotFoundError
from bridge.engine import EngineClient, EngineError
from bridge.preview_names import picture_suffix, preview_suffix
from bridge.profile_texts import chosen_revision
from cases.errors import StoreUnavailableError
from cases.intake import ReceivedInstance
from cases.looks import GONE, PreviewedInstance, StudyPreview
from cases.profiles import ProfileRevision
from cases.store import Audit, Database, Looks, Profiles
from config.errors import ConfigError
from config.settings import Settings
from deidentify.errors import ProfileError
from scp.errors import SealBrokenError, SpoolKeyMissingError
from scp.spool import Spool

log = logging.getLogger("casebridge.looks")

ACTION = "profile.preview"
_GONE = "The original is gone, and its preview with it."


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewDesk:
    """Previews of studies; implements the part of ``api.ports.ProfilePreview`` that is about them."""

    database: Database
    spool: Spool
    client: EngineClient
    settings: Settings

    def request(self, actor: str, study: str, profile: str, *, most: int, has_pixels: bool) -> StudyPreview:
        """Ask for a preview; a worker does it.

        Raises
        ------
        CaseNotFoundError, OriginalsGoneError
            See ``Looks.request_preview``.
        ProfileNotKnownError, InvalidRequestError
            See ``named_revision``.
        StoreUnavailableError
            When no worker ever ran here that could do it.
        """
        one = named_revision(self.database, self.settings, profile)
        with self.database.write() as session:
            errand = Looks(session).request_preview(study, one, most=most, has_pixels=has_pixels, actor=actor)
            found = StudyPreview.of(errand)
            count = len(found.instances)
            try:
                self.client.enqueue_study(session, errand.received_study, errand.generation, instances=count)
            except EngineError as error:
                raise StoreUnavailableError(f"{error}; start one, then ask again") from None
            detail: dict[str, str | int | bool | None] = {"revision": one.revision, "count": count}
            Audit(session).append(actor, ACTION, f"study {errand.study_key}", detail)
        return found

    def get(self, preview_id: str) -> StudyPreview:
        """Return how far a preview is, in counts.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        with self.database.read() as session:
            return Looks(session).preview(preview_id)

    def identified_instance(self, actor: str, preview_id: str, number: int) -> dict[str, Any]:
        """Return the whole preview of one instance, from beside its original.

        Raises
        ------
        CaseNotFoundError, PartNotFoundError
            When there is no such preview or instance, or it was not looked at yet.
        GoneError
            When its original is gone.
        StoreUnavailableError
            When the spool cannot be read now.
        """
        preview, one = self._looked(preview_id, number)
        content = self._read(actor, preview, one, preview_suffix(preview.errand.revision))
        found: dict[str, Any] = json.loads(content)[0]
        return found

    def identified_picture(self, actor: str, preview_id: str, number: int, picture: int) -> bytes:
        """Return a picture of one instance as PNG; see ``identified_instance``."""
        preview, one = self._looked(preview_id, number)
        if picture > one.looked.pictures and one.looked.outcome != GONE:
            raise PartNotFoundError("This instance has no such picture.")
        return self._read(actor, preview, one, picture_suffix(preview.errand.revision, picture), picture=picture)

    def _looked(self, preview_id: str, number: int) -> tuple[StudyPreview, PreviewedInstance]:
        preview = self.get(preview_id)
        one = next((one for one in preview.instances if one.number == number), None)
        if one is None:
            raise PartNotFoundError("This preview has no such instance.")
        if not one.looked.outcome:
            raise PartNotFoundError("This instance was not looked at yet.")
        return preview, one

    def _read(self, actor: str, preview: StudyPreview, one: PreviewedInstance, suffix: str, **of: int) -> bytes:
        with self.database.write() as session:
            original = Looks(session).original_of(one)
            detail: dict[str, str | int | bool | None] = {"revision": preview.errand.revision}
            detail |= {"instance": one.number, "arrival": one.arrival_id, **of}
            Audit(session).append(actor, ACTION, f"study {original.study_key}", detail)
        content = self._beside(original, suffix)
        if content is not None:
            return content
        if one.looked.outcome == GONE or original.is_purged or not self._has_file(original):
            raise GoneError(_GONE)
        raise PartNotFoundError("What was kept of this instance is not there; ask for the preview again.")

    def _beside(self, original: ReceivedInstance, suffix: str) -> bytes | None:
        if not self.spool.is_there():
            raise StoreUnavailableError("the spool is not there")
        try:
            return self.spool.read_beside(original.study_key, original.sop_key, original.arrival_id, suffix)
        except SpoolKeyMissingError as error:
            raise StoreUnavailableError(error.comment) from None
        except SealBrokenError:
            log.exception("what was kept of a preview is not what was written")
            return None
        except OSError as error:
            raise StoreUnavailableError(f"the spool cannot be read ({type(error).__name__})") from None

    def _has_file(self, original: ReceivedInstance) -> bool:
        return self.spool.path(original.study_key, original.sop_key, original.arrival_id).exists()


def named_revision(database: Database, settings: Settings, text: str) -> ProfileRevision:
    """Return the revision that ``NAME`` means now, or that ``NAME@REVISION`` names.

    Raises
    ------
    ProfileNotKnownError
        When there is none.
    InvalidRequestError
        When its file is wrong.
    """
    with database.write() as session:
        try:
            return chosen_revision(Profiles(session), settings, text)
        except (ConfigError, ProfileError):
            raise InvalidRequestError(
                "The file of this profile is wrong: casebridge profile check names every fault."
            ) from None
