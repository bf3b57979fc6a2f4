"""The spool keys come from a file or a command; what is wrong with them stops the start and shows none of them."""

import json
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bridge import spool_keys
from bridge.__main__ import main
from bridge.app import open_spool, prepare_folders
from bridge.keys import SecretError
from bridge.spool_keys import check_spool_keys, load_spool_keys, new_spool_key
from config import ConfigError, load_settings
from scp.sealing import SpoolKeys
from tests.bridge.spooled import arrive
from tests.integration.running import free_port

KEY, OTHER = "11" * 32, "22" * 32


def settings_in(folder, **given):
    return load_settings(
        {"CASEBRIDGE_DATA_DIR": str(folder), **{f"CASEBRIDGE_{k.upper()}": v for k, v in given.items()}}
    )


def key_file(folder, *lines, mode=0o600):
    path = folder / "spool.key"
    path.write_text("\n".join(lines))
    path.chmod(mode)
    return path


def test_without_a_setting_there_is_no_key(tmp_path):
    assert load_spool_keys(settings_in(tmp_path)) is None


def test_a_new_key_is_one_that_a_file_can_hold(tmp_path):
    printed = CliRunner().invoke(main, ["spool-key", "new"])
    assert printed.exit_code == 0
    keys = load_spool_keys(
        settings_in(tmp_path, spool_key_file=str(key_file(tmp_path, printed.output, new_spool_key())))
    )
    assert keys is not None
    assert len(set(keys.keys)) == 2
    assert f"spool key {keys.ids[0][:8]}," in printed.output


def test_a_key_file_open_to_others_is_refused_with_the_mend(tmp_path):
    with pytest.raises(SecretError, match="chmod 600"):
        load_spool_keys(settings_in(tmp_path, spool_key_file=str(key_file(tmp_path, KEY, mode=0o640))))


@pytest.mark.parametrize("line", ["", KEY[:-2], "a canary instead of a key"])
def test_a_damaged_key_file_is_refused_without_being_shown(tmp_path, line):
    with pytest.raises(SecretError, match="spool-key new") as refused:
        load_spool_keys(settings_in(tmp_path, spool_key_file=str(key_file(tmp_path, line))))
    assert line == "" or line not in str(refused.value)


def test_a_missing_key_file_is_not_replaced_by_a_new_one(tmp_path):
    with pytest.raises(SecretError, match="restore it"):
        load_spool_keys(settings_in(tmp_path, spool_key_file=str(tmp_path / "spool.key")))
    assert not (tmp_path / "spool.key").exists()


def test_a_command_is_run_once_and_what_it_says_to_its_error_stream_goes_nowhere(tmp_path, capfd):
    script = tmp_path / "keys.py"
    script.write_text(
        f"import pathlib, sys; file = pathlib.Path({str(tmp_path / 'runs')!r})\n"
        "file.write_text(file.read_text() + 'x' if file.exists() else 'x')\n"
        f"print('a canary', file=sys.stderr); print({KEY!r})"
    )
    settings = settings_in(tmp_path, spool_key_command=f"{sys.executable} '{script}'")
    assert load_spool_keys(settings) == load_spool_keys(settings) == SpoolKeys(keys=(bytes.fromhex(KEY),))
    assert (tmp_path / "runs").read_text() == "x"
    assert "canary" not in "".join(capfd.readouterr())
    assert str(script) not in repr(settings)


@pytest.mark.parametrize(
    ("command", "fault"),
    [("/nowhere/at-all", "cannot be run"), ("false", "status 1"), ("echo no key", "no use"), ("sleep 60", "within")],
)
def test_a_command_that_gives_no_key_is_refused(tmp_path, monkeypatch, command, fault):
    monkeypatch.setattr(spool_keys, "COMMAND_TIMEOUT_S", 0.2)
    with pytest.raises(SecretError, match=fault) as refused:
        load_spool_keys(settings_in(tmp_path, spool_key_command=command))
    assert command not in str(refused.value)


def test_file_and_command_together_are_a_fault_and_neither_is_a_broken_command_quoted(tmp_path):
    both = {"spool_key_file": str(tmp_path / "spool.key"), "spool_key_command": "echo key"}
    with pytest.raises(ConfigError, match="take one of the two out"):
        settings_in(tmp_path, **both)
    with pytest.raises(ConfigError, match="quote") as refused:
        settings_in(tmp_path, spool_key_command="get-key 'token-canary")
    assert "canary" not in str(refused.value)


def test_a_spool_that_was_sealed_is_not_opened_without_its_key(tmp_path):
    with_key = settings_in(tmp_path, spool_key_file=str(key_file(tmp_path, KEY)))
    prepare_folders(with_key)
    arrive(open_spool(with_key), 1)

    with pytest.raises(SecretError, match="spool_key_file"):
        open_spool(settings_in(tmp_path))
    key_file(tmp_path, OTHER)
    with pytest.raises(SecretError, match="not configured"):
        open_spool(with_key)
    key_file(tmp_path, OTHER, KEY)
    assert len(open_spool(with_key).scan()[0]) == 1
    assert open_spool(with_key).quarantined() == 0


def test_the_programs_refuse_to_start_with_a_sentence(tmp_path):
    with_key = settings_in(tmp_path, spool_key_file=str(key_file(tmp_path, KEY)))
    prepare_folders(with_key)
    ports = {f"CASEBRIDGE_{name}_PORT": str(free_port()) for name in ("DICOM", "HTTP")}
    environ = {"CASEBRIDGE_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", **ports}
    for command in ("serve", "scp", "worker"):
        done = subprocess.run(
            [sys.executable, "-m", "bridge", command],
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "which is not configured" in done.stderr
        assert "Traceback" not in done.stderr


def test_no_key_leaves_the_spool_as_it_was(tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    check_spool_keys(spool, None)
    assert list(spool.iterdir()) == []
    check_spool_keys(spool, SpoolKeys(keys=(bytes.fromhex(KEY),)))
    [mark] = (spool / "keys").iterdir()
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600
    assert mark.read_bytes() == b""
    assert KEY not in json.dumps([path.name for path in spool.rglob("*")])
