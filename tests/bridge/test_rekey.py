"""``casebridge spool rekey`` as an administrator runs it: new key before the old one, seal, take the old one out."""

import pytest
from click.testing import CliRunner, Result

from bridge.__main__ import main
from bridge.app import open_database, open_spool, prepare_folders
from cases.store import Audit
from config import load_settings
from tests.bridge.spooled import arrive
from tests.bridge.test_spool_keys import KEY, OTHER, key_file, settings_in


def run(monkeypatch: pytest.MonkeyPatch, settings, *arguments: str) -> Result:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(settings.data_dir))
    if settings.spool_key_file is not None:
        monkeypatch.setenv("CASEBRIDGE_SPOOL_KEY_FILE", str(settings.spool_key_file))
    return CliRunner().invoke(main, list(arguments))


def test_the_drill_of_a_rotation(tmp_path, monkeypatch):
    settings = settings_in(tmp_path, spool_key_file=str(key_file(tmp_path, KEY)))
    prepare_folders(settings)
    first = arrive(open_spool(settings), 1)

    key_file(tmp_path, OTHER, KEY)
    second = arrive(open_spool(settings), 1, 2)
    done = run(monkeypatch, settings, "spool", "rekey")
    assert done.exit_code == 0, done.output
    assert "1 file(s) sealed under the key" in done.output
    assert "1 were under it already" in done.output
    assert "No other key is needed any more" in done.output

    key_file(tmp_path, OTHER)
    found = open_spool(settings).scan()[0]
    assert [arrival.arrival_id for arrival in found] == [first.arrival_id, second.arrival_id]
    with open_database(settings) as database, database.read() as session:
        [entry] = [entry for entry in Audit(session).entries() if entry.action == "spool.rekey"]
    assert entry.detail["sealed"] == 1
    assert entry.detail["ended"] == "complete"
    assert KEY not in str(entry)


def test_without_a_key_it_says_what_to_set(tmp_path, monkeypatch):
    settings = load_settings({"CASEBRIDGE_DATA_DIR": str(tmp_path)})
    prepare_folders(settings)
    done = run(monkeypatch, settings, "spool", "rekey")
    assert done.exit_code == 2
    assert "spool_key_file" in done.output


def test_a_damaged_file_is_named_and_its_key_stays_needed(tmp_path, monkeypatch):
    settings = settings_in(tmp_path, spool_key_file=str(key_file(tmp_path, KEY)))
    prepare_folders(settings)
    spool = open_spool(settings)
    arrival = arrive(spool, 1)
    path = spool.path(arrival.study_key, arrival.sop_key, arrival.arrival_id)
    path.write_bytes(path.read_bytes()[:-1])
    key_file(tmp_path, OTHER, KEY)

    done = run(monkeypatch, settings, "spool", "rekey")

    assert done.exit_code == 1
    assert f"{path.name} is damaged" in done.output
    assert "Still needed" in done.output
