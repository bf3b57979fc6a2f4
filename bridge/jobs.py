"""What the job engine runs: a generation of arrivals, or an errand on the originals of a study."""

from dataclasses import dataclass

from bridge.looks import LookRunner
from bridge.moves import MoveRunner
from bridge.rerun import RerunRunner
from bridge.study import StudyRunner
from cases.errands import Errand, ErrandKind
from cases.store import Database, Errands


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """Hands each generation to whom it belongs."""

    database: Database
    studies: StudyRunner
    reruns: RerunRunner
    looks: LookRunner
    moves: MoveRunner

    def run(self, study_key: str, generation: int) -> None:
        """Run a generation of a study; see ``run`` of each runner."""
        errand = self._errand(study_key, generation)
        if errand is None:
            self.studies.run(study_key, generation)
        else:
            self._runner(errand).run(errand)

    def give_up(self, study_key: str, generation: int, reason: str) -> None:
        """End a generation that failed again and again."""
        errand = self._errand(study_key, generation)
        if errand is None:
            self.studies.give_up(study_key, generation, reason)
        else:
            self._runner(errand).give_up(errand, reason)

    def _runner(self, errand: Errand) -> RerunRunner | LookRunner | MoveRunner:
        match errand.kind:
            case ErrandKind.RERUN:
                return self.reruns
            case ErrandKind.PREVIEW | ErrandKind.IMPACT:
                return self.looks
            case ErrandKind.MOVE:
                return self.moves

    def _errand(self, study_key: str, generation: int) -> Errand | None:
        with self.database.read() as session:
            return Errands(session).of_generation(study_key, generation)
