"""Programs that some tests need: found, or the test is skipped with a reason. In CI they must be there."""

import os
import shutil
import signal
from pathlib import Path
from typing import NoReturn

import pytest

CHECKOUT = Path(__file__).parents[1]
# Debian keeps PostgreSQL's server programs and Orthanc outside the PATH of ordinary users.
_ELSEWHERE = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/sbin")]


def require_tool(name: str) -> Path:
    """Return the path of a program such as ``dcmsend``, ``initdb`` or ``Orthanc``, or skip the test; in CI fail it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, _ELSEWHERE)])
    found = shutil.which(name, path=path)
    return Path(found) if found else missing(f"{name} is not installed here (.ci/run installs it)")


def require_peer(name: str = "python") -> Path:
    """Return a program of ``.venv-peers``, where moto, deid and dicognito live, or skip the test; in CI fail it."""
    path = CHECKOUT / ".venv-peers" / "bin" / name
    return path if path.is_file() else missing(f".venv-peers has no {name} (.ci/run makes it from tools/peers.lock)")


def heed_ctrl_c() -> None:
    """Let a program that is about to start stop at Ctrl-C, also where the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def missing(reason: str) -> NoReturn:
    """Skip the running test with a reason; where ``CI=true``, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must not skip: {reason}")
    pytest.skip(reason)
