"""What is said of TLS to those who look."""

import pytest

from bridge.handshakes import EXPLANATIONS, certificate_ends_at, certificate_warnings
from bridge.rejected_peers import explanation
from scp.tls import TLS_ON_PLAIN_PORT, HandshakeFault
from tests.scp.pki import DAY, Authority


def test_every_handshake_that_fails_is_explained():
    assert set(EXPLANATIONS) == {TLS_ON_PLAIN_PORT, *(fault.rule for fault in HandshakeFault)}
    assert explanation("tls-handshake-failed:no-client-certificate").startswith("It showed no certificate")


@pytest.mark.parametrize(("days", "said"), [(31, None), (29, "expires on"), (-1, "has expired")])
def test_the_end_of_our_certificate_is_brought_up_30_days_before(tmp_path, days, said):
    pair = Authority(tmp_path / "pki").issue("server", valid=(-9 * DAY, days * DAY))

    warnings = list(certificate_warnings(pair.certificate))

    assert [said in warning for warning in warnings] == ([True] if said else [])


def test_without_tls_or_a_readable_file_nothing_is_said(tmp_path):
    assert list(certificate_warnings(None)) == []
    assert certificate_ends_at(tmp_path / "absent") is None
