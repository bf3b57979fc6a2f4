"""``casebridge screen``: each file has its verdict, each frame its regions; what was read stays where it is wanted."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from pydicom import Sequence, dcmread
from pydicom.uid import JPEGBaseline8Bit, RTPlanStorage

from api.errors import NotRenderableError
from api.render import Renderer
from bridge import screen_command
from bridge.__main__ import main
from bridge.offline_child import NotDicom, OutputError
from bridge.offline_files import in_children
from bridge.pool import ChildDiedError, Pool
from bridge.screen_child import Announced, Screened, ScreenTask, announced_frames, screen
from bridge.screen_report import counts_of, find_files
from deidentify.results import Hold, HoldReason, PixelVerdict, TextClass
from tests.builders import sr_instance, write_part10
from tests.deidentify.pixels.files import encapsulated, image, part10
from tests.deidentify.pixels.layered import icon_of, with_overlay
from tests.deidentify.pixels.planting import phantom, plant
from tests.tools import CHECKOUT, heed_ctrl_c

NAME = "KOWALCZYK MARTA"
HEADER = {"PatientName": "Kowalczyk^Marta", "PatientID": "8203341"}


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))


def run(*arguments: object, jobs: int = 1) -> Result:
    words = ["screen", *map(str, arguments), "--jobs", str(jobs)]
    return CliRunner().invoke(main, words, env={"COLUMNS": "80"})


def flat(rows: int = 128, columns: int = 256) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Return a picture with a bright block in it, so that planted text has a range to be brighter in."""
    picture = np.full((rows, columns), 200, dtype=np.uint16)
    picture[rows // 2 :, columns // 2 :] = 2600
    return picture


def written(text: str, **more: Any) -> bytes:
    """Return a file with a text in its pixels."""
    picture = flat()
    plant(picture, text, np.random.default_rng(3), height=18, at=(12, 10))
    return part10(image(picture, bits_stored=12, **more)).getvalue()


def put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """Screen a folder with one file of each fate, once for all tests that look at the result."""
    base = tmp_path_factory.mktemp("screened")
    folder = base / "images"
    put(folder, "clear.dcm", part10(image(flat(), bits_stored=12)).getvalue())
    put(folder, "named.dcm", written(NAME, **HEADER))
    second = flat()
    plant(second, NAME, np.random.default_rng(3), height=18, at=(12, 10))
    put(folder, "cine.dcm", part10(image([flat(), second, flat()], bits_stored=12, modality="US")).getvalue())
    damaged = encapsulated(image(flat().astype(np.uint8)), [b"\xff\xd8 no JPEG at all"])
    put(folder, "damaged.dcm", part10(damaged, JPEGBaseline8Bit).getvalue())
    put(folder, "cut.dcm", written(NAME)[:900])
    put(folder, "report.dcm", write_part10(sr_instance()))
    put(folder, "plan.dcm", write_part10(sr_instance(ContentSequence=None, SOPClassUID=RTPlanStorage)))
    put(folder, "letter.txt", b"Dear Mrs Kowalczyk")
    (folder / "link.dcm").symlink_to(folder / "clear.dcm")
    words = (folder, "--json", base / "found.json", "--with-text", "--images", base / "boxed")
    return run(*words, "--redact", base / "copies", jobs=2), base


def entries(found: tuple[Result, Path]) -> dict[str, dict[str, Any]]:
    told = json.loads((found[1] / "found.json").read_text())
    return {Path(entry["path"]).name: entry for entry in told["files"]}


def test_every_file_has_its_verdict_and_its_reason(found: tuple[Result, Path]) -> None:
    assert found[0].exit_code == 1
    assert {name: (one["verdict"], one.get("reason")) for name, one in entries(found).items()} == {
        "clear.dcm": ("clear", None),
        "named.dcm": ("redact", None),
        "cine.dcm": ("redact", None),
        "damaged.dcm": ("not-evaluated", "pixels-undecodable"),
        "cut.dcm": ("not-evaluated", "unreadable"),
        "report.dcm": ("suspect", "burned-in-text"),
        "plan.dcm": ("no-pixels", None),
        "letter.txt": ("skipped", "not-dicom"),
        "link.dcm": ("skipped", "symbolic-link"),
    }
    assert all(one["detail"] for one in entries(found).values() if "reason" in one)
    assert all(one["path"] == str(found[1] / "images" / name) for name, one in entries(found).items())


def test_copies_are_black_in_the_boxes_alone_and_keep_their_header(found: tuple[Result, Path]) -> None:
    named = {name: one["redacted"] for name, one in entries(found).items() if "redacted" in one}
    assert set(named) == {"named.dcm", "cine.dcm"}
    assert {path.name for path in (found[1] / "copies").iterdir()} == set(named.values())
    before = dcmread(found[1] / "images" / "named.dcm")
    after = dcmread(found[1] / "copies" / named["named.dcm"])
    differs = before.pixel_array != after.pixel_array
    [region] = entries(found)["named.dcm"]["frames"][0]["regions"]
    top, left = region["y"], region["x"]
    assert differs[top : top + region["height"], left : left + region["width"]].any()
    differs[top : top + region["height"], left : left + region["width"]] = False
    assert not differs.any()
    assert (after.PatientName, after.BurnedInAnnotation) == (before.PatientName, "NO")
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID != before.SOPInstanceUID
    assert "2 copies with boxes made black" in found[0].stderr
    # A copy that is screened again is clear.
    again = run(found[1] / "copies", jobs=1)
    assert again.exit_code == 0, again.output


def test_every_frame_has_its_verdict_and_its_regions_in_pixels(found: tuple[Result, Path]) -> None:
    cine = entries(found)["cine.dcm"]
    assert (cine["frame_count"], cine["frames_read"]) == (3, 3)
    assert [(frame["frame"], frame["verdict"]) for frame in cine["frames"]] == [
        (0, "clear"),
        (1, "redact"),
        (2, "clear"),
    ]
    assert all(set(region) >= {"x", "y", "width", "height"} for region in cine["frames"][1]["regions"])
    worst = cine["frames"][1]["regions"][0]
    assert (worst["kind"], worst["text_class"]) == ("text", "identifying")
    assert worst["x"] <= 20 <= worst["x"] + worst["width"]
    assert worst["y"] <= 20 <= worst["y"] + worst["height"]
    assert not cine["frames"][0]["regions"]


def test_a_frame_that_was_not_read_is_not_called_clear(found: tuple[Result, Path]) -> None:
    assert [frame["verdict"] for frame in entries(found)["damaged.dcm"]["frames"]] == ["not-evaluated"]


def test_the_counts_add_up(found: tuple[Result, Path]) -> None:
    told = json.loads((found[1] / "found.json").read_text())
    assert told["complete"]
    assert sum(count["files"] for count in told["counts"]) == len(told["files"]) == 9
    assert told["text"]["identifying"]["files"] == 3
    assert (told["frames_read"], told["frame_count"]) == (5, 6)
    assert told["frames_per_s"] == pytest.approx(told["frames_read"] / told["reading_s"], rel=0.02)


def test_what_was_asked_for_is_for_its_owner_alone(found: tuple[Result, Path]) -> None:
    base = found[1]
    named = entries(found)["named.dcm"]["frames"][0]
    assert "KOWALCZYK" in "".join(region["text"] for region in named["regions"]).upper()
    pictures = sorted((base / "boxed").iterdir())
    assert {
        one["picture"] for entry in entries(found).values() for one in entry.get("frames", ()) if one["regions"]
    } == {path.name for path in pictures}
    assert [stat.S_IMODE(path.stat().st_mode) for path in (base / "found.json", base / "boxed", *pictures)] == [
        0o600,
        0o700,
        *[0o600] * len(pictures),
    ]
    sheet = np.asarray(Image.open(base / "boxed" / named["picture"]))
    region = named["regions"][0]
    assert sheet.shape[:2] == (128, 256)
    assert tuple(sheet[region["y"] + region["height"] // 2, region["x"]]) == (255, 64, 64)


def test_the_table_fits_80_columns_and_shows_no_text_that_was_read(found: tuple[Result, Path]) -> None:
    lines = found[0].output.splitlines()
    table = [line for line in lines if not line.startswith(str(found[1]))]
    assert max(map(len, table)) <= 80
    counts = ("2  redact", "1  suspect", "1  clear", "9  files")
    for words in (*counts, "burned-in-text", "pixels-undecodable", "frames/s", "of 6"):
        assert words in found[0].output
    assert "Reading pixels: 6 of 6 frames" in found[0].output
    assert "kowalczyk" not in found[0].output.casefold()


def test_without_being_asked_nothing_that_was_read_is_kept(tmp_path: Path) -> None:
    path = put(tmp_path / "in", "a.dcm", written(NAME, **HEADER))
    result = run(path, path, tmp_path / "in", "--json", tmp_path / "found.json")
    assert result.exit_code == 1
    told = (tmp_path / "found.json").read_text()
    assert "kowalczyk" not in (told + result.output).casefold()
    [entry] = json.loads(told)["files"]  # given three times, told once
    assert not {"text", "picture"} & {key for frame in entry["frames"] for key in (*frame, *frame["regions"][0])}
    assert {one.name for one in tmp_path.iterdir()} <= {"in", "found.json", "data"}


def test_clear_images_end_with_0_and_safe_text_is_told(tmp_path: Path) -> None:
    put(tmp_path / "in", "a.dcm", written("SUPINE"))
    put(tmp_path / "in", os.fsdecode(b"no text \xff"), b"nothing")
    result = run(tmp_path / "in", "--json", tmp_path / "found.json")
    assert result.exit_code == 0, result.output
    assert "1  safe text" in result.output
    paths = [os.fsencode(entry["path"]) for entry in json.loads((tmp_path / "found.json").read_bytes())["files"]]
    assert [path.rpartition(b"/")[2] for path in paths] == [b"a.dcm", b"no text \xff"]


def test_a_json_file_that_finds_no_room_is_told_and_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "found.json"

    def no_room(path: Path, content: bytes) -> None:
        path.write_bytes(content[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(screen_command, "write_identified", no_room)
    result = run(put(tmp_path, "a.dcm", written("SUPINE")), "--json", target)
    assert result.exit_code == 1
    assert "1  clear" in result.output
    assert "Stopped: the JSON file cannot be written (No space left on device)" in result.output
    assert not target.exists()
    assert f"{target}: keep" not in result.output


@pytest.mark.parametrize("content", [b"nothing of the kind", write_part10(sr_instance())])
def test_where_no_image_is_nothing_is_shown_to_be_clear(tmp_path: Path, content: bytes) -> None:
    result = run(put(tmp_path, "a", content))
    assert result.exit_code == 1
    assert "nothing was shown to be clear" in result.output
    assert "add --json FILE" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--with-text",), "add --json FILE"),
        (("--json", "{there}"), "is there already"),
        (("--json", "{dangling}"), "is there already"),
        (("--images", "{there}"), "is there already"),
        (("--json", "{there}-no/found.json"), "is not there or cannot be written"),
        (("--jobs", "0"), "0 is not in the range"),
        (("{there}-no",), "does not exist"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_read(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    there = put(tmp_path / "in", "a.dcm", b"something")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    words = [word.format(there=there, dangling=tmp_path / "dangling") for word in arguments]
    result = CliRunner().invoke(main, ["screen", str(there), *words])
    assert result.exit_code == 2, result.output
    assert sentence in result.output.replace("\n", " ")
    assert there.read_bytes() == b"something"
    assert not (tmp_path / "nothing").exists()


# -- layers ------------------------------------------------------------------------------------------------------------


def plane(text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    picture = np.zeros((128, 256), dtype=np.uint8)
    picture[-1, -1] = 1
    if text:
        plant(picture, text, np.random.default_rng(3), contrast=1, height=18, at=(12, 10))
    return picture


def entry(tmp_path: Path, content: bytes) -> tuple[Result, dict[str, Any]]:
    result = run(put(tmp_path, "a.dcm", content), "--json", tmp_path / "found.json", "--images", tmp_path / "boxed")
    [told] = json.loads((tmp_path / "found.json").read_text())["files"]
    return result, told


def test_text_in_a_layer_alone_is_found_and_told_by_the_name_of_the_layer(tmp_path: Path) -> None:
    content = with_overlay(image(flat(), bits_stored=12, **HEADER), plane(""), plane(NAME))
    result, told = entry(tmp_path, part10(content).getvalue())
    assert result.exit_code == 1
    assert (told["verdict"], told["reason"]) == ("suspect", "burned-in-text")
    assert told["detail"] == "1 piece(s) of text besides the pixel data: overlay 6000"
    assert [frame["verdict"] for frame in told["frames"]] == ["clear"]
    [layer] = told["layers"]
    assert (layer["layer"], layer["verdict"], layer["frame_count"]) == ("overlay 6000", "suspect", 2)
    [frame] = layer["frames"]
    assert frame["frame"] == 1
    assert frame["regions"][0]["x"] <= 20 <= frame["regions"][0]["x"] + frame["regions"][0]["width"]
    # A box of the overlay would be wrong in a picture of the pixels.
    assert list((tmp_path / "boxed").iterdir()) == []


def test_safe_text_in_a_layer_leaves_an_image_clear(tmp_path: Path) -> None:
    result, told = entry(tmp_path, part10(with_overlay(image(flat(), bits_stored=12), plane("SUPINE"))).getvalue())
    assert (result.exit_code, told["verdict"]) == (0, "clear")
    assert told["layers"][0]["verdict"] == "clear"
    assert "1  safe text" in result.output


def test_a_layer_that_cannot_be_read_is_not_called_clear(tmp_path: Path) -> None:
    content = image(flat(), bits_stored=12)
    broken = icon_of(plane(""))
    del broken.PhotometricInterpretation
    content.IconImageSequence = Sequence([broken])
    result, told = entry(tmp_path, part10(content).getvalue())
    assert result.exit_code == 1
    assert (told["verdict"], told["reason"], told["detail"]) == (
        "not-evaluated",
        "pixels-undecodable",
        "not read: icon",
    )
    assert (told["frames"][0]["verdict"], told["layers"][0]["verdict"]) == ("clear", "not-evaluated")


def test_texts_have_no_box(tmp_path: Path) -> None:
    _, told = entry(tmp_path, write_part10(sr_instance()))
    assert told["detail"] == "2 piece(s) of text besides the pixel data: report text"
    [layer] = told["layers"]
    regions = [region for frame in layer["frames"] for region in frame["regions"]]
    assert [set(region) for region in regions] == [{"kind", "text_class", "fate"}] * 2


@pytest.mark.slow
def test_ctrl_c_ends_the_children_and_what_was_done_is_told(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for number in range(60):
        put(tmp_path / "in", f"{number:02}.dcm", part10(image(phantom(random), bits_stored=12)).getvalue())
    target = tmp_path / "found.json"
    command = [sys.executable, "-m", "bridge", "screen", str(tmp_path / "in"), "--json", str(target), "--jobs", "2"]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509
    )
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if line.startswith("Reading pixels"):
                break
        os.kill(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert process.wait(timeout=60) == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert "Stopped by hand" in rest
    told = json.loads(target.read_text())
    assert not told["complete"]
    assert len(told["files"]) == 60
    kinds = {entry["verdict"] for entry in told["files"]}
    assert kinds >= {"not-done"}
    assert any(entry["verdict"] != "not-done" for entry in told["files"])


# -- what the children do ----------------------------------------------------------------------------------------------


def task(path: Path, **more: Any) -> ScreenTask:
    return ScreenTask(identified_source=str(path), with_text=False, **more)


def test_a_harmless_word_that_is_the_patients_name_identifies(tmp_path: Path) -> None:
    other = put(tmp_path, "a.dcm", written("FOOT", PatientName="Unreal^Quilmara"))
    own = put(tmp_path, "b.dcm", written("FOOT", PatientName="Foot^Quilmara"))
    classes = []
    for path in (other, own):
        outcome = screen(task(path))
        assert isinstance(outcome, Screened)
        assert not outcome.report.identified_texts
        classes.append({finding.text_class for finding in outcome.report.findings})
    assert classes == [{TextClass.SAFE}, {TextClass.IDENTIFYING}]


def test_the_number_of_frames_that_a_header_announces_is_no_more_than_that(tmp_path: Path) -> None:
    for number, (said, taken) in enumerate({"7": 7, "-1": 1, "": 1, "9" * 12: 1 << 20}.items()):
        content = image(flat(), bits_stored=12)
        content.add_new(0x00280008, "IS", said)
        assert announced_frames(str(put(tmp_path, f"{number}", part10(content).getvalue()))) == Announced(frames=taken)
    assert announced_frames(str(put(tmp_path, "text", b"x" * 300))) == NotDicom()


def test_what_cannot_be_opened_is_told_without_its_path(tmp_path: Path) -> None:
    for outcome in (announced_frames(str(tmp_path / "Kowalczyk")), screen(task(tmp_path / "Kowalczyk"))):
        assert isinstance(outcome, Hold)
        assert outcome.reason is HoldReason.UNREADABLE
        assert "Kowalczyk" not in repr(outcome)
    assert "Kowalczyk" not in repr(task(tmp_path / "Kowalczyk"))


def test_a_frame_that_cannot_be_drawn_is_told_and_a_picture_without_room_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "a.dcm", written(NAME))
    with pytest.raises(OutputError, match="a picture cannot be written") as caught:
        screen(task(path, pictures=str(tmp_path / "nothing/0001")))
    assert str(tmp_path) not in str(caught.value)

    def undrawn(*_: object) -> bytes:
        raise NotRenderableError("This frame cannot be decoded.")

    monkeypatch.setattr(Renderer, "png", undrawn)
    outcome = screen(task(path, pictures=str(tmp_path / "0001")))
    assert isinstance(outcome, Screened)
    assert (outcome.pictures, outcome.not_drawn) == ((), (0,))
    assert outcome.report.verdict is PixelVerdict.REDACT


def test_a_file_that_kills_its_process_twice_is_told_and_costs_no_other(tmp_path: Path) -> None:
    class Mortal:
        def run(self, function: Callable[[str], Any], argument: str, **_: Any) -> Any:
            if "deadly" in argument:
                raise ChildDiedError("the child process was killed by signal 9")
            return function(argument)

        def close(self) -> None:
            pass

    for name in ("deadly.txt", "other.txt"):
        put(tmp_path, name, b"nothing of the kind")
    files = find_files([tmp_path])
    for file, outcome in in_children(
        cast("Pool", Mortal()), 1, files, announced_frames, lambda file: str(file.identified_path)
    ):
        file.outcome = outcome if isinstance(outcome, Hold) else None
    assert [(file.verdict, file.why[0]) for file in files] == [
        ("not-evaluated", "process-died"),
        ("not-done", "interrupted"),
    ]
    assert sum(count.files for count in counts_of([*files, replace(files[0])])) == 3
    assert "deadly" not in repr(files)
