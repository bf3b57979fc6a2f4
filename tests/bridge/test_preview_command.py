"""``casebridge profile preview`` shows what becomes of files, and writes only files that their owner alone may read."""

import io
import json
import stat
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from bridge.__main__ import main
from bridge.preview import Previewer
from tests.builders import ct_instance, sr_instance, write_part10
from tests.deidentify.support import profile


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))


def preview(*words: str) -> Result:
    return CliRunner().invoke(main, ["profile", "preview", *words], env={"COLUMNS": "160"})


def written(folder: Path, name: str, part10: bytes) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(part10)
    return str(folder / name)


def with_text(words: str) -> bytes:
    """Return an image with words drawn into its pixels."""
    picture = Image.new("L", (256, 128), 0)
    ImageDraw.Draw(picture).text((10, 40), words, fill=255, font_size=32)
    instance = ct_instance(PatientName="Quilmara^Unreal", Rows=128, Columns=256)
    instance.PixelData = (np.asarray(picture, dtype=np.uint16) * 8).tobytes()
    return write_part10(instance)


def test_a_clean_file_is_shown_changed_element_by_element(tmp_path: Path) -> None:
    path = written(tmp_path / "in", "a.dcm", write_part10(ct_instance(PatientName="Quilmara^Unreal")))
    done = preview("teaching", path, "--no-pixels")
    assert done.exit_code == 0, done.output
    assert "delivered" in done.output
    assert "Quilmara^Unreal" in done.output
    assert "option: clean-descriptors" in done.output or "Basic Profile: Table E.1-1" in done.output
    assert "identifies patients" in done.output


def test_what_is_left_out_or_held_ends_with_1_and_says_why(tmp_path: Path) -> None:
    report = written(tmp_path / "in", "sr.dcm", write_part10(sr_instance()))
    broken = written(tmp_path / "in", "broken.dcm", b"\0" * 128 + b"DICM" + b"nothing")
    assert "does not clean structured content" in preview("strict", report, "--no-pixels").output
    done = preview("teaching", report, broken, "--no-pixels")
    assert done.exit_code == 1
    assert "held" in done.output


def test_files_that_identify_are_new_and_their_owners_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "in", "a.dcm", write_part10(ct_instance(PatientName="Quilmara^Unreal")))
    target, pictures = tmp_path / "all.json", tmp_path / "pictures"
    words = ("teaching", path, "--no-pixels", "--json", str(target), "--images", str(pictures))
    assert preview(*words).exit_code == 0
    (told,) = json.loads(target.read_text())
    assert told["outcome"] == "delivered"
    assert {"same", "changed", "removed", "added"} <= set(told["counts"])
    assert any(row["identified_before"] == "Quilmara^Unreal" for row in told["elements"])
    (picture,) = pictures.iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [stat.S_IMODE(one.stat().st_mode) for one in (target, pictures, picture)] == [0o600, 0o700, 0o600]
    again = preview(*words)
    assert again.exit_code == 2
    assert "is there already" in again.output


def test_text_in_pixels_is_boxed_before_and_after_stand_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "named.dcm"
    path.write_bytes(with_text("QUILMARA UNREAL"))
    found = Previewer(profile(), has_screen=True, has_pictures=True).file(path)
    assert (found.outcome, found.reason) == ("held", "burned-in-text")
    assert found.rows
    sheet = Image.open(io.BytesIO(found.identified_pictures[0]))
    red = np.all(np.asarray(sheet)[..., :3] == (255, 64, 64), axis=-1)
    assert red[:, : sheet.width // 2].any()
    assert not red[:, sheet.width // 2 :].any()
