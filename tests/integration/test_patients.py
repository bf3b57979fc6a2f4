"""Identity through time: rotation while all runs, a patient found and erased, and the backup drill of the docs."""

import io
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cases.blobs import LocalBlobs
from tests.builders import ct_instance
from tests.integration.running import RunningBridge, running_bridge
from tests.integration.senders import cases_of, deliver, images_of, settled
from tests.postgres import PostgresCluster

NUMBER = "KNR-558211-XQ"
ERASED = {"PatientID": NUMBER, "PatientName": "Zwitschervogel^Kanaria"}


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with running_bridge(tmp_path / "data") as running:
        yield running


def send_study(bridge: RunningBridge, tmp_path: Path, study: int, number: int, **attributes: Any) -> None:
    """Send one image, each study from a sender of its own, and wait for its place."""
    calling = f"STUDY{study}"
    deliver(
        bridge, tmp_path / f"{study}-{number}", [ct_instance(study=study, number=number, **attributes)], calling=calling
    )
    settled(bridge, calling, number)


def identity_of(bridge: RunningBridge, study: int, number: int) -> tuple[str, ...]:
    """Return what the files of a study's one case say of patient, study and day; they have to agree."""
    [case] = cases_of(bridge, f"STUDY{study}")
    images = images_of(bridge.get(f"/api/v1/cases/{case['id']}"))
    assert len(images) == number
    blobs = LocalBlobs(bridge.data_dir / "blobs")
    files = [path.relative_to(bridge.data_dir / "blobs") for path in (bridge.data_dir / "blobs").rglob("*.dcm")]
    read = [dcmread(io.BytesIO(blobs.read(str(path)))) for path in files if case["id"] in path.parts]
    assert len(read) == number
    [identity] = {_identity(one) for one in read}
    return (case["id"], *identity)


def _identity(one: Dataset) -> tuple[str, ...]:
    words = ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "StudyDate")
    return tuple(str(one.get(word, "")) for word in words)


def test_rotation_finding_and_erasing_while_everything_runs(bridge: RunningBridge, tmp_path: Path) -> None:
    send_study(bridge, tmp_path, 1, 1, **ERASED)
    send_study(bridge, tmp_path, 2, 1)
    before = [identity_of(bridge, study, 1) for study in (1, 2)]

    rotated = bridge.cli("secret", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    send_study(bridge, tmp_path, 1, 2, **ERASED)
    send_study(bridge, tmp_path, 3, 1, **ERASED)

    assert [identity_of(bridge, 1, 2), identity_of(bridge, 2, 1)] == before
    found = bridge.cli("find-patient", "--json", says=f" {NUMBER.lower()}\n")
    cases = json.loads(found.stdout)["cases"]
    assert [(case["case_id"], case["secret_generation"]) for case in cases] == [
        (before[0][0], 1),
        (identity_of(bridge, 3, 1)[0], 2),
    ]
    assert {case["issuer"] for case in cases} == {"no hospital"}

    shown = bridge.cli("find-patient", says=NUMBER)
    unconfirmed = bridge.cli("find-patient", "--erase", says=NUMBER)
    erased = bridge.cli("find-patient", "--erase", "--yes", says=NUMBER)
    nobody = bridge.cli("find-patient", says=NUMBER)

    assert before[0][0] in shown.stdout
    assert (unconfirmed.returncode, erased.returncode, nobody.returncode) == (1, 0, 3)
    assert "--yes" in unconfirmed.stderr
    assert "Erased: 2 case(s) with 3 image(s), and 3 original(s)" in erased.stderr
    assert not [case for study in (1, 3) for case in cases_of(bridge, f"STUDY{study}") if case["status"] != "removed"]
    assert identity_of(bridge, 2, 1) == before[1]
    assert bridge.status()["adds_up"]
    said = [one.stdout + one.stderr for one in (rotated, found, shown, unconfirmed, erased, nobody)]
    _check_silent(bridge, said)


def _check_silent(bridge: RunningBridge, said: list[str]) -> None:
    """Whom was asked for stands nowhere, and the secret nowhere but in its file."""
    lines = (bridge.data_dir / "secret").read_text().splitlines()
    secrets = [line.split()[-1] for line in lines if not line.startswith("#")]
    files = [path for path in bridge.data_dir.rglob("*") if path.is_file() and path != bridge.data_dir / "secret"]
    kept = [
        (path.name, path.read_bytes())
        for path in files
        if not path.is_relative_to(bridge.data_dir / "spool" / "studies")
    ]
    kept += [("log", bridge.log_file.read_bytes()), ("output", "".join(said).encode())]
    for name, content in kept:
        assert not any(word.encode() in content for word in (NUMBER, "Zwitschervogel", *secrets)), name


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("", "nothing was given"),
        ("\n\n", "nothing was given"),
        (f"{NUMBER}\nnorth\nmore\n", "one patient at a time"),
    ],
)
def test_what_is_no_patient_is_refused_without_repeating_it(tmp_path: Path, says: str, sentence: str) -> None:
    bridge = RunningBridge(data_dir=tmp_path / "data")
    assert bridge.cli("migrate").returncode == 0

    done = bridge.cli("find-patient", says=says)
    study = bridge.cli("find-patient", "--study", says=NUMBER)

    assert (done.returncode, study.returncode) == (1, 1)
    assert sentence in done.stderr
    assert "no UID" in study.stderr
    assert NUMBER not in done.stdout + done.stderr + study.stdout + study.stderr


# -- the backup drill of docs/administrator.md -------------------------------------------------------------------------


def test_after_a_restore_late_images_keep_their_identity(bridge: RunningBridge, tmp_path: Path) -> None:
    send_study(bridge, tmp_path, 1, 1)
    bridge.cli("secret", "rotate")
    send_study(bridge, tmp_path, 2, 1)
    before = [identity_of(bridge, study, 1) for study in (1, 2)]

    backup = tmp_path / "backup"
    backup.mkdir()
    with closing(sqlite3.connect(bridge.data_dir / "casebridge.db")) as live:
        live.execute("VACUUM INTO ?", (str(backup / "casebridge.db"),))
    shutil.copy2(bridge.data_dir / "secret", backup / "secret")
    shutil.copytree(bridge.data_dir / "blobs", backup / "blobs")
    bridge.stop()

    shutil.copytree(backup, tmp_path / "restored")
    with running_bridge(tmp_path / "restored") as restored:
        for study in (1, 2):
            send_study(restored, tmp_path, study, 2)
        assert [identity_of(restored, study, 2) for study in (1, 2)] == before
        assert restored.status()["adds_up"]

    _refuses_without_its_secret(tmp_path / "lost", backup)


def _refuses_without_its_secret(folder: Path, backup: Path) -> None:
    shutil.copytree(backup, folder, ignore=shutil.ignore_patterns("secret"))
    lost = RunningBridge(data_dir=folder)
    for command in (("serve",), ("worker",), ("find-patient",)):
        done = lost.cli(*command, says=NUMBER)
        assert done.returncode in {1, 2}, command
        assert "restore" in done.stderr, command
    assert not (folder / "secret").exists(), "no second identity was begun"
    assert not (folder / "spool" / "secret.check").exists()

    (folder / "secret").write_text("ab" * 32)
    (folder / "secret").chmod(0o600)
    for command in (("serve",), ("worker",), ("secret", "rotate")):
        done = lost.cli(*command)
        assert done.returncode in {1, 2}, command
        assert "second identity" in done.stderr, command
    shutil.copy2(backup / "secret", folder / "secret")
    assert lost.cli("migrate").returncode == 0, "the right one mends it"


def test_the_drill_on_postgresql(postgres_cluster: PostgresCluster, tmp_path: Path) -> None:
    url = postgres_cluster.new_database()
    restored_url = postgres_cluster.new_database()
    with running_bridge(tmp_path / "data", environment={"CASEBRIDGE_DATABASE_URL": url}) as bridge:
        send_study(bridge, tmp_path, 1, 1)
        bridge.cli("secret", "rotate")
        send_study(bridge, tmp_path, 2, 1)
        before = [identity_of(bridge, study, 1) for study in (1, 2)]
        dump = _postgres("pg_dump", "-Fc", _plain(url))
        shutil.copytree(bridge.data_dir / "blobs", tmp_path / "restored" / "blobs")
        secret = (bridge.data_dir / "secret").read_bytes()
    _postgres("pg_restore", "--no-owner", "-d", _plain(restored_url), given=dump)

    settings = {"CASEBRIDGE_DATABASE_URL": restored_url}
    refused = RunningBridge(data_dir=tmp_path / "restored", environment=settings).cli("serve")
    assert refused.returncode == 2
    assert "restore the file from its backup" in refused.stderr
    (tmp_path / "restored" / "secret").write_bytes(secret)
    (tmp_path / "restored" / "secret").chmod(0o600)
    with running_bridge(tmp_path / "restored", environment=settings) as restored:
        for study in (1, 2):
            send_study(restored, tmp_path, study, 2)
        assert [identity_of(restored, study, 2) for study in (1, 2)] == before


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def _postgres(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(arguments, input=given, capture_output=True, check=True, timeout=120).stdout
