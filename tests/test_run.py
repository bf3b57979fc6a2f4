"""What ``./run`` and ``./check`` do where something is missing, and where nothing is left to set up."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tools import CHECKOUT

SMALL_TOOLS = ("sh", "dirname", "cat", "cksum", "tr", "rm", "mv", "sed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the scripts and the lock files, and nothing else."""
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    for name in (
        "run",
        "check",
        "tools/environment.sh",
        "requirements.lock",
        "requirements-dev.lock",
        "pyproject.toml",
    ):
        shutil.copy(CHECKOUT / name, root / name)
    return root


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with the smallest set of programs: no Python, no uv."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in SMALL_TOOLS:
        program = shutil.which(name)
        assert program
        (folder / name).symlink_to(program)
    return folder


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def start(script: Path, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path), "HOME": str(path)}
    return subprocess.run([script, *arguments], env=environment, capture_output=True, text=True, check=False)


def make_ready(checkout: Path, bare_path: Path, kind: str) -> None:
    """Put an environment there as the scripts leave one behind."""
    write_program(checkout / ".venv/bin/casebridge", '#!/bin/sh\necho "started: $*"\n')
    ask = f"root={checkout}; . {checkout}/tools/environment.sh; environment_mark {kind}"
    mark = subprocess.run(["sh", "-c", ask], env={"PATH": str(bare_path)}, capture_output=True, text=True, check=True)
    (checkout / ".venv/.casebridge-environment").write_text(mark.stdout)


@pytest.mark.parametrize("script", ["run", "check"])
def test_a_missing_python_is_said_in_one_line(checkout: Path, bare_path: Path, script: str) -> None:
    result = start(checkout / script, bare_path)
    assert result.returncode == 1
    complaint = [line for line in result.stderr.splitlines() if "cannot set up" in line]
    assert len(complaint) == 1
    assert complaint[0] == result.stderr.splitlines()[-1]
    assert "no Python from 3.11 to 3.14 was found; install one, or install uv" in complaint[0]


def test_a_python_without_venv_is_said_in_one_line(checkout: Path, bare_path: Path) -> None:
    # As Debian ships it: the interpreter starts, the modules for virtual environments are a package of their own.
    write_program(bare_path / "python3", "#!/bin/sh\ncase $2 in *ensurepip*) exit 1 ;; esac\nexit 0\n")
    result = start(checkout / "run", bare_path)
    assert result.returncode == 1
    assert "apt install python3-venv" in result.stderr.splitlines()[-1]


def test_a_shim_that_does_not_start_is_passed_over(checkout: Path, bare_path: Path) -> None:
    write_program(bare_path / "python3.13", "#!/bin/sh\nexit 127\n")
    write_program(bare_path / "uv", "#!/bin/sh\nexit 127\n")
    result = start(checkout / "run", bare_path)
    assert "no Python from 3.11" in result.stderr


def test_a_second_start_sets_nothing_up(checkout: Path, bare_path: Path) -> None:
    make_ready(checkout, bare_path, "run")
    result = start(checkout / "run", bare_path, "--open")
    assert (result.returncode, result.stdout, result.stderr) == (0, "started: serve --open\n", "")


def test_a_development_environment_is_good_enough_to_run(checkout: Path, bare_path: Path) -> None:
    make_ready(checkout, bare_path, "dev")
    assert start(checkout / "run", bare_path).stdout == "started: serve\n"


def test_a_changed_lock_file_is_installed_again(checkout: Path, bare_path: Path) -> None:
    make_ready(checkout, bare_path, "run")
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    result = start(checkout / "run", bare_path)
    assert "setting up .venv from requirements.lock" in result.stderr
    assert not (checkout / ".venv/.casebridge-environment").exists()


@pytest.mark.parametrize(
    ("stamp", "wanted"),
    [
        ("kept", ["pip sync", "pip install"]),
        ("interrupted", ["venv --clear", "pip sync", "pip install"]),
        ("moved", ["venv --clear", "pip sync", "pip install"]),
    ],
)
def test_uv_brings_a_finished_environment_up_to_date_and_begins_any_other_afresh(
    checkout: Path, bare_path: Path, stamp: str, wanted: list[str]
) -> None:
    make_ready(checkout, bare_path, "run")
    write_program(checkout / ".venv/bin/python", "#!/bin/sh\nexit 0\n")
    text = {"kept": f"run 0-0 {checkout}\n", "interrupted": "", "moved": "run 0-0 /elsewhere\n"}[stamp]
    (checkout / ".venv/.casebridge-environment").write_text(text)
    calls = bare_path / "calls"
    write_program(bare_path / "uv", f'#!/bin/sh\necho "$*" >>{calls}\n')
    write_program(bare_path / "python3.12", "#!/bin/sh\nexit 0\n")
    result = start(checkout / "run", bare_path)
    assert result.stdout == "started: serve\n"
    made = calls.read_text().replace("-q ", "").splitlines()
    assert [" ".join(call.split()[:2]) for call in made] == ["--version", *wanted]
    assert any("--require-hashes" in call and "requirements.lock" in call for call in made)


def test_an_environment_of_another_place_is_made_again(checkout: Path, bare_path: Path, tmp_path: Path) -> None:
    make_ready(checkout, bare_path, "run")
    moved = checkout.rename(tmp_path / "moved")
    assert "setting up" in start(moved / "run", bare_path).stderr


def test_an_interrupted_set_up_is_done_again(checkout: Path, bare_path: Path) -> None:
    make_ready(checkout, bare_path, "run")
    (checkout / ".venv/.casebridge-environment").unlink()
    assert "setting up" in start(checkout / "run", bare_path).stderr


def test_an_unknown_word_makes_check_explain_itself(checkout: Path, bare_path: Path) -> None:
    make_ready(checkout, bare_path, "dev")
    result = start(checkout / "check", bare_path, "everything")
    assert result.returncode == 2
    assert "./check fast" in result.stdout


def test_the_scripts_can_be_executed() -> None:
    assert all(os.access(CHECKOUT / name, os.X_OK) for name in ("run", "check", ".ci/run"))
