"""Health, figures, the access log and the description."""

import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.authorization import RULES
from api.metrics import MAX_LABEL_SETS
from api.openapi import example_of
from api.ports import Measurement
from api.schemas.common import Body
from tests.api.routes import calls_of


def samples(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def test_health_says_the_version(client):
    answer = client.get("/healthz")
    assert answer.json() == {"status": "ok", "version": "0.1.0"}


def test_readiness_is_503_with_reasons(client, condition):
    assert client.get("/readyz").json() == {"status": "ready", "warnings": []}
    condition.said = ["any sender is let in"]
    assert client.get("/readyz").json() == {"status": "ready", "warnings": ["Any sender is let in."]}
    condition.found = ["the disk is full", "No worker is alive."]
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "The disk is full. No worker is alive."


def test_a_readiness_check_that_fails_is_a_fault(client, condition, monkeypatch):
    monkeypatch.setattr(condition, "faults", lambda: 1 / 0)
    assert client.get("/readyz").status_code == 503


def test_metrics_count_requests_by_template(client, as_user, owner, world):
    case_id = world.study("owner")
    as_user(owner).get(f"/api/v1/cases/{case_id}")
    client.get("/somewhere/else")
    counted = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for sample in samples(client)
        if sample.name == "casebridge_http_requests_total"
    }
    assert counted["GET", "/api/v1/cases/{case_id}", "200"] == 1
    assert counted["GET", "unmatched", "404"] == 1


def test_metrics_hold_the_figures_of_the_program(client):
    found = {sample.name: sample for sample in samples(client)}
    assert found["casebridge_instances"].value == 3
    assert found["casebridge_instances"].labels == {"place": "held"}


def test_a_figure_whose_label_is_not_a_plain_word_is_left_out(client, figures):
    figures.given = [
        Measurement(name="casebridge_a", help="a", value=1, labels={"who": "DOE^JANE"}),
        Measurement(name="casebridge_b", help="b", value=1, labels={"who": "1.2.840.113619"}),
        Measurement(name="casebridge_c", help="c", value=1),
    ]
    names = {sample.name for sample in samples(client)}
    assert "casebridge_c" in names
    assert not names & {"casebridge_a", "casebridge_b"}


def test_a_figure_has_a_bounded_number_of_label_sets(client, figures):
    figures.given = [
        Measurement(name="casebridge_a", help="a", value=1, labels={"reason": f"r{number}"}) for number in range(500)
    ]
    assert len([sample for sample in samples(client) if sample.name == "casebridge_a"]) == MAX_LABEL_SETS


def test_figures_that_fail_cost_none_of_the_others(client, figures, monkeypatch):
    monkeypatch.setattr(figures, "measurements", lambda: 1 / 0)
    found = {sample.name: sample.value for sample in samples(client)}
    assert found["casebridge_metrics_sources_failed"] == 1


def test_the_access_log_holds_the_template_and_never_the_path(as_user, owner, world, caplog):
    caplog.set_level(logging.INFO, "casebridge.api")
    case_id = world.study("owner")
    as_user(owner).get(f"/api/v1/cases/{case_id}", params={"anything": "DOE-JANE"})
    as_user(owner).get("/api/v1/DOE-JANE")
    as_user(owner).request("DOEJANE", "/api/v1/me")
    records = [record for record in caplog.records if record.name == "casebridge.api"]
    assert [(record.method, record.route, record.status) for record in records] == [
        ("GET", "/api/v1/cases/{case_id}", 200),
        ("GET", "unmatched", 404),
        ("other", "/api/v1/me", 405),
    ]
    assert all(record.duration_ms >= 0 for record in records)
    written = json.dumps([record.__dict__ for record in records], default=str)
    assert case_id not in written
    assert owner.token not in written
    assert "DOE" not in written


def test_answers_are_not_kept_by_caches_nor_guessed_at(client):
    headers = client.get("/healthz").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_pages_that_need_the_internet_are_not_served(client):
    assert client.get("/redoc").status_code == 404
    assert "://" not in client.get("/openapi.json").text


def test_the_description_names_every_call_with_its_errors_and_examples(app, client):
    document = client.get("/openapi.json").json()
    for call in calls_of(app):
        operation = document["paths"][call.path][call.method.lower()]
        assert operation["operationId"] == call.operation
        assert operation["summary"]
        assert operation["description"]
        answers = operation["responses"]
        for status, answer in answers.items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (call, status)
                assert answer["content"]["application/problem+json"]["example"]["status"] == int(status)
            elif "application/json" in answer.get("content", {}):
                assert answer["content"]["application/json"]["example"], (call, status)
        if not RULES[call.operation].is_open:
            assert operation["security"] == [{"HTTPBearer": []}]
            assert {"401", "422", "500", "503"} <= set(answers)
        if "requestBody" in operation:
            for kind, content in operation["requestBody"]["content"].items():
                assert content["schema"].get("format") == "binary" or content["example"], (call, kind)


def test_the_references_of_the_description_lead_somewhere(client):
    document = client.get("/openapi.json").json()

    def references(part):
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    names = set(document["components"]["schemas"])
    assert {reference.rsplit("/", 1)[1] for reference in references(document)} <= names
    assert "HTTPValidationError" not in names


def test_the_framework_sends_no_telemetry(app):
    assert app._native_telemetry.enabled() is False


@pytest.mark.parametrize("name", ["a", "b"])
def test_two_applications_have_figures_of_their_own(app, client, name):
    client.get("/healthz")
    total = [sample.value for sample in samples(client) if sample.name == "casebridge_http_requests_total"]
    assert sum(total) == 1


def models(root):
    for model in root.__subclasses__():
        yield model
        yield from models(model)


@pytest.mark.parametrize(
    "model", [model for model in models(Body) if model.model_fields], ids=lambda model: model.__name__
)
def test_the_example_of_every_body_is_taken_by_its_call(model):
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    example = example_of(schema, lambda name: schema["$defs"][name])
    assert model.model_validate(example)
