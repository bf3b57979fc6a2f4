"""Asking for cases to be made anew, and deciding on what waits: for the command line and the HTTP API alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.engine import EngineClient, EngineError
from bridge.profile_texts import chosen_revision
from bridge.rerun import audit_rerun
from cases.errands import ARRIVALS, Errand, ErrandKind, ErrandState
from cases.errors import CaseError, CaseNotFoundError, StoreUnavailableError
from cases.profiles import ProfileRevision
from cases.reruns import RerunCandidate
from cases.store import Audit, Database, Errands, Profiles, Reruns
from config.settings import Settings
from deidentify.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunDesk:
    """Implements ``api.ports.Rerun``."""

    database: Database
    client: EngineClient
    settings: Settings

    def candidates(self, revision: str) -> tuple[RerunCandidate, ...]:
        """Return the cases that have a revision, with what a re-run of each would find.

        Raises
        ------
        ProfileNotKnownError
            When there is no such revision.
        """
        with self.database.read() as session:
            whole = Profiles(session).revision(revision).revision
            reruns = Reruns(session)
            return tuple(RerunCandidate(plan=reruns.plan(case_id)) for case_id in reruns.under(whole))

    def plan(self, case_id: str) -> RerunCandidate:
        """Return what a re-run of a case would find.

        Raises
        ------
        CaseNotFoundError
            When there is no such case.
        """
        with self.database.read() as session:
            return RerunCandidate(plan=Reruns(session).plan(case_id))

    def request(self, actor: str, case_id: str, profile: str) -> Errand:
        """Ask for a case to be made anew.

        Parameters
        ----------
        actor
            Who asks.
        case_id
            The case.
        profile
            ``NAME`` for what the name means now, or ``NAME@REVISION``.

        Raises
        ------
        ProfileNotKnownError
            When there is no such profile.
        InvalidChangeError
            When the revision is of another profile.
        CaseNotFoundError, CaseClosedError, OriginalsGoneError, RerunInProgressError
            See ``Reruns.request``.
        StoreUnavailableError
            When no worker ever ran here that could do it.
        """
        return self._request(actor, case_id, self._profile(profile))

    def request_all(self, actor: str, made_under: str, profile: str) -> tuple[RerunCandidate, ...]:
        """Ask for every case that has a revision; each tells what it got, or why it got nothing.

        Raises
        ------
        ProfileNotKnownError
            When there is no such revision or profile.
        """
        found = self.candidates(made_under)
        one = self._profile(profile)
        return tuple(self._asked(actor, candidate, one) for candidate in found)

    def list(self, *, case_id: str | None = None, state: ErrandState | None = None) -> Sequence[Errand]:
        """Return re-runs, the latest first."""
        with self.database.read() as session:
            return Errands(session).list(ErrandKind.RERUN, case_id=case_id, state=state)

    def get(self, errand_id: str) -> Errand:
        """Return a re-run.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        with self.database.read() as session:
            found = Errands(session).get(errand_id)
        if found.kind is not ErrandKind.RERUN:
            raise CaseNotFoundError("there is no such re-run")
        return found

    def decide(self, actor: str, errand_id: str, *, applies: bool) -> Errand:
        """Bring into its case what waits for an editor, or leave the case as it is.

        Raises
        ------
        CaseNotFoundError
            When there is no such re-run.
        InvalidTransitionError
            When it is not in review; one that is queued or runs can be left as well.
        StoreUnavailableError
            When images have to be looked at again, and no worker ever ran here that could do it.
        """
        with self.database.write() as session:
            reruns, audit = Reruns(session), Audit(session)
            if not applies:
                ended = reruns.discard(errand_id, actor=actor)
                audit_rerun(audit, ended, actor)
                return ended
            done = reruns.apply(errand_id, actor=actor)
            for errand in (done.errand, *done.given_up):
                audit_rerun(audit, errand, actor)
            if done.again is not None:
                self._look_again(session, done.again, actor)
            return done.errand

    def _look_again(self, session: Any, errand: Errand, actor: str) -> None:
        images = len(errand.asked[ARRIVALS])
        self._enqueue(session, errand, images)
        detail: dict[str, str | int | bool | None] = {"revision": errand.revision, "images": images}
        Audit(session).append(actor, "case.rerun-requested", f"case {errand.case_id}", detail)

    def _enqueue(self, session: Any, errand: Errand, instances: int) -> None:
        try:
            self.client.enqueue_study(session, errand.received_study, errand.generation, instances=instances)
        except EngineError as error:
            raise StoreUnavailableError(f"{error}; start one, then ask again") from None

    def _profile(self, chosen: str) -> ProfileRevision:
        with self.database.write() as session:
            return chosen_revision(Profiles(session), self.settings, chosen)

    def _asked(self, actor: str, candidate: RerunCandidate, one: ProfileRevision) -> RerunCandidate:
        try:
            return RerunCandidate(plan=candidate.plan, errand=self._request(actor, candidate.plan.case_id, one))
        except StoreUnavailableError:
            raise
        except CaseError as error:
            return RerunCandidate(plan=candidate.plan, refusal=str(error))

    def _request(self, actor: str, case_id: str, one: ProfileRevision) -> Errand:
        with self.database.write() as session:
            keeps_text = Profile.from_yaml(one.text).text != "remove"
            errand, plan, displaced = Reruns(session).request(case_id, one, actor=actor, keeps_text=keeps_text)
            self._enqueue(session, errand, len(plan.instances))
            detail: dict[str, str | int | bool | None] = {"revision": one.revision, "before": plan.revision}
            for given_up in displaced:
                audit_rerun(Audit(session), given_up, actor)
            Audit(session).append(actor, "case.rerun-requested", f"case {case_id}", detail)
            return errand
