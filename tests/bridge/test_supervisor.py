"""The supervisor with small children of its own instead of the bridge's."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.integration.running import eventually

PROGRAM = """
import sys
from pathlib import Path
import bridge.supervisor as supervisor

folder = Path(sys.argv[1])
# The children are this test's own program, not the bridge's command line.
popen = supervisor.subprocess.Popen
def start(arguments, **kwargs):
    return popen([sys.executable, str(folder / "child.py"), str(folder), *arguments[3:]], **kwargs)
supervisor.subprocess.Popen = start
supervisor.RESTART_S = (0.05,)
supervisor.STOP_S = 2.0
sys.exit(supervisor.Supervisor(
    [("one", ["one"]), ("two", ["two"])],
    later=[("three", ["three"])],
    on_ready=lambda said: ((folder / "before").write_text(str(len(list(folder.glob("three.*"))))),
                           (folder / "ready").write_text(said.get("two", ""))),
).run())
"""

CHILD = """
import os, signal, sys, threading
from pathlib import Path
folder, name, ready, life = Path(sys.argv[1]), sys.argv[2], int(sys.argv[4]), int(sys.argv[6])
threading.Thread(target=lambda: (os.read(life, 1), os._exit(1)), daemon=True).start()
if (folder / "stubborn").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(folder / f"{name}.{os.getpid()}").touch()
if (folder / "faulty").exists():
    sys.exit(2)
os.write(ready, b"ready " + (b"a word" if name == "two" else b""))
signal.pause()
while True:
    signal.pause()
"""


@pytest.fixture
def supervised(tmp_path):
    (tmp_path / "child.py").write_text(textwrap.dedent(CHILD))
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "program.py"), str(tmp_path)], cwd=Path(__file__).parents[2]
        )
        started.append(process)
        if (tmp_path / "faulty").exists():
            return process
        eventually((tmp_path / "ready").exists, within_s=20, what="both children are ready")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def pids(folder, name):
    return {int(path.suffix[1:]) for path in folder.glob(f"{name}.[0-9]*")}


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_child_that_dies_is_started_again(supervised, tmp_path):
    supervised()
    (first,) = pids(tmp_path, "one")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(pids(tmp_path, "one")) == 2, within_s=10, what="a second child")
    assert len(pids(tmp_path, "two")) == 1


def test_a_term_signal_ends_all_children_with_status_0(supervised, tmp_path):
    process = supervised()
    children = pids(tmp_path, "one") | pids(tmp_path, "two")
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert not any(is_alive(pid) for pid in children)


def test_a_child_that_does_not_listen_is_killed(supervised, tmp_path):
    (tmp_path / "stubborn").touch()
    process = supervised()
    begun = time.monotonic()
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - begun < 15
    assert not any(is_alive(pid) for pid in pids(tmp_path, "one"))


def test_children_end_when_the_supervisor_is_killed(supervised, tmp_path):
    process = supervised()
    children = pids(tmp_path, "one") | pids(tmp_path, "two")
    process.kill()
    process.wait()
    eventually(lambda: not any(is_alive(pid) for pid in children), within_s=10, what="the children are gone")


def test_a_later_child_starts_after_the_announcement_which_tells_what_the_others_said(supervised, tmp_path):
    supervised()
    assert (tmp_path / "before").read_text() == "0"
    assert (tmp_path / "ready").read_text() == "a word"
    eventually(lambda: pids(tmp_path, "three"), within_s=5, what="the later child")


def test_a_child_that_complains_of_its_settings_at_the_start_ends_all(supervised, tmp_path):
    (tmp_path / "faulty").touch()
    process = supervised()
    assert process.wait(timeout=20) == 2
    assert not (tmp_path / "ready").exists()
