"""The description of the API holds: programs that know nothing but it find no answer that it does not tell of."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from fastapi import FastAPI

from api.limits import CallBudgets
from cases.holds import HoldFilter
from cases.peers import NewPeerRule
from cases.store import Accounts, Holds, PeerRules
from cases.users import Role
from tests.api.conftest import (  # noqa: F401 - the world that the API's own tests have
    app,
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
from tests.api.seed import Somebody, World, burned_in
from tests.api.test_authorization import placed
from tests.bridge.books import shipped
from tests.bridge.looking import Looking
from tests.integration.served import served
from tests.tools import require_peer

SEED = 20261129
EXAMPLES = 4
"""Of values made at random, for each call; a run takes less than a minute of a CPU."""
LONG = ("explain_profile", "get_profile", "get_profile_revision", "preview_file", "translate_profile")
"""Calls that answer hundreds of kilobytes, whose check takes seconds."""
PHASES = {Role.ADMIN: "examples,coverage,fuzzing", Role.CONTRIBUTOR: "examples,fuzzing"}
"""What belongs to values alone is the same whoever asks: one looks at that."""
WITHOUT = ("--exclude-operation-id", "end_session")
"""It ends the token that all other calls are made with."""
CHECKS = (  # one that is not here: "positive data is accepted" - what a schema lets through may still be no profile
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ignored_auth",
)


@pytest.fixture
def budgets() -> CallBudgets:
    """Without limits: a program that asks as fast as it can would hear little else than 429."""
    return CallBudgets(calls=0, pictures=0, downloads=0, anonymous=0, wrong_tokens=0)


@pytest.mark.slow
@pytest.mark.parametrize("role", [Role.ADMIN, Role.CONTRIBUTOR])
def test_no_answer_is_missing_from_the_description(
    *,
    app: FastAPI,  # noqa: F811
    world: World,  # noqa: F811
    looks: Looking,  # noqa: F811
    picture: bytes,  # noqa: F811
    tmp_path: Path,
    role: Role,
) -> None:
    program = require_peer("schemathesis")
    somebody = world.user("somebody", role)
    with served(app) as address:
        (tmp_path / "hooks.py").write_text(HOOKS)
        (tmp_path / "schemathesis.toml").write_text(configuration(*filled(world, looks, somebody, picture)))
        token = f"Authorization: Bearer {somebody.token}"
        done = subprocess.run(
            [program, "run", f"{address}/openapi.json", "--header", token, "--phases", PHASES[role], *WITHOUT],
            cwd=tmp_path,
            capture_output=True,
            env={**os.environ, "COLUMNS": "160"},
            timeout=280,
            check=False,
        )
    said = "\n".join(line[:400] for line in done.stdout.decode(errors="replace").splitlines())
    assert done.returncode == 0, said[-20_000:]


HOOKS = """
import schemathesis

@schemathesis.serializer("application/dicom")
def as_it_is(ctx, value):
    return value if isinstance(value, bytes) else b"not a file"
"""
"""The program writes no files of this kind; what it sends in place of one is none."""


def configuration(known: dict[str, str], others: dict[str, dict[str, str | bool]]) -> str:
    """Return the program's settings: what there is, so that not every call is about nothing."""
    expected = ["400", "401", "403", "404", "405", "406", "409", "410", "413", "415", "422", "428", "429", "5xx"]
    lines = [
        f"seed = {SEED}",
        "continue-on-failure = true",
        'hooks = "hooks.py"',
        f"generation = {{max-examples = {EXAMPLES}, database = 'none', no-shrink = true}}",
        "checks.enabled = false",
        *(f"checks.{check}.enabled = true" for check in CHECKS),
        # besides those it knows: what is too long may be too large already, and what is asked for may be gone already
        f"checks.negative_data_rejection.expected-statuses = {json.dumps(expected)}",
        "[parameters]",
        *(f"{name} = {json.dumps(value)}" for name, value in known.items()),
    ]
    # the program takes the ids above also where it means to send wrong ones, and wonders that they are right
    lines += ["[[operations]]", 'include-path-regex = "[{]"', "checks.negative_data_rejection.enabled = false"]
    # some of their answers are enough
    lines += ["[[operations]]", f"include-operation-id = {json.dumps(LONG)}", "phases.coverage.enabled = false"]
    for operation, values in others.items():
        lines += ["[[operations]]", f'include-operation-id = "{operation}"', "[operations.parameters]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(lines)


def filled(
    world: World,  # noqa: F811
    looks: Looking,  # noqa: F811
    somebody: Somebody,
    picture: bytes,  # noqa: F811
) -> tuple[dict[str, str], dict[str, dict[str, str | bool]]]:
    """Let there be something of each kind; return their keys, and those for calls that would take them from others."""
    strict = shipped("strict")
    case_id, taken, gone = (
        world.study(owner, [picture, picture], holds=[burned_in()], profile=strict)
        for owner in (somebody.name, None, somebody.name)
    )
    first, second = (world.rerun_in_review(world.study(somebody.name, [picture]), strict) for _ in range(2))
    [study] = world.detail(case_id).studies
    root_id, other_id = world.user("root", Role.ADMIN).id, world.user("other").id
    with world.database.write() as session:
        root = Accounts(session).user(root_id)
        [hold] = Holds(session).list(root, filters=HoldFilter(case_id=case_id)).items
        [left] = Holds(session).list(root, filters=HoldFilter(case_id=taken)).items
        peer = PeerRules(session).allow("root", NewPeerRule(calling_ae="PACS3"))
        other = Accounts(session).tokens(other_id)[0]
    placed(looks, hold, picture)
    code = world.detail(case_id).receipts[0]
    known = {
        "case_id": case_id,
        "study_id": study.id,
        "image_id": study.series[0].images[0].id,
        "hold_id": hold.id,
        "code": code,
        "rerun_id": first.id,
        "preview_id": looks.previews.request("root", code, "teaching", most=1, has_pixels=False).errand.id,
        "impact_id": looks.impacts.request("root", "teaching", "strict", last=1, most=1).id,
        "revision": first.revision,
        "made_under": first.revision,
        "peer_id": peer.id,
        "token_id": other.id,
    }
    others = {
        "withdraw_case": {"case_id": gone},
        "claim_case": {"case_id": taken},
        "decide_hold": {"hold_id": left.id},
        "discard_rerun": {"rerun_id": second.id},
        "get_profile": {"name": "teaching"},
        "preview_file": {"pixels": False},  # reading them takes seconds of each call, and says nothing of this
    }
    return known, others
