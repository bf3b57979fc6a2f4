"""Commands, calls and links in the documentation are held against what is there."""

import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bridge.__main__ import main
from tests.tools import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("benchmarks/**/*.md")])
CHANGE_KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def shell_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command in the shell blocks of a page."""
    for block in BLOCK.findall(page.read_text()):
        for line in _commands(block):
            words = shlex.split(line.replace("<", "'<").replace(">", ">'") if "<" in line else line, comments=True)
            if words and (kept := re.match(r"[A-Z_]+=\$\((.+)", words[0])):  # what it prints is kept
                words = [kept[1], *words[1:-1], words[-1].removesuffix(")")]
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            if words:
                yield words


def _commands(block: str) -> Iterator[str]:
    """Yield the commands of a block: what is quoted may go over several lines."""
    begun = ""
    for line in block.replace("\\\n", " ").splitlines():
        begun = f"{begun}\n{line}" if begun else line
        if begun.count("'") % 2 == 0:
            yield begun
            begun = ""


COMMANDS = [(page.name, words) for page in PAGES for words in shell_lines(page)]
OURS = [words for _, words in COMMANDS if words[0].endswith("casebridge")]


def test_the_readme_has_the_two_commands() -> None:
    commands = [words for page, words in COMMANDS if page == "README.md"]
    assert ["./run"] in commands
    assert ["./check"] in commands


@pytest.mark.parametrize("words", [words for _, words in COMMANDS if "/" in words[0]], ids=" ".join)
def test_every_program_of_ours_that_a_page_names_is_there(words: list[str]) -> None:
    if words[0].startswith(".venv/"):
        assert words[0] in {".venv/bin/casebridge", ".venv/bin/python"}
    else:
        assert (CHECKOUT / words[0]).is_file()


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_every_casebridge_command_parses(words: list[str]) -> None:
    command, rest = main.commands[words[1]], words[2:]
    if isinstance(command, click.Group) and rest and not rest[0].startswith("--"):
        command, rest = command.commands[rest[0]], rest[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_every_command_of_the_program_is_explained() -> None:
    text = " ".join(page.read_text() for page in PAGES)
    assert all(f"casebridge {name}" in text or f"`{name}`" in text for name in main.commands)
    assert all(isinstance(command, click.Command) and command.help for command in main.commands.values())


def test_every_http_call_that_a_page_names_is_there() -> None:
    routes = set()
    package = importlib.import_module("api.routes")
    for module in pkgutil.iter_modules(package.__path__):
        router = getattr(importlib.import_module(f"api.routes.{module.name}"), "router", None)
        routes |= {re.sub(r"{\w+}", "*", route.path) for route in (router.routes if router else ())}
    named = {
        re.sub(r"{\w+}|\$\w+", "*", path)
        for page in PAGES
        for path in re.findall(
            r"(?<![\w.])(?:http://127\.0\.0\.1:8000)?(/api/v1/[\w/${}-]+|/\w+z\b|/metrics)", page.read_text()
        )
    }
    assert named
    assert named <= routes


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_no_link_is_broken(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path) if path else page
        assert aim.exists(), target
        assert not anchor or anchor in anchors(aim), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_no_page_names_a_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(work|root|home|tmp)/", page.read_text())


@pytest.mark.parametrize("page", sorted(CHECKOUT.glob("docs/decisions/*.md")), ids=lambda page: page.name)
def test_a_decision_is_one_page_of_context_choice_and_consequences(page: Path) -> None:
    text = page.read_text()
    number = int(page.name[:4])
    assert text.startswith(f"# {number}. ")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [name for name in sections if name in {"Context", "Choice", "Consequences"}] == [
        "Context",
        "Choice",
        "Consequences",
    ]
    assert len(text.splitlines()) <= 70


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(page.name[:4]) for page in CHECKOUT.glob("docs/decisions/*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_changelog_keeps_its_format() -> None:
    text = (CHECKOUT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", version) for version in versions[1:])
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= CHANGE_KINDS
    assert not re.search(r"^#+ .*\n+(?=#)", text.partition("## [Unreleased]")[2], re.MULTILINE), "an empty section"
