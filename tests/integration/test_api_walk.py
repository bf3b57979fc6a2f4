"""docs/api.md runs as it stands on a fresh start, with one real CT, and ends with a published case."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.corpus import require_corpus
from tests.integration.running import CHECKOUT, running_bridge
from tests.tools import require_tool

PAGE = CHECKOUT / "docs/api.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CT = "CT_small.dcm"


def lines_of_page() -> str:
    return "\n".join(BLOCK.findall(PAGE.read_text()))


@pytest.mark.timeout(300)
def test_every_line_runs_and_the_case_is_public(tmp_path: Path) -> None:
    for tool in ("curl", "jq", "bash"):
        require_tool(tool)
    study = next(file.path for file in require_corpus() if file.path.name == CT)
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.copyfile(study, folder / CT)
    with running_bridge(tmp_path / "data") as bridge:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines_of_page()],
            env={**bridge.environ, "STUDY": str(folder)},
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    said = " ".join(done.stdout.split())
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "title: Give the case a title" in said
    assert '{"status":"pending_review","visibility":"public"} {"status":"pending_review","visibility":"public"}' in said
    assert '{"title":"Normal chest","owner":"carla","status":"published","visibility":"public"}' in said
    assert said.endswith(
        "system: open -> draft (public) carla: claim -> draft (public) "
        "carla: submit -> pending_review (public) edith: accept -> published (public)"
    )
    assert "discussion: Characters" in said
    assert "Okonkwo" not in said
