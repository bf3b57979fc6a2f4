"""docs/settings.md says what config/settings.py does. Written anew by: python -m tests.docs.settings_table."""

import re

from config import Peer, Route
from tests.docs.settings_table import PAGE, with_table


def test_the_table_of_settings_equals_the_code() -> None:
    text = PAGE.read_text()
    assert text == with_table(text), "write it anew with: .venv/bin/python -m tests.docs.settings_table"


def test_the_table_of_route_keys_equals_the_code() -> None:
    section = PAGE.read_text().partition("## Routes")[2]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Route.model_fields)


def test_the_table_of_peer_keys_equals_the_code_and_its_example_shows_each() -> None:
    section = PAGE.read_text().partition("## Peers")[2].partition("## Routes")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Peer.model_fields)
    assert all(f"{key} = " in section for key in Peer.model_fields)
