"""What another revision would change over the studies that arrived last, for the HTTP API."""

from dataclasses import dataclass

from bridge.engine import EngineClient, EngineError
from bridge.preview_desk import named_revision
from cases.errors import StoreUnavailableError
from cases.looks import RevisionImpact
from cases.store import Audit, Database, Looks
from config.settings import Settings

ACTION = "profile.impact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactDesk:
    """Implements ``api.ports.ProfileImpact``."""

    database: Database
    client: EngineClient
    settings: Settings

    def request(self, actor: str, first: str, second: str, *, last: int, most: int) -> RevisionImpact:
        """Ask what the second profile would change; workers compare study by study.

        Raises
        ------
        OriginalsGoneError
            When no original of any study is there.
        ProfileNotKnownError, InvalidRequestError
            See ``named_revision``.
        StoreUnavailableError
            When no worker ever ran here that could do it.
        """
        one, other = (named_revision(self.database, self.settings, text) for text in (first, second))
        with self.database.write() as session:
            looks = Looks(session)
            shown = looks.studies(
                retention_days=self.settings.retention_days, hold_retention_days=self.settings.hold_retention_days
            )
            studies = list(dict.fromkeys(study.study_key for study in shown))[:last]
            errands = looks.request_impact(one, other, studies, most=most, actor=actor)
            count = 0
            for errand in errands:
                instances = len(errand.asked["arrivals"])
                count += instances
                try:
                    self.client.enqueue_study(session, errand.received_study, errand.generation, instances=instances)
                except EngineError as error:
                    raise StoreUnavailableError(f"{error}; start one, then ask again") from None
            detail: dict[str, str | int | bool | None] = {"studies": len(errands), "count": count}
            Audit(session).append(actor, ACTION, f"{one.revision} {other.revision}", detail)
            return looks.impact(errands[0].group_id)

    def get(self, impact_id: str) -> RevisionImpact:
        """Return what was counted so far.

        Raises
        ------
        CaseNotFoundError
            When there is no such impact.
        """
        with self.database.read() as session:
            return Looks(session).impact(impact_id)
