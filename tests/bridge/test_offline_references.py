"""References in the output of ``casebridge deidentify`` follow where the pixels of an image changed."""

import types
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import pydicom
import pytest

from bridge import offline_child, offline_references
from bridge.offline import CasePer, OfflineRun
from bridge.offline_child import OfflineTools, OutputError, Written
from bridge.offline_references import LEFT_BEHIND
from bridge.offline_sources import Source, find_sources
from deidentify.results import PixelVerdict, ScreenReport
from tests.bridge.books import shipped
from tests.bridge.test_references import CLEAR, REDACT, referred, slice_of
from tests.builders import uid


class InThisProcess:
    """Does what child processes would."""

    def run(self, function: Callable[[Any], Any], argument: Any, **_: object) -> Any:
        return function(argument)

    def close(self) -> None:
        """Nothing is to be ended."""


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> dict[int, ScreenReport]:
    """What the screen says of an image, by its number; clear, if nothing else."""
    found: dict[int, ScreenReport] = {}

    def screen(identified_file: Any, *_: object, **_options: object) -> ScreenReport:
        number = int(pydicom.dcmread(identified_file, stop_before_pixels=True).InstanceNumber)
        return found.get(number, CLEAR)

    fake = types.SimpleNamespace(screen=screen, still_there=lambda *_, **_options: ())
    monkeypatch.setattr(offline_child, "_screener", lambda: fake)
    tools = OfflineTools(
        pseudonym_key=b"p" * 32,
        digest_key=b"d" * 32,
        patient_key=b"k" * 32,
        profile=shipped().text,
        has_screen=True,
        log_level="INFO",
    )
    monkeypatch.setattr(offline_child, "_tools", tools)
    for made in (offline_child._profile, offline_child._deidentifier):
        made.cache_clear()
    return found


def put(folder: Path, name: str, number: int, refers_to: int | None = None) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(slice_of(number, refers_to=refers_to).getvalue())


def run(tmp_path: Path, case_per: CasePer = CasePer.INPUT) -> list[Source]:
    sources = find_sources(tmp_path / "in")
    OfflineRun(
        identified_root=tmp_path / "in",
        output=tmp_path / "out",
        pseudonym_key=b"p" * 32,
        pool=InThisProcess(),  # type: ignore[arg-type]
        workers=1,
        case_per=case_per,
        with_uids=True,
        step=lambda *_: None,
    ).run(sources)
    return sources


def read(tmp_path: Path, sources: list[Source]) -> dict[str, pydicom.Dataset]:
    return {str(one.identified_path): pydicom.dcmread(tmp_path / "out" / one.place) for one in sources}


def written(sources: list[Source], name: str) -> Written:
    outcome = next(one.outcome for one in sources if one.identified_path == PurePath(name))
    assert isinstance(outcome, Written)
    return outcome


def test_what_refers_to_a_changed_image_follows_in_its_file_in_the_report_and_in_the_map(
    tmp_path: Path, screens: dict[int, ScreenReport]
) -> None:
    screens[1] = REDACT
    put(tmp_path / "in", "1.dcm", 1)
    put(tmp_path / "in", "2.dcm", 2, refers_to=1)
    put(tmp_path / "in", "3.dcm", 3, refers_to=2)
    sources = run(tmp_path)
    found = read(tmp_path, sources)
    assert written(sources, "1.dcm").instance.screen.verdict is PixelVerdict.REDACT
    assert referred(found["2.dcm"]) == found["1.dcm"].SOPInstanceUID
    assert referred(found["3.dcm"]) == found["2.dcm"].SOPInstanceUID
    told = written(sources, "2.dcm")
    assert told.instance.references == (found["1.dcm"].SOPInstanceUID,)
    assert told.instance.size_bytes == (tmp_path / "out" / "2.dcm").stat().st_size
    for name, number in (("1.dcm", 1), ("2.dcm", 2)):
        maps = [dict(written(sources, one).identified_uids) for one in found]
        assert {one[uid(1, 2, number)] for one in maps if uid(1, 2, number) in one} == {found[name].SOPInstanceUID}
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["1.dcm", "2.dcm", "3.dcm"]


def test_an_image_that_is_changed_and_refers_to_another_one_follows_too(
    tmp_path: Path, screens: dict[int, ScreenReport]
) -> None:
    screens |= {1: REDACT, 2: REDACT}
    put(tmp_path / "in", "1.dcm", 1, refers_to=2)
    put(tmp_path / "in", "2.dcm", 2, refers_to=1)
    found = read(tmp_path, run(tmp_path))
    assert [referred(found[name]) for name in ("1.dcm", "2.dcm")] == [
        found[name].SOPInstanceUID for name in ("2.dcm", "1.dcm")
    ]


def test_references_never_lead_from_one_case_into_another(tmp_path: Path, screens: dict[int, ScreenReport]) -> None:
    screens[1] = REDACT
    put(tmp_path / "in", "a/1.dcm", 1)
    put(tmp_path / "in", "b/2.dcm", 2, refers_to=1)
    sources = run(tmp_path, CasePer.FOLDER)
    found = read(tmp_path, sources)
    assert referred(found["b/2.dcm"]) != found["a/1.dcm"].SOPInstanceUID
    assert written(sources, "b/2.dcm").instance.references == (referred(found["b/2.dcm"]),)


def test_a_reference_that_could_not_follow_is_told_and_costs_no_file(
    tmp_path: Path, screens: dict[int, ScreenReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("this file is odd")

    monkeypatch.setattr(offline_references, "follow", fail)
    screens[1] = REDACT
    put(tmp_path / "in", "1.dcm", 1)
    put(tmp_path / "in", "2.dcm", 2, refers_to=1)
    sources = run(tmp_path)
    assert written(sources, "2.dcm").instance.report.notes[-1] == LEFT_BEHIND
    assert referred(read(tmp_path, sources)["2.dcm"])
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["1.dcm", "2.dcm"]


def test_a_full_disk_stops_the_run(
    tmp_path: Path, screens: dict[int, ScreenReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(offline_references, "follow", fail)
    screens[1] = REDACT
    put(tmp_path / "in", "1.dcm", 1)
    put(tmp_path / "in", "2.dcm", 2, refers_to=1)
    with pytest.raises(OutputError):
        run(tmp_path)
