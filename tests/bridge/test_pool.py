import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.pool import (
    ChildDiedError,
    Pool,
    PoolClosedError,
    PoolStartError,
    TaskFailedError,
    TaskTimeoutError,
    send_progress,
)
from tests.bridge import engine_pool_tasks as tasks

ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2, initializer=tasks.initialize, initargs=("hello",)) as pool:
        yield pool


@pytest.fixture
def single() -> Iterator[Pool]:
    with Pool(1) as pool:
        yield pool


def test_a_result_comes_back_from_another_process(pool: Pool) -> None:
    assert pool.run(tasks.add, 2, 3) == 5
    assert pool.run(tasks.pid) != os.getpid()


def test_the_initializer_runs_before_the_first_task(pool: Pool) -> None:
    pool.wait_until_ready()
    assert pool.run(tasks.greet, "you") == "hello you"


def test_progress_reaches_the_caller_in_order(pool: Pool) -> None:
    seen: list[int] = []
    assert pool.run(tasks.count, 200, on_progress=seen.append) == 200
    assert seen == list(range(200))


def test_progress_outside_a_child_goes_nowhere() -> None:
    send_progress("nobody listens")


def test_a_broken_progress_callback_does_not_mix_up_later_results(single: Pool) -> None:
    def fail(_message: object) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        single.run(tasks.count, 5, on_progress=fail)
    assert single.run(tasks.add, 1, 1) == 2


def test_an_exception_keeps_its_type_and_tells_its_place(pool: Pool) -> None:
    with pytest.raises(tasks.PlainError, match="as it is") as caught:
        pool.run(tasks.raise_plain)
    assert "engine_pool_tasks.py" in caught.value.place_in_child  # type: ignore[attr-defined]
    assert pool.run(tasks.add, 1, 1) == 2


def test_an_exception_that_cannot_be_pickled_is_summed_up_without_its_text(pool: Pool) -> None:
    with pytest.raises(TaskFailedError, match=r"OddError at engine_pool_tasks.py:") as caught:
        pool.run(tasks.raise_odd)
    assert "CANARY" not in str(caught.value)


def test_a_result_that_cannot_be_pickled_fails_the_task_only(single: Pool) -> None:
    with pytest.raises((TaskFailedError, AttributeError)):
        single.run(tasks.return_unpicklable)
    assert single.run(tasks.add, 1, 1) == 2


def test_arguments_that_cannot_be_pickled_cost_no_child(single: Pool) -> None:
    before = single.run(tasks.pid)
    with pytest.raises(Exception, match=r"(?i)pickle"):
        single.run(tasks.add, lambda: None, 1)
    assert single.run(tasks.pid) == before


def test_a_killed_child_fails_its_task_only_and_is_replaced(pool: Pool, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        other = threads.submit(pool.run, tasks.wait_for, str(tmp_path / "go"), str(tmp_path / "other"))
        until((tmp_path / "other").exists, "the other task to run")
        with pytest.raises(ChildDiedError, match="signal 9"):
            pool.run(tasks.die)
        (tmp_path / "go").touch()
        assert other.result() == str(tmp_path / "go")
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda n: pool.run(tasks.add, n, n), range(6))) == [0, 2, 4, 6, 8, 10]


def test_a_busy_child_killed_from_outside_is_reported_at_once(single: Pool, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(single.run, tasks.burn_for_ever, str(tmp_path / "pid"))
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", "the task to run")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        with pytest.raises(ChildDiedError, match="signal 9"):
            running.result(timeout=10)
    assert single.run(tasks.add, 1, 1) == 2


def test_a_child_that_leaves_by_itself_tells_its_exit_code(single: Pool) -> None:
    with pytest.raises(ChildDiedError, match="exit code 7"):
        single.run(tasks.leave, 7)


def test_a_child_killed_while_idle_fails_nobody(single: Pool) -> None:
    idle = single.run(tasks.pid)
    os.kill(idle, signal.SIGKILL)
    until(lambda: not is_alive(idle), "the child to die")
    assert single.run(tasks.pid) != idle


def test_a_task_over_its_limit_is_killed_and_its_child_replaced(single: Pool, tmp_path: Path) -> None:
    single.wait_until_ready()
    with pytest.raises(TaskTimeoutError):
        single.run(tasks.burn_for_ever, str(tmp_path / "pid"), timeout_s=0.5)
    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert single.run(tasks.add, 1, 1) == 2


def test_the_limit_does_not_count_the_start_of_a_child() -> None:
    with Pool(1, timeout_s=5.0, initializer=time.sleep, initargs=(0.5,)) as pool:
        assert pool.run(tasks.add, 1, 1, timeout_s=0.3) == 2


def test_a_broken_initializer_is_seen_before_work_arrives() -> None:
    with Pool(1, initializer=tasks.initialize_badly) as pool:
        with pytest.raises(PoolStartError, match=r"ValueError at engine_pool_tasks.py") as caught:
            pool.wait_until_ready()
        assert "CANARY" not in str(caught.value)
        with pytest.raises(PoolStartError):
            pool.run(tasks.add, 1, 1)


def test_a_long_study_does_not_starve_a_short_one(single: Pool, tmp_path: Path) -> None:
    order: list[str] = []

    def run(key: str) -> None:
        single.run(tasks.add, 1, 1, key=key)
        order.append(key)

    with ThreadPoolExecutor(12) as threads:
        blocker = threads.submit(single.run, tasks.wait_for, str(tmp_path / "go"), str(tmp_path / "on"), key="first")
        until((tmp_path / "on").exists, "the child to be busy")
        for _ in range(8):
            threads.submit(run, "long")
        until(lambda: sum(map(len, single._waiting.values())) == 8, "the long study to wait")
        threads.submit(run, "short")
        until(lambda: "short" in single._waiting, "the short study to wait")
        (tmp_path / "go").touch()
        blocker.result()
    assert "short" in order[:3], order
    assert len(order) == 9


def test_closing_wakes_callers_and_leaves_no_process(tmp_path: Path) -> None:
    pool = Pool(1)
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(pool.run, tasks.burn_for_ever, str(tmp_path / "pid"))
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", "the task to run")
        waiting = threads.submit(pool.run, tasks.add, 1, 1)
        until(lambda: bool(pool._waiting), "the second task to wait")
        pool.close()
        for future in (running, waiting):
            with pytest.raises(PoolClosedError):
                future.result(timeout=10)
    until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the child to be gone")
    pool.close()
    with pytest.raises(PoolClosedError):
        pool.run(tasks.add, 1, 1)
    assert not [thread for thread in threading.enumerate() if thread.name == "pool-nursery"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_die_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", f"from tests.bridge.engine_pool_tasks import parent; parent({str(tmp_path)!r})"],
        cwd=ROOT,
    )
    try:
        until((tmp_path / "children").exists, "the parent to have busy and idle children")
        children = [int(pid) for pid in (tmp_path / "children").read_text().split()]
        assert len(children) == 2
        assert all(is_alive(pid) for pid in children)
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not any(is_alive(pid) for pid in children), "the children to die", seconds=5)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_ignore_the_signals_that_stop_the_whole_group(single: Pool) -> None:
    child = single.run(tasks.pid)
    os.kill(child, signal.SIGTERM)
    os.kill(child, signal.SIGINT)
    assert single.run(tasks.pid) == child
