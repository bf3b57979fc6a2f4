"""A client that a generator makes of the description alone: complete, and of use against the running API."""

import json
import subprocess
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.api.conftest import (  # noqa: F401 - the world that the API's own tests have
    app,
    budgets,
    condition,
    consent_seal,
    empty_database,
    engine,
    figures,
    looks,
    marks,
    peers,
    picture,
    reruns,
    settings,
    world,
)
from tests.api.seed import World
from tests.integration.served import served
from tests.tools import require_peer

CONFIGURATION = """
content_type_overrides:
  image/png: application/octet-stream
  image/jpeg: application/octet-stream
  application/dicom: application/octet-stream
  application/pdf: application/octet-stream
  application/zip: application/octet-stream
"""
"""The generator knows few kinds of bytes by name; docs/developer.md says the same to whoever makes a client."""
PROGRAM = """
import sys

from casebridge_client import AuthenticatedClient
from casebridge_client.api.cases import download_case, edit_case, get_case, list_cases
from casebridge_client.api.images import get_thumbnail
from casebridge_client.api.inbox import claim_case
from casebridge_client.models import CaseEdit, CaseOut, Problem

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
[listed] = list_cases.sync(client=client).items
read = get_case.sync_detailed(listed.id, client=client)
assert isinstance(read.parsed, CaseOut) and read.parsed.id == listed.id
tag = read.headers["ETag"]
edited = edit_case.sync_detailed(listed.id, client=client, body=CaseEdit(title="Bochdalek hernia"), if_match=tag)
assert edited.status_code == 200 and edited.parsed.title == "Bochdalek hernia", edited
late = edit_case.sync_detailed(listed.id, client=client, body=CaseEdit(title="Morgagni hernia"), if_match=tag)
assert late.status_code == 412 and isinstance(late.parsed, Problem) and late.parsed.status == 412, late
assert get_case.sync(listed.id, client=client).title == "Bochdalek hernia"
image = read.parsed.studies[0].series[0].images[0]
assert get_thumbnail.sync_detailed(listed.id, image.id, client=client).status_code == 200
archive = download_case.sync_detailed(listed.id, client=client)
assert archive.status_code == 200 and archive.content[:4] == b"PK\\x03\\x04", archive.headers
claims = [claim_case.sync_detailed(sys.argv[3], client=client, idempotency_key="the-same") for _ in range(2)]
assert [claim.status_code for claim in claims] == [200, 200], claims
assert claims[0].parsed == claims[1].parsed
assert "Idempotency-Replayed" not in claims[0].headers and claims[1].headers["Idempotency-Replayed"] == "true"
print("done")
"""


@pytest.mark.slow
def test_a_generated_client_is_complete_and_edits_a_case(
    app: FastAPI,  # noqa: F811
    world: World,  # noqa: F811
    picture: bytes,  # noqa: F811
    tmp_path: Path,
) -> None:
    generator, python = require_peer("openapi-python-client"), require_peer()
    owner = world.user("owner")
    world.study(owner.name, [picture])
    waiting = world.study(None, [picture])
    description = app.openapi()
    (tmp_path / "openapi.json").write_text(json.dumps(description))
    (tmp_path / "generator.yaml").write_text(CONFIGURATION)
    package = tmp_path / "casebridge_client"

    made = subprocess.run(
        [
            *(generator, "generate", "--path", "openapi.json", "--config", "generator.yaml"),
            *("--meta", "none", "--output-path", package, "--fail-on-warning"),
        ],
        cwd=tmp_path,
        env={"PATH": str(generator.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "arning" not in made.stdout + made.stderr
    operations = {operation["operationId"] for path in description["paths"].values() for operation in path.values()}
    assert {path.stem for path in package.glob("api/*/*.py")} - {"__init__"} == operations

    (tmp_path / "program.py").write_text(PROGRAM)
    with served(app) as address:
        done = subprocess.run(
            [python, "program.py", address, owner.token, waiting],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.stdout == "done\n", done.stdout + done.stderr
