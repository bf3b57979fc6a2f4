"""The blocks of docs/profiles.md, run one after the other.

Outputs are written anew by: python -m tests.docs.profiles_page. YAML blocks are profiles and are written to files of
their names; a part of one gets a name and a base. Those behind "<!-- refused -->" are wrong on purpose. Blocks of the
kind "recipe" are written to the file that their first line names.
"""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from click.testing import CliRunner

from bridge.__main__ import main
from config import Settings
from config.profile_files import with_bases
from deidentify.errors import ProfileError
from deidentify.profile import Profile
from tests.integration.running import RunningBridge, eventually
from tests.tools import CHECKOUT

PAGE = CHECKOUT / "docs/profiles.md"
PROGRAM, SITE = ".venv/bin/casebridge", "/etc/casebridge"
STUDY_FILES = CHECKOUT / "tests/data/mr-study"
CASE, STUDY, ARRIVAL = (
    "0190b6f2a1c47d3e9b5a4c8e7f6d5b3a",
    "5d1fc86ab2b34b6e8a4e42ab3f6e1c90",
    "0190b6f29f5b7c1d8e6a4b3c2d1e0f9a",
)
"""What the page calls what has another key in each run."""
ENVIRONMENT = {"COLUMNS": "100", "TERM": "dumb", "FORCE_COLOR": None, "NO_COLOR": None}
"""Changed while the page runs: its tables are 100 columns wide."""
_BLOCK = re.compile(r"(<!-- refused -->\n\n)?^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    kind: str
    text: str
    is_refused: bool
    start: int
    end: int


def blocks(page: str) -> list[Block]:
    return [
        Block(kind=found[2], text=found[3], is_refused=bool(found[1]), start=found.start(3), end=found.end(3))
        for found in _BLOCK.finditer(page)
    ]


def whole(block: Block) -> str:
    """Return the profile of a block; a part gets what every profile has."""
    return block.text if re.search("^name:", block.text, re.MULTILINE) else f"name: part\nbase: basic\n{block.text}"


def is_accepted(text: str, folder: Path) -> bool:
    try:
        Profile.from_yaml(with_bases(text, Settings(), folder))
    except ProfileError:
        return False
    return True


class PageRun:
    """Runs a page in a folder, as a reader would."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.site = folder / "work", folder / "data", folder / "site"
        for each in (self.folder, self.data, self.site / "profiles"):
            each.mkdir(parents=True)
        self.statuses: dict[str, int] = {}
        self.shown: dict[str, str] = {}
        """Real keys, and what the page calls them."""
        self._server: RunningBridge | None = None

    def take(self, block: Block) -> str | None:
        """Write what a block is the text of, or run its commands; return what they print."""
        if block.kind == "yaml":
            text = whole(block)
            name = re.search(r"^name: (\S+)$", text, re.MULTILINE)
            assert name
            assert is_accepted(text, self.folder) is not block.is_refused, block.text
            (self.folder / f"{name[1]}.yaml").write_text(text)
        elif block.kind == "recipe":
            named = re.match(r"# (\S+)\n", block.text)
            assert named
            (self.folder / named[1]).write_text(block.text)
        elif block.kind == "xml":
            (self.folder / "script.xml").write_text(block.text)
        elif block.kind == "toml":
            (self.data / "casebridge.toml").write_text(block.text.replace(SITE, str(self.site)))
        elif block.kind == "sh":
            return "".join(self._run(line) for line in block.text.splitlines())
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the server, where one was started."""
        if self._server is not None:
            self._server.stop()

    def _run(self, line: str) -> str:
        command, _, target = line.partition(" >")
        for real, shown in self.shown.items():
            command = command.replace(shown, real)
        words = shlex.split(command.replace(SITE, str(self.site)))
        if words[1:2] == ["send"]:
            return self._send(line, words)
        with chdir(self.folder), environment({**ENVIRONMENT, "CASEBRIDGE_DATA_DIR": str(self.data)}):
            if words[0] == "cp":
                shutil.copy(words[1], words[2])
                return ""
            assert words[0] == PROGRAM, line
            result = CliRunner().invoke(main, words[1:], prog_name="casebridge")
            if target:
                Path(target).write_text(result.stdout)
        self.statuses[line] = result.exit_code
        return self._as_shown(result.stderr if target else result.output)

    def _as_shown(self, printed: str) -> str:
        for real, shown in self.shown.items():
            printed = printed.replace(real, shown).replace(real[:8], shown[:8])
        return "".join(f"{row.rstrip()}\n" for row in printed.replace(str(self.site), SITE).splitlines())

    def _send(self, line: str, words: list[str]) -> str:
        """Start a server on the page's settings, send to it, and wait for the case."""
        shutil.copytree(STUDY_FILES, self.folder / "mr-study", ignore=shutil.ignore_patterns("[!p]*"))
        self._server = server = RunningBridge(data_dir=self.data, environment={"CASEBRIDGE_QUIET_PERIOD_S": "1"})
        server.start()
        sent = server.cli(words[1], str(self.folder / words[2]), words[3], str(server.dicom_port), *words[5:])
        assert sent.returncode == 0, sent.stderr
        self.statuses[line] = sent.returncode
        [case] = eventually(lambda: _filed(server, 2), within_s=120, what="the case has its images")
        with environment({"CASEBRIDGE_DATA_DIR": str(self.data)}):
            asked = CliRunner().invoke(main, ["originals", "--json"], prog_name="casebridge")
        [study] = json.loads(asked.stdout)
        arrivals = sorted(path.name.split("-")[1][:32] for path in self.data.rglob("*.dcm") if "studies" in path.parts)
        self.shown = {case["id"]: CASE, study["study_key"]: STUDY, arrivals[0]: ARRIVAL}
        printed = sent.stdout.replace(str(self.folder / words[2]), words[2]).replace(f":{server.dicom_port}", ":11112")
        return self._as_shown(printed)


def _filed(server: RunningBridge, images: int) -> list[dict[str, Any]]:
    return [case for case in server.all_items("/api/v1/cases") if case["progress"]["filed"] == images]


@contextmanager
def environment(changes: dict[str, str | None]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({name: value for name, value in changes.items() if value is not None})
    for name in [name for name, value in changes.items() if value is None]:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def with_outputs(page: str, run: PageRun) -> str:
    """Return the page with what its commands print now, in the block behind each."""
    pieces, last, printed = [], 0, None
    for block in blocks(page):
        if block.kind == "" and printed is not None:
            pieces += [page[last : block.start], printed]
            last = block.end
            printed = None
            continue
        assert not printed, f"nothing shows what was printed:\n{printed}"
        printed = run.take(block)
    return "".join([*pieces, page[last:]])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, PageRun(Path(scratch)) as run:
        PAGE.write_text(with_outputs(PAGE.read_text(), run))
    sys.exit(0)
