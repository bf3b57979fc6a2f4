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
from bridge.app import open_database, open_spool, prepare_folders
from bridge.commitments import CommitmentDecisions
from bridge.preview import Previewer
from cases.audit import AuditEntry
from cases.store import Audit
from config import Settings, load_settings
from deidentify.deidentifier import Deidentifier
from deidentify.pixels.screen import PixelScreener
from scp.arrival import Arrival
from tests.bridge.spooled import arrive
from tests.bridge.test_scanner import Engine, scanner
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
    found = Previewer(Deidentifier(profile()), screener=PixelScreener(), most_pictures=None).of(path.read_bytes)
    assert (found.outcome, found.reason) == ("held", "burned-in-text")
    assert found.rows
    sheet = Image.open(io.BytesIO(found.identified_pictures[0]))
    red = np.all(np.asarray(sheet)[..., :3] == (255, 64, 64), axis=-1)
    assert red[:, : sheet.width // 2].any()
    assert not red[:, sheet.width // 2 :].any()


# -- retained studies --------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path / "data")})


def received(settings: Settings, *studies: tuple[int, int]) -> list[Arrival]:
    """Let instances (study, number) arrive and be recorded."""
    prepare_folders(settings)
    spool = open_spool(settings)
    arrivals = [arrive(spool, study, number) for study, number in studies]
    with open_database(settings) as database:
        decisions = CommitmentDecisions(database=database, spool=spool, keep_days=30)
        scanner(database, spool, Engine(), commitments=decisions).tick()
    return arrivals


def audit_of(settings: Settings, action: str) -> list[AuditEntry]:
    with open_database(settings) as database, database.read() as session:
        return list(Audit(session).entries(actions=[action]))


def test_a_retained_study_is_previewed_audited_and_kept_beside_its_originals(settings: Settings) -> None:
    first, second = received(settings, (1, 1), (1, 2))
    done = preview("teaching", "--study", first.study_key, "--no-pixels")
    assert done.exit_code == 0, done.output
    assert "2 of 2" in done.output
    [entry] = audit_of(settings, "profile.preview")
    assert entry.subject == f"study {first.study_key}"
    assert entry.detail == {"revision": profile().revision, "count": 2}
    spool = open_spool(settings)
    name = f"preview-{profile().revision}.json"
    for one in (first, second):
        kept = spool.read_beside(one.study_key, one.sop_key, one.arrival_id, name)
        assert kept is not None
        assert json.loads(kept)[0]["outcome"] == "delivered"
    spool.remove(first.study_key, first.sop_key, first.arrival_id)
    assert spool.read_beside(first.study_key, first.sop_key, first.arrival_id, name) is None
    assert not list(settings.spool_dir.rglob(f"*{first.arrival_id}*"))


def test_many_instances_are_sampled_from_the_first_to_the_last(settings: Settings) -> None:
    arrivals = received(settings, *((1, number) for number in range(1, 8)))
    done = preview("teaching", "--study", arrivals[0].study_key, "--no-pixels", "--most", "3")
    assert [one.arrival_id in done.output for one in arrivals] == [True, False, False, True, False, False, True]
    [entry] = audit_of(settings, "profile.preview")
    assert entry.detail["count"] == 3


def test_a_study_that_is_not_there_and_both_kinds_of_source_are_refused(settings: Settings, tmp_path: Path) -> None:
    prepare_folders(settings)
    assert preview("teaching", "--study", "0" * 32).exit_code == 2
    path = written(tmp_path / "in", "a.dcm", write_part10(ct_instance()))
    assert preview("teaching", path, "--study", "0" * 32).exit_code == 2
    assert preview("teaching").exit_code == 2


def impact(*words: str) -> Result:
    return CliRunner().invoke(main, ["profile", "impact", *words], env={"COLUMNS": "160"})


def test_the_impact_counts_what_would_change_over_the_last_studies(settings: Settings) -> None:
    received(settings, (1, 1), (2, 1), (3, 1))
    done = impact("teaching", "strict", "--last", "2", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert (found["instances"], found["touched"]) == (2, 2)
    assert found["outcomes"] == [{"first": "delivered", "second": "delivered", "instances": 2}]
    fates = {row["place"]: (row["first"], row["second"]) for row in found["attributes"]}
    assert fates["(0008,0020)"] == ("changed", "emptied")
    [entry] = audit_of(settings, "profile.impact")
    assert entry.detail == {"studies": 2, "count": 2}


def test_holds_that_would_appear_are_told_without_a_value(tmp_path: Path) -> None:
    path = written(tmp_path / "in", "sr.dcm", write_part10(sr_instance(PatientName="Quilmara^Unreal")))
    done = impact("teaching", "strict", path)
    assert done.exit_code == 0
    assert "held: profile" in done.output
    assert "Quilmara" not in done.output


def test_the_same_profile_changes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "in", "a.dcm", write_part10(ct_instance(PatientName="Quilmara^Unreal")))
    found = json.loads(impact("teaching", "teaching", path, "--json").output)
    assert (found["touched"], found["attributes"]) == (0, [])
