"""No container engine is needed: the files under docker/ are held against the code by reading them."""

import re
import shlex
from typing import Any

import pytest
import yaml

from bridge.__main__ import main
from config import Settings
from tests.test_rooms import ROOMS
from tests.tools import CHECKOUT

DOCKER = CHECKOUT / "docker"
SERVICES = [
    (path.name, name, service)
    for path in sorted(DOCKER.glob("compose*.yaml"))
    for name, service in yaml.safe_load(path.read_text())["services"].items()
]
OURS = [service for service in SERVICES if service[2]["image"].startswith("casebridge:")]
# What a compose file asks of its reader: not a setting of ours, but the password that stands inside one.
ASKED_OF_THE_SITE = {"CASEBRIDGE_DB_PASSWORD"}


def names_of(services: list[tuple[str, str, Any]]) -> list[str]:
    return [f"{file}:{name}" for file, name, _ in services]


def dockerfile() -> list[list[str]]:
    text = re.sub(r"\\\n", " ", (DOCKER / "Dockerfile").read_text())
    return [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def known_variables() -> set[str]:
    return {f"CASEBRIDGE_{name.upper()}" for name in Settings.model_fields}


def test_both_kinds_of_installation_are_there() -> None:
    assert {file for file, _, _ in SERVICES} == {"compose.yaml", "compose.scale.yaml"}


@pytest.mark.parametrize("path", sorted(DOCKER.glob("[Dc]*")), ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Any) -> None:
    named = set(re.findall(r"CASEBRIDGE_[A-Z_]+", path.read_text()))
    assert named <= known_variables() | ASKED_OF_THE_SITE


@pytest.mark.parametrize("service", OURS, ids=names_of(OURS))
def test_every_command_is_one_of_ours(service: tuple[str, str, Any]) -> None:
    assert service[2]["command"][0] in main.commands


@pytest.mark.parametrize("service", SERVICES, ids=names_of(SERVICES))
def test_every_image_is_pinned_by_a_version(service: tuple[str, str, Any]) -> None:
    assert re.fullmatch(r"[a-z/]+:\d+\.\d+[\w.-]*", service[2]["image"])


@pytest.mark.parametrize("service", OURS, ids=names_of(OURS))
def test_every_container_of_ours_has_no_more_rights_than_it_needs(service: tuple[str, str, Any]) -> None:
    assert service[2]["read_only"]
    assert service[2]["cap_drop"] == ["ALL"]
    assert service[2]["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service[2]


def test_workers_have_names_of_their_own() -> None:
    workers = [service for _, _, service in OURS if service["command"] == ["worker"]]
    ids = [worker["environment"]["CASEBRIDGE_WORKER_ID"] for worker in workers]
    assert len(workers) == 2
    assert len(set(ids)) == 2


def test_http_is_published_to_the_host_alone() -> None:
    ports = [port for _, _, service in OURS for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports if port.endswith(":8000"))


def test_the_image_is_pinned_and_built_from_the_lock() -> None:
    bases = [argument for word, argument in dockerfile() if word == "FROM"]
    assert all(re.match(r"python:3\.\d+\.\d+-slim-\w+( AS build)?$", base) for base in bases)
    installs = [argument for word, argument in dockerfile() if word == "RUN" and "pip install" in argument]
    assert all("--require-hashes -r requirements.lock" in run or "--no-deps" in run for run in installs)


def test_the_image_runs_as_an_ordinary_user_and_fetches_nothing_by_url() -> None:
    users = [argument for word, argument in dockerfile() if word == "USER"]
    assert users == ["10001:10001"]
    assert "ADD" not in {word for word, _ in dockerfile()}
    assert {"HEALTHCHECK", "ENTRYPOINT", "CMD"} <= {word for word, _ in dockerfile()}


def test_the_image_holds_every_room() -> None:
    copied = {shlex.split(argument)[0] for word, argument in dockerfile() if word == "COPY"}
    assert set(ROOMS) <= copied
    let_in = (DOCKER / "Dockerfile.dockerignore").read_text()
    assert all(f"\n!{room}\n" in let_in for room in ROOMS)
