"""``casebridge deidentify``: a folder of DICOM files in, the same folder without its patients out; no server needed."""

import csv
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from bridge.keys import SECRET_BYTES, Keys, Purpose, SecretError, load_keys
from bridge.offline import CasePer, OfflineRun
from bridge.offline_child import OfflineTools, OutputError, Written, start_child
from bridge.offline_progress import processors, progress
from bridge.offline_sources import Source, counts_of, described, find_sources
from bridge.pool import Pool, PoolStartError
from config.errors import ConfigError
from config.profile_files import profile_text, read_text, with_bases
from config.settings import Settings
from deidentify.errors import ProfileError
from deidentify.profile import Profile

__all__ = ["Choices", "deidentify"]

EXIT_OK = 0
EXIT_HELD = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_COLOURS = {"written": "green", "held": "yellow", "not-done": "red"}


class UsageError(Exception):
    """Nothing was begun; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the command line says."""

    identified_input: Path = field(repr=False)
    output: Path
    profile: str | None = None
    """Name of a profile, or a YAML file."""
    report: Path | None = None
    """Where the report goes; beside the output unless told."""
    identified_map: Path | None = field(default=None, repr=False)
    has_screen: bool = True
    case_per: CasePer = CasePer.INPUT
    case_name: str = field(default="", repr=False)
    workers: int | None = None
    secret_file: Path | None = None
    generation: int | None = None
    """Of the secret; the latest unless told."""


def deidentify(choices: Choices, settings: Settings) -> int:
    """De-identify a folder and say what became of each file; return the exit status."""
    console = Console(stderr=True)
    try:
        profile = _profile_text(choices.profile or settings.profile, settings)
        report = choices.report or choices.output.with_name(f"{choices.output.resolve().name}-report.json")
        _check(choices, report)
        _refuse_existing(report, "the report")
        if choices.identified_map is not None:
            _refuse_existing(choices.identified_map, "the map")
        tools = _tools(choices, settings, profile, _keys(choices, console))
        choices.output.mkdir(parents=True, exist_ok=True)
    except (UsageError, ConfigError, ProfileError, SecretError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return EXIT_USAGE
    sources = find_sources(choices.identified_input)
    began = datetime.now(UTC)
    fault, is_interrupted = "", False
    try:
        _run(choices, tools, sources, console)
    except (OutputError, PoolStartError) as error:
        fault = str(error)
    except KeyboardInterrupt:
        is_interrupted = True
    if fault or is_interrupted:
        _take_back(choices.output, sources)
    _write_report(report, _report(choices, profile, sources, began, is_complete=not (fault or is_interrupted)))
    if choices.identified_map is not None:
        _write_map(choices.identified_map, sources)
    _show(console, sources, report, choices)
    if fault:
        console.print(f"Stopped: {fault}", style="red", markup=False)
    if is_interrupted:
        console.print("Stopped by hand: what is written is whole, the rest was not done.", style="red")
        return EXIT_INTERRUPTED
    kinds = {described(source.outcome)[0] for source in sources}
    if "written" not in kinds and "dropped" not in kinds:
        return EXIT_HELD
    return EXIT_HELD if fault or kinds & {"held", "not-done"} else EXIT_OK


def _profile_text(name: str, settings: Settings) -> str:
    if Path(name).suffix in {".yaml", ".yml"}:
        text = with_bases(read_text(Path(name)), settings, Path(name).parent)
    else:
        text = profile_text(name, settings)
    Profile.from_yaml(text)
    return text


def _check(choices: Choices, report: Path) -> None:
    source, output = choices.identified_input.resolve(), choices.output.resolve()
    if source == output or output.is_relative_to(source) or source.is_relative_to(output):
        raise UsageError("the output lies in the input or around it; give a folder of its own")
    if output.exists() and (not output.is_dir() or next(output.iterdir(), None) is not None):
        raise UsageError(f"{choices.output} is there and not an empty folder; give a new one")
    for target in (report, choices.identified_map):
        if target is not None and target.resolve().is_relative_to(output):
            raise UsageError("report and map do not belong into the output, which is passed on; give another place")
    if choices.identified_map is not None and choices.identified_map.resolve() == report.resolve():
        raise UsageError("report and map are one file; give the map a place of its own, for it leads to the patients")
    if (choices.case_name or choices.generation) and choices.secret_file is None:
        raise UsageError("--case and --generation speak of a secret; add --secret-file")
    if choices.case_name and choices.case_per is not CasePer.INPUT:
        raise UsageError("--case names one case, and --case-per asks for several; leave one of them out")


def _refuse_existing(path: Path, what: str) -> None:
    if path.exists():
        raise UsageError(f"{path} is there already; name another file for {what}")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"the folder of {path} is not there; make it first")


def _keys(choices: Choices, console: Console) -> Keys:
    if choices.secret_file is not None:
        return load_keys(choices.secret_file)
    console.print(
        "No secret file: pseudonyms and dates come from a random secret, and no later run gives the same ones.",
        style="dim",
    )
    return Keys.derive(secrets.token_bytes(SECRET_BYTES))


def _tools(choices: Choices, settings: Settings, profile: str, keys: Keys) -> OfflineTools:
    generation = keys.of(choices.generation or keys.numbers[-1])
    return OfflineTools(
        pseudonym_key=generation.subkey(Purpose.PSEUDONYMS),
        digest_key=keys.digest_key,
        patient_key=generation.subkey(Purpose.PATIENTS),
        profile=profile,
        has_screen=choices.has_screen,
        log_level=settings.log_level,
    )


def _run(choices: Choices, tools: OfflineTools, sources: list[Source], console: Console) -> None:
    workers = choices.workers or processors()
    with (
        Pool(min(workers, max(1, len(sources))), initializer=start_child, initargs=(tools,)) as pool,
        progress(console) as step,
    ):
        pool.wait_until_ready()
        OfflineRun(
            identified_root=choices.identified_input,
            output=choices.output,
            pseudonym_key=tools.pseudonym_key,
            pool=pool,
            workers=workers,
            case_per=choices.case_per,
            case_name=choices.case_name,
            with_uids=choices.identified_map is not None,
            step=step,
        ).run(sources)


def _take_back(output: Path, sources: list[Source]) -> None:
    """Remove what a child finished when nobody listened any more: what the report does not have is not there."""
    for source in sources:
        if source.outcome is None and source.place.name:
            with suppress(OSError):
                (output / source.place).unlink()


# -- what a person sees ----------------------------------------------------------------------------------------------


def _show(console: Console, sources: list[Source], report: Path, choices: Choices) -> None:
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_column(overflow="fold")
    counts = counts_of(source.outcome for source in sources)
    for (kind, reason, detail), count in sorted(counts.items(), key=lambda item: (item[0][0] != "written", -item[1])):
        sentence = f"{detail} ({reason})" if reason else ""
        table.add_row(str(count), kind, sentence, style=_COLOURS.get(kind))
    console.print(table)
    console.print(f"What became of each file: {report}", markup=False, highlight=False, soft_wrap=True)
    if not choices.has_screen:
        console.print(
            "The pixels were not looked at: a name burned into an image is still there. Each image says so "
            "(Patient Identity Removed: NO).",
            style="yellow",
        )
    if choices.identified_map is not None:
        console.print(
            f"{choices.identified_map} leads back to the patients: keep it apart, or delete it.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


# -- what programs read ----------------------------------------------------------------------------------------------


def _report(
    choices: Choices, profile_yaml: str, sources: list[Source], began: datetime, *, is_complete: bool
) -> dict[str, Any]:
    profile = Profile.from_yaml(profile_yaml)
    cases = {key: number for number, key in enumerate(dict.fromkeys(s.case_key for s in sources if s.case_key), 1)}
    return {
        "format": 1,
        "casebridge": version("casebridge"),
        "began": began.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": is_complete,
        "profile": {"name": profile.name, "revision": profile.revision},
        "pixels": "screened" if choices.has_screen else "not screened",
        "secret": "file" if choices.secret_file else "random",
        "case_per": choices.case_per,
        "cases": len(cases),
        "counts": [
            {"outcome": kind, "reason": reason, "detail": detail, "files": count}
            for (kind, reason, detail), count in sorted(counts_of(source.outcome for source in sources).items())
        ],
        "files": [_entry(source, cases) for source in sources],
    }


def _entry(source: Source, cases: dict[str, int]) -> dict[str, Any]:
    kind, reason, detail = described(source.outcome)
    entry: dict[str, Any] = {"place": str(source.place), "case": cases.get(source.case_key), "outcome": kind}
    if reason:
        entry |= {"reason": reason, "detail": detail}
    if isinstance(source.outcome, Written):
        instance = source.outcome.instance
        entry |= {
            "sha256": instance.sha256,
            "size_bytes": instance.size_bytes,
            "pixels": instance.screen.verdict,
            "actions": dict(instance.report.actions),
            "options": list(instance.report.options),
            "notes": list(instance.report.notes),
            "removed_text": [asdict(removed) for removed in instance.report.removed_text],
        }
    return entry


def _write_report(path: Path, report: dict[str, Any]) -> None:
    _write_once(path, 0o666, lambda file: json.dump(report, file, indent=1))


def _write_map(path: Path, sources: list[Source]) -> None:
    def write(file: TextIO) -> None:
        rows = csv.writer(file)
        rows.writerow(("kind", "original", "replacement"))
        rows.writerows(("file", str(source.identified_path), str(source.place)) for source in sources)
        uids = (source.outcome.identified_uids for source in sources if isinstance(source.outcome, Written))
        rows.writerows(("uid", *pair) for pair in dict.fromkeys(pair for pairs in uids for pair in pairs))

    _write_once(path, 0o600, write)


def _write_once(path: Path, mode: int, write: Callable[[TextIO], None]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
