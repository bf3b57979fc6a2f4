"""Files of a folder on their way through child processes: a few ahead, and a result for each of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from bridge.children import ATTEMPTS
from bridge.offline_progress import Step
from bridge.pool import ChildDiedError, Pool, TaskTimeoutError
from deidentify.results import Hold, HoldReason

__all__ = ["AHEAD", "FILE_TIMEOUT_S", "counted", "in_children"]

FILE_TIMEOUT_S = 1800.0
_KILLED = Hold(
    reason=HoldReason.PROCESS_DIED, detail="the process that worked on it was killed or took too long, twice"
)
AHEAD = 4
"""How many files are handed out beyond those that are worked on, so that memory does not grow with the folder."""

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")


def in_children(
    pool: Pool,
    workers: int,
    sources: Sequence[S],
    function: Callable[[T], R],
    argument: Callable[[S], T],
    *,
    on_progress: Callable[[S, Any], None] | None = None,
) -> Iterator[tuple[S, R | Hold]]:
    """Yield each source with its result as they come; whatever ends it ends the children.

    Parameters
    ----------
    pool
        Has the child processes.
    workers
        How many files are worked on at once.
    sources
        What there is to do.
    function
        Runs in a child process.
    argument
        Makes of a source what the function is given.
    on_progress
        Called with a source and what the function sends of its progress, in the thread of that source.
    """

    def run(source: S) -> R | Hold:
        def progress(message: Any) -> None:
            if on_progress is not None:
                on_progress(source, message)

        for _ in range(ATTEMPTS):
            with suppress(ChildDiedError, TaskTimeoutError, MemoryError):
                return pool.run(function, argument(source), timeout_s=FILE_TIMEOUT_S, on_progress=progress)
        return _KILLED

    waiting = iter(sources)
    with ThreadPoolExecutor(workers, thread_name_prefix="file") as executor:
        running: dict[Future[R | Hold], S] = {}
        try:
            while True:
                for source in islice(waiting, workers + AHEAD - len(running)):
                    running[executor.submit(run, source)] = source
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BaseException:
            pool.close()
            executor.shutdown(cancel_futures=True)
            raise


def counted(what: str, found: Iterable[T], total: int, step: Step) -> Iterator[T]:
    """Yield what is found and say after each how many are done."""
    step(what, 0, total)
    for done, one in enumerate(found, 1):
        yield one
        step(what, done, total)
