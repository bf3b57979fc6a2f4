"""The instances of one study in child processes, a few at once."""

import logging
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bridge.pool import ChildDiedError, Pool, TaskTimeoutError

log = logging.getLogger("casebridge.study")

ATTEMPTS = 2
"""How often an instance may cost the process that works on it its life before it is held."""


class _OfStudy(Protocol):
    @property
    def study_key(self) -> str: ...


K = TypeVar("K", bound=_OfStudy)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    """Hands tasks to the pool."""

    pool: Pool
    threads: int
    """Instances of one study in the pool at once."""
    timeout_s: float
    """How long one instance may take before its process is ended."""
    waits: bool = False
    """Whether whoever stops early waits for what runs: nothing is written behind its back then."""

    def each(self, tasks: Sequence[K], work: Callable[[K], T], killed: Callable[[K], T]) -> Generator[tuple[K, T]]:
        """Yield each task with its result as they come; stops handing out work at the first error of the machine.

        Parameters
        ----------
        tasks
            What is to be done.
        work
            Runs in a child process.
        killed
            Gives the result of a task that cost its process its life again and again.
        """

        def run(task: K) -> T:
            for _ in range(ATTEMPTS):
                try:
                    return self.pool.run(work, task, key=task.study_key, timeout_s=self.timeout_s)
                except (ChildDiedError, TaskTimeoutError, MemoryError) as error:
                    log.warning("a child process was lost", extra={"how": type(error).__name__})
            return killed(task)

        with ThreadPoolExecutor(self.threads, thread_name_prefix="study") as executor:
            futures = {executor.submit(run, task): task for task in tasks}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                executor.shutdown(wait=self.waits, cancel_futures=True)
