"""Storage commitment with real requesters: Orthanc, told on a new association, and one that waits on its own."""

import contextlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from cases.store import Database
from scp.send import Sent, send
from tests.builders import ct_instance, uid, write_part10
from tests.integration.running import RunningBridge, eventually, free_port, running_bridge
from tests.scp.commitments import PUSH, action_information, ask, associate, events, references_in
from tests.tools import require_tool

CT = "1.2.840.10008.5.1.4.1.1.2"
PENDING = "Pending"


@dataclass(frozen=True)
class Ports:
    """Where the requesters take reports."""

    orthanc: int
    modality: int


@pytest.fixture(scope="module")
def ports() -> Ports:
    return Ports(orthanc=free_port(), modality=free_port())


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory, ports: Ports) -> Iterator[RunningBridge]:
    def rule(title: str, port: int) -> dict[str, Any]:
        commitment = {"host": "127.0.0.1", "port": port}
        return {"calling_ae": title, "addresses": ["127.0.0.0/8"], "commitment": commitment}

    peers = [rule("ORTHANC", ports.orthanc), rule("TESTSCU", ports.modality)]
    environment = {"CASEBRIDGE_PEERS": json.dumps(peers), "CASEBRIDGE_COMMITMENT_DAYS": "60"}
    with running_bridge(tmp_path_factory.mktemp("bridge") / "data", environment=environment) as running:
        yield running


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc."""

    http_port: int

    def call(self, path: str, body: Any = None) -> Any:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def answers(self) -> bool:
        try:
            return bool(self.call("/system"))
        except OSError:
            return False

    def outcome(self, transaction: str) -> dict[str, Any]:
        """Wait until Orthanc was told what became of a transaction."""

        def told() -> dict[str, Any] | None:
            found: dict[str, Any] = self.call(f"/storage-commitment/{transaction}")
            return None if found["Status"] == PENDING else found

        return eventually(told, within_s=60, what="Orthanc has the report")


@pytest.fixture(scope="module")
def orthanc(bridge: RunningBridge, ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    program, folder = require_tool("Orthanc"), tmp_path_factory.mktemp("orthanc")
    running = Orthanc(http_port=free_port())
    target = {"AET": "CASEBRIDGE", "Host": "127.0.0.1", "Port": bridge.dicom_port, "AllowStorageCommitment": True}
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": running.http_port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": ports.orthanc,
        "DicomModalities": {"casebridge": target},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, folder / "orthanc.json"], stdout=log, stderr=log)
        try:
            eventually(running.answers, within_s=30, what="Orthanc answers")
            yield running
        finally:
            process.terminate()
            process.wait(timeout=30)


def commitments(bridge: RunningBridge) -> dict[str, Any]:
    return dict(bridge.status()["commitments"])


def test_orthanc_is_promised_what_it_sent(bridge: RunningBridge, orthanc: Orthanc) -> None:
    [study] = {
        orthanc.call("/instances", write_part10(ct_instance(study=11, number=number)))["ParentStudy"]
        for number in range(1, 6)
    }

    sent = orthanc.call(
        "/modalities/casebridge/store", {"Resources": [study], "Synchronous": True, "StorageCommitment": True}
    )
    told = orthanc.outcome(sent["StorageCommitmentTransactionUID"])

    assert told["Status"] == "Success"
    assert len(told["Success"]) == 5
    assert told["Failures"] == []
    assert told["RemoteAET"] == "CASEBRIDGE"
    eventually(lambda: commitments(bridge)["requests"].get("reported"), within_s=20, what="the report is booked")
    assert commitments(bridge)["committed_originals"] >= 5
    exported = bridge.data_dir.parent / "exported"
    done = bridge.cli(
        "originals",
        "export",
        "--transaction",
        sent["StorageCommitmentTransactionUID"],
        "--to",
        str(exported),
        "--reason",
        "the modality lost its copy",
    )
    assert done.returncode == 0, done.stderr
    assert len(list(exported.iterdir())) == 5


def test_orthanc_learns_what_is_not_here(bridge: RunningBridge, orthanc: Orthanc) -> None:
    unknown = uid(99, 1, 1)

    asked = orthanc.call(
        "/modalities/casebridge/storage-commitment",
        {"DicomInstances": [{"SOPClassUID": CT, "SOPInstanceUID": unknown}]},
    )
    told = orthanc.outcome(Path(asked["Path"]).name)

    assert told["Status"] == "Failure"
    assert told["Success"] == []
    [failure] = told["Failures"]
    assert failure["SOPInstanceUID"] == unknown
    assert failure["FailureReason"] == 0x0112
    assert unknown not in bridge.log_file.read_text()


def store(bridge: RunningBridge, folder: Path, instance: Dataset, *, calling: str) -> None:
    path = folder / "one.dcm"
    path.write_bytes(write_part10(instance))
    sent = send([path], host="127.0.0.1", port=bridge.dicom_port, called_ae="CASEBRIDGE", calling_ae=calling)
    assert sent.count(Sent.STORED) == 1


def test_a_requester_that_waits_is_told_on_its_association(bridge: RunningBridge, tmp_path: Path) -> None:
    store(bridge, tmp_path, ct_instance(study=12), calling="TESTSCU")
    received: list[tuple[int, Dataset]] = []
    association = associate(bridge.dicom_port, received)

    assert ask(association, action_information(uid(12, 1, 1), transaction="2.25.8001")) == 0
    [(event_type, information)] = eventually(lambda: list(received), within_s=60, what="the report is there")
    association.release()

    assert event_type == 1
    assert references_in(information.ReferencedSOPSequence) == [(CT, uid(12, 1, 1))]


def test_a_promise_survives_a_kill_and_the_report_a_peer_that_is_away(
    bridge: RunningBridge, ports: Ports, tmp_path: Path
) -> None:
    store(bridge, tmp_path, ct_instance(study=13), calling="TESTSCU")
    association = associate(bridge.dicom_port, [])
    assert ask(association, action_information(uid(13, 1, 1), transaction="2.25.8002")) == 0
    connection = association.dul.socket.socket
    bridge.kill_everything()
    with contextlib.suppress(Exception):
        association.abort()
    connection.close()  # where the peer's death is seen first, pynetdicom leaves it to the collector

    received: list[tuple[int, Dataset]] = []
    entity = AE(ae_title="TESTSCU")
    entity.add_supported_context(PUSH, scu_role=True, scp_role=True)
    server = entity.start_server(("127.0.0.1", ports.modality), block=False, evt_handlers=events(received))
    try:
        bridge.start()
        [(event_type, information)] = eventually(lambda: list(received), within_s=120, what="the report is there")
    finally:
        server.shutdown()

    assert event_type == 1
    assert information.TransactionUID == "2.25.8002"
    assert references_in(information.ReferencedSOPSequence) == [(CT, uid(13, 1, 1))]


def test_a_peer_without_the_rule_is_declined_and_the_books_say_why(bridge: RunningBridge) -> None:
    entity = AE(ae_title="STRANGER")
    entity.add_requested_context(PUSH)
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", bridge.dicom_port, ae_title="CASEBRIDGE")
    assert association.is_established
    assert [str(one.abstract_syntax) for one in association.rejected_contexts] == [PUSH]
    association.release()

    database = Database.open(f"sqlite:///{bridge.data_dir / 'casebridge.db'}")
    try:
        from tests.integration.books import Auditor

        books = Auditor(
            bridge=bridge,
            database=database,
            blob_url="",
            spool_dir=bridge.data_dir / "spool",
            secret_file=bridge.data_dir / "secret",
        )
        found = eventually(
            lambda: books.rows(f"SELECT reason FROM declined_context WHERE abstract_syntax = '{PUSH}'"),
            within_s=30,
            what="the declined context is in the books",
        )
        assert set(found) == {("storage commitment is off for this peer",)}
    finally:
        database.close()


def test_the_banner_warns_and_names_the_days(bridge: RunningBridge) -> None:
    text = bridge.log_file.read_text()

    assert "storage commitment is on for ORTHANC, TESTSCU" in text
    assert "deletes originals 60 days later" in text
