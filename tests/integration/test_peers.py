"""A stranger on the network: turned away, seen, let in by one call, and taken out again, all without a restart."""

import json
import socket
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scp.send import SendSummary, Sent, send
from scp.tls_client import ClientTls
from tests.builders import ct_instance
from tests.integration.running import RunningBridge, eventually, free_port, running_bridge
from tests.integration.senders import run_tool, settled, write_files
from tests.scp.pki import Authority, Pair
from tests.tools import require_tool

TIMES = 3


@pytest.fixture(scope="module")
def own_address() -> str:
    """An address of this machine by which it is no loopback peer to itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # chooses the address that one would send from; sends nothing
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback, from which everybody may send")
    return address


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory, own_address: str) -> Iterator[RunningBridge]:
    """A bridge on all interfaces whose settings know the AE title that the PACS queries with."""
    known = [{"calling_ae": "PACS_QR", "addresses": [own_address]}]
    environment = {"CASEBRIDGE_HOST": "", "CASEBRIDGE_PEERS": json.dumps(known)}
    with running_bridge(tmp_path_factory.mktemp("peers") / "data", environment=environment) as running:
        yield running


def store(bridge: RunningBridge, address: str, files: Path, calling: str = "PACS_STORE") -> SendSummary:
    return send([files], host=address, port=bridge.dicom_port, called_ae="CASEBRIDGE", calling_ae=calling)


def rejected(bridge: RunningBridge) -> dict[str, Any]:
    """Return the one rejected peer once it is in the books, empty before."""
    rows = [row for row in bridge.get("/api/v1/peers")["rejected"] if row["calling_ae"] == "PACS_STORE"]
    assert len(rows) <= 1
    return rows[0] if rows else {}


def test_a_peer_nobody_knows_is_let_in_by_one_call_without_a_restart(
    bridge: RunningBridge, own_address: str, tmp_path: Path
) -> None:
    files = write_files(tmp_path / "files", [ct_instance(number=number) for number in (1, 2, 3)])
    echo = run_tool(require_tool("echoscu"), "-aet", "PACS_QR", "-aec", "CASEBRIDGE", own_address, bridge.dicom_port)
    assert echo.returncode == 0, echo.stdout

    for _ in range(TIMES):
        refused = store(bridge, own_address, files)
        assert refused.rejection
        assert refused.count(Sent.STORED) == 0
    processes = set(bridge.pids())

    def explained() -> dict[str, Any] | None:
        row = rejected(bridge)
        return row if row.get("success_of_address") else None

    row = eventually(explained, within_s=60, what="the rejection and the echo of its address are in the books")
    assert (row["peer_address"], row["rule"], row["state"]) == (own_address, "unknown-calling-ae", "rejected")
    assert row["success_of_address"]["calling_ae"] == "PACS_QR"
    assert row["can_be_allowed"]

    rule = json.loads(bridge.fetch("/api/v1/peers", method="POST", body={"rejected": row["id"]}))

    assert (rule["calling_ae"], rule["addresses"]) == ("PACS_STORE", [f"{own_address}/32"])
    sent = store(bridge, own_address, files)
    assert sent.count(Sent.STORED) == 3, sent.reasons
    assert store(bridge, own_address, files, calling="PACS_OTHER").rejection
    settled(bridge, "PACS_STORE", 3)
    assert rejected(bridge)["state"] == "allowed"
    assert set(bridge.pids()) >= processes, "nothing was restarted"

    shown = bridge.get("/api/v1/peers")
    assert [rule["origin"] for rule in shown["rules"]] == ["settings", "allowed"]

    def senders() -> dict[str, int]:
        found = {row["calling_ae"]: row["stored"] for row in bridge.get("/api/v1/peers")["senders"]}
        return {name: found[name] for name in ("PACS_QR", "PACS_STORE") if found.get("PACS_STORE")}

    assert eventually(senders, within_s=60, what="the books show the sender") == {"PACS_QR": 0, "PACS_STORE": 3}

    _outlives_a_restart(bridge, own_address, files)
    bridge.fetch(f"/api/v1/peers/{rule['id']}", method="DELETE")
    assert store(bridge, own_address, files).rejection
    with pytest.raises(urllib.error.HTTPError, match="404"):
        bridge.fetch(f"/api/v1/peers/{rule['id']}", method="DELETE")


def _outlives_a_restart(bridge: RunningBridge, own_address: str, files: Path) -> None:
    """See every single rejection counted after a restart, the rule still in force, and its file made anew if lost."""
    bridge.stop()
    bridge.start()
    assert not store(bridge, own_address, files).rejection
    eventually(lambda: rejected(bridge)["count"] == TIMES, within_s=60, what="every rejection is counted")
    allowed_file = bridge.data_dir / "spool" / "peers-allowed.json"
    allowed_file.unlink()
    eventually(allowed_file.is_file, within_s=60, what="the file is written from the database")
    assert not store(bridge, own_address, files).rejection


def test_the_command_line_lets_in_and_takes_out_without_a_restart(
    bridge: RunningBridge, own_address: str, tmp_path: Path
) -> None:
    files = write_files(tmp_path / "files", [ct_instance(study=7)])
    assert store(bridge, own_address, files, calling="PACS_CLI").rejection

    allowed = bridge.cli("peers", "allow", "PACS_CLI", "--from", own_address, "--json")

    assert allowed.returncode == 0, allowed.stderr
    assert store(bridge, own_address, files, calling="PACS_CLI").count(Sent.STORED) == 1
    removed = bridge.cli("peers", "remove", json.loads(allowed.stdout)["id"])
    assert removed.returncode == 0, removed.stderr
    assert store(bridge, own_address, files, calling="PACS_CLI").rejection


def test_a_receiver_that_lets_everybody_in_says_so_wherever_it_can(own_address: str, tmp_path: Path) -> None:
    files = write_files(tmp_path / "files", [ct_instance()])
    home = tmp_path / "data"
    with running_bridge(home, command=("serve", "--open"), environment={"CASEBRIDGE_HOST": ""}) as bridge:
        assert store(bridge, own_address, files, calling="ANYBODY").count(Sent.STORED) == 1

        said = "any sender"
        assert said in bridge.get("/readyz")["warnings"][0].lower()
        assert said in bridge.status()["warnings"][0]
        assert bridge.get("/api/v1/peers")["is_open"]
        assert "casebridge_open_to_all 1.0" in bridge.fetch("/metrics").decode()
        assert "Warning: any sender" in bridge.cli("peers").stdout
        eventually(lambda: "Accepts      any sender" in bridge.log_file.read_text(), within_s=10, what="the banner")


def test_a_renewed_certificate_is_let_in_by_one_call_and_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    server = authority.issue("server")
    old, renewed, other = (authority.issue(name, common_name="Main PACS") for name in ("old", "renewed", "other"))
    tls_port = free_port()
    environment = {
        "CASEBRIDGE_TLS_PORT": str(tls_port),
        "CASEBRIDGE_TLS_CERTIFICATE_FILE": str(server.certificate),
        "CASEBRIDGE_TLS_KEY_FILE": str(server.key),
        "CASEBRIDGE_TLS_CLIENT_CERTIFICATES": "required",
        "CASEBRIDGE_TLS_CLIENT_CA_FILE": str(authority.file),
        "CASEBRIDGE_PEERS": json.dumps([{"calling_ae": "MAINPACS", "certificates": [old.fingerprint]}]),
    }
    files = write_files(tmp_path / "files", [ct_instance()])

    def deliver(pair: Pair) -> SendSummary:
        tls = ClientTls(ca_file=authority.file, certificate_file=pair.certificate, key_file=pair.key)
        return send([files], host="127.0.0.1", port=tls_port, called_ae="CASEBRIDGE", calling_ae="MAINPACS", tls=tls)

    with running_bridge(tmp_path / "data", environment=environment) as bridge:
        assert deliver(renewed).rejection
        [row] = eventually(
            lambda: bridge.get("/api/v1/peers")["rejected"], within_s=60, what="the rejection is in the books"
        )
        assert (row["rule"], row["state"]) == ("certificate-not-of-peer", "rejected")
        assert row["certificate"] == f"{renewed.fingerprint} Main PACS"

        rule = json.loads(bridge.fetch("/api/v1/peers", method="POST", body={"rejected": row["id"]}))

        assert rule["certificates"] == [renewed.fingerprint]
        assert deliver(renewed).count(Sent.STORED) == 1
        assert deliver(other).rejection

        def sender() -> dict[str, Any] | None:
            return next((row for row in bridge.get("/api/v1/peers")["senders"] if row["stored"]), None)

        shown = eventually(sender, within_s=60, what="the books show the sender")
        assert shown["tls"].startswith("TLSv1.")
        assert shown["certificate"] == f"{renewed.fingerprint} Main PACS"
