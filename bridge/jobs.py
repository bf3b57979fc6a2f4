"""What the job engine runs: a generation of arrivals, or an errand on the originals of a study."""

from dataclasses import dataclass

from bridge.rerun import RerunRunner
from bridge.study import StudyRunner
from cases.errands import Errand
from cases.store import Database, Errands


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """Hands each generation to whom it belongs."""

    database: Database
    studies: StudyRunner
    reruns: RerunRunner

    def run(self, study_key: str, generation: int) -> None:
        """Run a generation of a study; see ``StudyRunner.run`` and ``RerunRunner.run``."""
        errand = self._errand(study_key, generation)
        if errand is None:
            self.studies.run(study_key, generation)
        else:
            self.reruns.run(errand)

    def give_up(self, study_key: str, generation: int, reason: str) -> None:
        """End a generation that failed again and again."""
        errand = self._errand(study_key, generation)
        if errand is None:
            self.studies.give_up(study_key, generation, reason)
        else:
            self.reruns.give_up(errand, reason)

    def _errand(self, study_key: str, generation: int) -> Errand | None:
        with self.database.read() as session:
            return Errands(session).of_generation(study_key, generation)
