"""TLS from the settings to the books: wrong files stop the start, a renewed certificate reaches every process."""

import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import ct_instance
from tests.integration.running import CHECKOUT, RunningBridge, eventually, free_port, running_bridge
from tests.integration.senders import run_tool, settled, write_files
from tests.scp.pki import DAY, Authority, Pair
from tests.tools import require_tool


def tls_settings(server: Pair, authority: Authority) -> dict[str, str]:
    return {
        "CASEBRIDGE_TLS_PORT": str(free_port()),
        "CASEBRIDGE_TLS_CERTIFICATE_FILE": str(server.certificate),
        "CASEBRIDGE_TLS_KEY_FILE": str(server.key),
        "CASEBRIDGE_TLS_CLIENT_CA_FILE": str(authority.file),
        "CASEBRIDGE_TLS_CLIENT_CERTIFICATES": "required",
    }


def shown(port: int, context: ssl.SSLContext) -> str:
    """Return the serial number of the certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        return str(dict(secured.getpeercert() or {})["serialNumber"])


@pytest.mark.slow
def test_a_study_comes_over_tls_and_a_renewed_certificate_needs_no_restart(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    server = authority.issue("server", valid=(-DAY, 9 * DAY))
    client = authority.issue("sender", common_name="Main PACS")
    objects = [ct_instance(SOPInstanceUID=f"2.25.70{number}") for number in range(3)]
    folder = write_files(tmp_path / "study", objects)
    settings = tls_settings(server, authority) | {"CASEBRIDGE_RECEIVER_PROCESSES": "2"}
    tls_port = int(settings["CASEBRIDGE_TLS_PORT"])
    options = ("--tls", "--ca", authority.file, "--cert", client.certificate, "--key", client.key)

    with running_bridge(tmp_path / "data", environment=settings) as bridge:
        sent = bridge.cli("send", str(folder), "127.0.0.1", str(tls_port), "--aet", "MAINPACS", *map(str, options))
        assert sent.returncode == 0, sent.stderr
        settled(bridge, "MAINPACS", 3)
        refused = run_tool(
            require_tool("echoscu"), "+tla", "+cf", authority.file, "-aec", "CASEBRIDGE", "127.0.0.1", tls_port
        )  # fmt: skip
        assert refused.returncode != 0
        eventually(
            lambda: "no-client-certificate" in bridge.cli("peers").stdout, within_s=30, what="the peers are listed"
        )
        senders = bridge.get("/api/v1/peers")["senders"]
        assert [(one["calling_ae"], one["certificate"]) for one in senders] == [
            ("MAINPACS", f"{client.fingerprint} Main PACS")
        ]
        assert b"TLS certificate expires on" in bridge.fetch("/readyz")

        context = ssl.create_default_context(cafile=authority.file)
        context.load_cert_chain(client.certificate, client.key)
        old, pids = shown(tls_port, context), bridge.pids_of("bridge scp")
        authority.issue("server")
        eventually(
            lambda: all(shown(tls_port, context) != old for _ in range(4)), within_s=30, what="the new one is shown"
        )
        assert bridge.pids_of("bridge scp") == pids
        assert b"certificate expires" not in bridge.fetch("/readyz")


@pytest.mark.parametrize("command", ["serve", "scp"])
def test_files_that_cannot_be_used_are_named_before_any_port_opens(tmp_path: Path, command: str) -> None:
    authority = Authority(tmp_path / "pki")
    server = authority.issue("server")
    server.key.chmod(0o644)
    bridge = RunningBridge(tmp_path / "data", environment=tls_settings(server, authority))

    done = subprocess.run(
        [sys.executable, "-m", "bridge", command],
        env=bridge.environ,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    [sentence] = done.stderr.strip().splitlines()
    assert "chmod 600" in sentence
    assert str(server.key) in sentence
