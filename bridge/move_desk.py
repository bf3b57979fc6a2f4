"""Asking for images to go to another draft, for the HTTP API."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.engine import EngineClient, EngineError
from cases.errands import Errand
from cases.errors import StoreUnavailableError
from cases.moves import NewMove
from cases.store import Audit, Database, Moves
from cases.store.errands import moves_of
from cases.users import User


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveDesk:
    """Implements ``api.ports.CaseMoves``."""

    database: Database
    client: EngineClient

    def request(self, viewer: User, new: NewMove, *, version: int | None = None) -> Errand:
        """Ask for images to go to another draft, or to a new one; see ``Moves.request``.

        Raises
        ------
        StoreUnavailableError
            When no worker ever ran here that could do it.
        """
        with self.database.write() as session:
            errand, plan = Moves(session).request(viewer, new, version=version)
            try:
                self.client.enqueue_study(session, errand.received_study, errand.generation, instances=len(plan.images))
            except EngineError as error:
                raise StoreUnavailableError(f"{error}; start one, then ask again") from None
            for case_id in (errand.case_id, errand.other_case_id):
                detail = {"from": errand.case_id, "to": errand.other_case_id, "images": len(plan.images)}
                Audit(session).append(viewer.name, "case.move-requested", f"case {case_id}", detail)
            return errand

    def list(self, case_id: str) -> Sequence[Errand]:
        """Return what was asked for about a case, the latest first."""
        with self.database.read() as session:
            return moves_of(session, case_id)
