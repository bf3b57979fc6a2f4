"""The command line as an operator meets it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bridge.__main__ import main
from tests.builders import ct_instance
from tests.integration.running import CHECKOUT, RunningBridge, eventually, free_port, running_bridge
from tests.integration.senders import settled, write_files

COMMANDS = (
    "serve",
    "scp",
    "worker",
    "api",
    "migrate",
    "send",
    "demo",
    "deidentify",
    "export",
    "screen",
    "status",
    "token",
    "user",
    "peers",
    "receipts",
    "originals",
    "find-patient",
    "audit",
    "profile",
    "crosswalk",
    "consent",
    "secret",
    "spool",
    "spool-key",
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path_factory.mktemp("started") / "data") as running:
        eventually(lambda: "Stop: Ctrl-C" in banner(running), within_s=10, what="the banner")
        yield running


def banner(bridge: RunningBridge) -> str:
    """Return what was printed, without the log lines."""
    return "\n".join(line for line in bridge.log_file.read_text().splitlines() if not line.startswith("{"))


def token_in(text: str) -> str:
    lines = text.splitlines()
    [position] = [number for number, line in enumerate(lines) if "Administrator's token" in line]
    return lines[position + 1].strip()


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command with these settings only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CASEBRIDGE_")}
    return subprocess.run(
        [sys.executable, "-m", "bridge", *arguments],
        env=kept | {f"CASEBRIDGE_{name}": value for name, value in settings.items()},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# -- starting --------------------------------------------------------------------------------------------------------


def test_the_banner_says_what_an_operator_needs(started: RunningBridge) -> None:
    text = banner(started)

    assert "Casebridge is ready." in text
    assert "AE title     CASEBRIDGE" in text
    assert f"port {started.dicom_port} on 127.0.0.1" in text
    assert f"http://127.0.0.1:{started.http_port}/api/v1" in text
    assert f"Data         {started.data_dir}" in text
    assert "this machine only" in text


def test_the_token_is_shown_once_and_opens_the_api(tmp_path: Path) -> None:
    bridge = RunningBridge(data_dir=tmp_path / "data", environment={"CASEBRIDGE_ADMIN_TOKEN": ""})
    try:
        bridge.start()
        eventually(lambda: "Stop: Ctrl-C" in banner(bridge), within_s=10, what="the banner")
        token = token_in(banner(bridge))
        assert bridge.get("/api/v1/me", token=token)["role"] == "admin"
        bridge.stop()
        bridge.start()
        eventually(lambda: banner(bridge).count("Stop: Ctrl-C") == 2, within_s=10, what="the second banner")
        assert banner(bridge).count("Administrator's token") == 1
        assert banner(bridge).count(token) == 1
        assert bridge.get("/api/v1/me", token=token)["role"] == "admin"
    finally:
        bridge.stop()
    for path in (file for file in bridge.data_dir.rglob("*") if file.is_file()):
        assert token.encode() not in path.read_bytes(), "the token is stored as a hash only"


def test_a_port_in_use_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name, other in (("DICOM_PORT", "HTTP_PORT"), ("HTTP_PORT", "DICOM_PORT")):
            ports = {name: str(port), other: str(free_port())}
            done = run("serve", DATA_DIR=str(tmp_path / "data"), HOST="127.0.0.1", **ports)
            assert done.returncode == 2
            assert f"port {port} on 127.0.0.1 is in use" in done.stderr
            assert f"CASEBRIDGE_{name}" in done.stderr


WRONG = {
    "DICOM_PORT": ("eleven", "is not a whole number", "from 1 to 65535"),
    "HTTP_PORT": ("70000", "is more than 65535", "from 1 to 65535"),
    "AE_TITLE": ("THIS-TITLE-IS-TOO-LONG", "at most 16", "1 to 16 printable"),
    "QUIET_PERIOD_S": ("-1", "is less than 0", "from 0 to 86400"),
    "MAX_SETTLE_S": ("soon", "is not a number", "from 1 to 86400"),
    "HOST": ("no host", "neither an IP address nor a host name", "address of this machine"),
    "DATABASE_URL": ("mysql://somewhere/db", "", "sqlite:///"),
    "BLOB_URL": ("ftp://somewhere", "", "file:///"),
    "ADMIN_TOKEN": ("short", "can be guessed", "32 or more random characters"),
    "OPEN": ("perhaps", "neither true nor false", "true or false"),
    "LOG_LEVEL": ("LOUD", "is no such choice", "DEBUG, INFO"),
    "PROFILE": ("unknown", "there is no profile", "teaching"),
    "ROUTES": ("not json", "is not JSON", "list of objects"),
    "QUIET_PERIOD": ("3", "there is no such setting", "QUIET_PERIOD_S"),
    "HOLD_REMINDER_DAYS": ("60", "comes after hold_retention_days", "make it smaller"),
    "WORKER_ID": ("a b", "is not a name", "letters, digits"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_setting_names_itself_its_fault_and_the_mend_before_anything_starts(name: str, tmp_path: Path) -> None:
    value, fault, mend = WRONG[name]
    data_dir = tmp_path / "data"

    done = run("serve", **{"DATA_DIR": str(data_dir), "DICOM_PORT": str(free_port()), name: value})

    assert done.returncode == 2, done.stderr
    [sentence] = done.stderr.strip().splitlines()
    assert sentence.startswith(f"CASEBRIDGE_{name}: ")
    assert fault in sentence
    assert mend in sentence
    assert not data_dir.exists(), "nothing was made"


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")

    done = run("serve", DATA_DIR=str(tmp_path / "file" / "data"))

    assert done.returncode == 2
    assert "CASEBRIDGE_DATA_DIR: " in done.stderr
    assert "Traceback" not in done.stderr


def test_every_fault_of_a_settings_file_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('ae_title = ""\nhttp_port = 0\nquiet_perod_s = 3\n')

    done = run("serve", "--config", str(file), DATA_DIR=str(tmp_path / "data"))

    assert done.returncode == 2
    assert {line.split(" ")[0].rstrip(":") for line in done.stderr.strip().splitlines()} == {
        "ae_title", "http_port", "quiet_perod_s",
    }  # fmt: skip
    assert all(str(file) in line for line in done.stderr.strip().splitlines())


@pytest.mark.parametrize("secret", ["not hexadecimal", "ab" * 31])
def test_a_damaged_secret_file_stops_the_start(secret: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(secret)
    file.chmod(0o600)

    done = run(
        "serve", DATA_DIR=str(tmp_path / "data"), SECRET_FILE=str(file), HOST="127.0.0.1",
        DICOM_PORT=str(free_port()), HTTP_PORT=str(free_port()),
    )  # fmt: skip

    assert done.returncode == 2
    assert "is damaged; restore it from its backup" in done.stderr
    assert secret not in done.stderr


# -- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_the_command(command: str) -> None:
    done = run(command, "--help")

    assert done.returncode == 0
    usage, explained = done.stdout.strip().split("\n\n")[:2]
    assert usage.startswith(f"Usage: python -m bridge {command}")
    assert len(explained.split()) >= 4
    shown = [option for option in main.commands[command].params if isinstance(option, click.Option)]
    assert all(option.help for option in shown if not option.hidden)


def test_help_lists_every_command_with_what_it_does() -> None:
    done = run("--help")

    listed = {
        line.split()[0]: line.split()[1:]
        for line in done.stdout.split("Commands:")[1].splitlines()
        if line.startswith("  ") and not line.startswith("   ")
    }
    assert set(listed) == set(COMMANDS)
    assert "\n  casebridge serve " in done.stdout
    assert all(len(words) >= 3 for words in listed.values())


# -- send, status, demo ----------------------------------------------------------------------------------------------


def test_send_sums_up_what_became_of_each_file(started: RunningBridge, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "files", [ct_instance(study=1, number=n) for n in (1, 2, 3)])
    (folder / "readme.txt").write_text("not an object")

    done = started.cli("send", str(folder), "127.0.0.1", str(started.dicom_port), "--aet", "TRY")

    assert done.returncode == 0, done.stderr
    assert "3 stored" in " ".join(done.stderr.split())
    assert "1 skipped: not a DICOM file" in " ".join(done.stderr.split())
    settled(started, "TRY", 3)


def test_send_ends_with_a_fault_when_an_object_is_refused(started: RunningBridge, tmp_path: Path) -> None:
    orphan = ct_instance(study=2, StudyInstanceUID=None)
    folder = write_files(tmp_path / "files", [orphan, ct_instance(study=2, number=2)])

    done = started.cli("send", str(folder), "127.0.0.1", str(started.dicom_port))

    assert done.returncode == 1
    assert "1 stored" in " ".join(done.stderr.split())
    assert "refused: 0xC000" in done.stderr


def test_send_says_that_nothing_listens(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "files", [ct_instance()])

    done = run("send", str(folder), "127.0.0.1", str(free_port()))

    assert done.returncode == 1
    assert "nothing listens at this address" in done.stderr
    assert "Traceback" not in done.stderr


def test_send_says_that_the_receiver_does_not_know_the_ae_title(started: RunningBridge, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "files", [ct_instance()])

    done = started.cli("send", str(folder), "127.0.0.1", str(started.dicom_port), "--aec", "SOMEBODY")

    assert done.returncode == 1
    assert "1/1/7" in done.stderr


def test_status_shows_the_sum_and_gives_it_to_programs(started: RunningBridge, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "files", [ct_instance(study=3), ct_instance(study=3, number=2, PixelData=None)])
    assert started.cli("send", str(folder), "127.0.0.1", str(started.dicom_port), "--aet", "SUM").returncode == 0
    settled(started, "SUM", 2)

    table, report = started.cli("status"), started.cli("status", "--json")

    assert table.returncode == report.returncode == 0, table.stderr
    values = json.loads(report.stdout)
    assert values["adds_up"]
    assert values["held_by_reason"]["pixels-missing"] == 1
    assert values["unrecorded"] == 0
    words = " ".join(table.stdout.split())
    assert f"{values['total']['sent']} sent to us" in words
    assert "1 held for a person" in words
    assert "1 pixels-missing" in words
    assert "Workers: " in words


def test_status_works_while_no_bridge_runs(tmp_path: Path) -> None:
    assert run("migrate", DATA_DIR=str(tmp_path / "data")).returncode == 0

    done = run("status", DATA_DIR=str(tmp_path / "data"))

    assert done.returncode == 0, done.stderr
    assert "none: studies are received and wait" in done.stdout


def test_status_before_the_first_start_says_so(tmp_path: Path) -> None:
    done = run("status", DATA_DIR=str(tmp_path / "data"))

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("No status: ")


def test_the_demo_shows_where_its_drafts_are(started: RunningBridge) -> None:
    done = started.cli("demo")

    assert done.returncode == 0, done.stderr
    text = " ".join(done.stderr.split())
    assert "stored" in text
    assert f"http://127.0.0.1:{started.http_port}/api/v1/cases/" in text
    assert "CT" in text


def test_the_demo_without_a_bridge_says_what_to_do(tmp_path: Path) -> None:
    done = run("demo", DATA_DIR=str(tmp_path / "data"), DICOM_PORT=str(free_port()))

    assert done.returncode == 1
    assert "./run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_can_be_issued_for_a_new_user(started: RunningBridge) -> None:
    done = started.cli("token", "carla")

    assert done.returncode == 0, done.stderr
    me = started.get("/api/v1/me", token=done.stdout.strip())
    assert (me["name"], me["role"]) == ("carla", "contributor")
