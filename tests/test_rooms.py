"""The flat package names belong to this checkout, and to nothing that a dependency brought along."""

import importlib
import tomllib

import pytest

from tests.tools import CHECKOUT

ROOMS = ("scp", "deidentify", "cases", "api", "config", "bridge")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_resolves_inside_the_checkout(room: str) -> None:
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert module.__file__ == str(CHECKOUT / room / "__init__.py")


def test_the_rooms_are_the_same_for_every_tool() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(ROOMS)
    assert project["tool"]["mypy"]["packages"] == list(ROOMS)
    assert project["tool"]["coverage"]["run"]["source"] == list(ROOMS)
    assert project["tool"]["importlinter"]["root_packages"] == list(ROOMS)


def test_every_top_level_package_is_a_room() -> None:
    packages = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")}
    assert packages == {*ROOMS, "tests"}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "tools/peers.lock"])
def test_a_lock_file_has_hashes_and_names_no_index(lock: str) -> None:
    text = (CHECKOUT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    pinned = [block for block in text.split("\n") if block and not block.startswith((" ", "#"))]
    assert pinned
    assert all("==" in line and line.endswith("\\") for line in pinned)
    assert text.count("\\\n    --hash=") >= len(pinned)
