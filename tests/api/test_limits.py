"""Too many calls are refused, by token or by address, and nobody else's calls with them."""

import threading
from contextlib import suppress

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.errors import TooManyRequestsError
from api.limited import UNLIMITED
from api.limits import BoundedMemory, Budget, CallBudgets, CallLimits, address_of, budget_of, is_picture
from tests.api.seed import burned_in


@pytest.fixture
def budgets():
    return CallBudgets(calls=3, pictures=5, downloads=2, anonymous=2, wrong_tokens=2)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def refused(answer):
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:casebridge:problem:too-many-requests"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    return answer.headers["ratelimit-policy"], answer.headers["ratelimit"].partition(";t=")[0]


def test_a_token_has_its_calls_and_hears_how_many_are_left(as_user, owner, stranger):
    mine = as_user(owner)
    answers = [mine.get("/api/v1/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.headers["ratelimit"].partition(";t=")[0] for answer in answers] == [
        '"calls";r=2',
        '"calls";r=1',
        '"calls";r=0',
    ]
    assert refused(mine.get("/api/v1/me")) == ('"calls";q=3;w=60', '"calls";r=0')
    assert as_user(stranger).get("/api/v1/me").status_code == 200


def test_pictures_have_a_budget_of_their_own(as_user, owner, world, picture):
    case_id = world.study("owner", [picture])
    image = world.detail(case_id).studies[0].series[0].images[0].id
    path = f"/api/v1/cases/{case_id}/images/{image}/thumbnail"
    mine = as_user(owner)
    assert [mine.get("/api/v1/me").status_code for _ in range(4)][-1] == 429
    assert [mine.get(path).status_code for _ in range(6)] == [200] * 5 + [429]


def test_what_is_a_picture_is_seen_by_the_path(app):
    from tests.api.routes import calls_of

    assert {call.operation for call in calls_of(app) if is_picture(call.path)} == {
        "render_image",
        "get_thumbnail",
        "render_shared_image",
        "get_shared_thumbnail",
        "get_held_frame",
        "get_previewed_picture",
    }


def test_downloads_have_a_budget_of_their_own(as_user, owner, world, picture, app):
    from tests.api.routes import calls_of

    path = f"/api/v1/cases/{world.study('owner', [picture])}/archive"
    mine = as_user(owner)
    assert [mine.head(path).status_code for _ in range(3)] == [200, 200, 429]
    assert mine.get("/api/v1/me").status_code == 200
    counted = {call.operation for call in calls_of(app) if budget_of(call.path) is Budget.DOWNLOADS}
    assert counted == {"download_case"}


def test_calls_without_a_token_are_counted_by_address(client, as_user, owner):
    assert [client.get("/openapi.json").status_code for _ in range(2)] == [200, 200]
    assert refused(client.get("/api/v1/me")) == ('"anonymous";q=2;w=60', '"anonymous";r=0')
    assert refused(client.get("/docs"))
    assert refused(client.get("/nowhere"))
    assert as_user(owner).get("/api/v1/me").status_code == 200


def test_wrong_tokens_are_counted_by_address_and_cost_nobody_else_there(client, as_user, owner):
    wrong = {"Authorization": "Bearer wrong"}
    assert [client.get("/api/v1/me", headers=wrong).status_code for _ in range(2)] == [401, 401]
    assert refused(client.get("/api/v1/me", headers=wrong)) == ('"wrong-tokens";q=2;w=60', '"wrong-tokens";r=0')
    assert as_user(owner).get("/api/v1/me").status_code == 200
    assert client.get("/openapi.json").status_code == 200


def test_another_address_has_calls_of_its_own(app):
    near, far = (TestClient(app, client=(address, 50_000)) for address in ("192.0.2.1", "192.0.2.2"))
    assert [near.get("/openapi.json").status_code for _ in range(3)] == [200, 200, 429]
    assert far.get("/openapi.json").status_code == 200


def test_what_a_caller_says_of_its_address_changes_nothing(app):
    client = TestClient(app, client=("192.0.2.1", 50_000))
    said = [{"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"} for number in range(3)]
    assert [client.get("/openapi.json", headers=headers).status_code for headers in said] == [200, 200, 429]


def test_what_watches_over_the_program_is_never_refused(client):
    for path in UNLIMITED:
        assert {client.get(path).status_code for _ in range(10)} == {200}
        assert "ratelimit" not in client.get(path).headers


def test_refusals_are_counted_without_addresses(client):
    for _ in range(4):
        client.get("/openapi.json")
    text = client.get("/metrics").text
    counted = {
        sample.labels["limit"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "casebridge_http_calls_refused_total"
    }
    assert counted == {"anonymous": 2}
    assert "testclient" not in text


def test_a_refused_call_does_nothing(as_user, owner, world):
    mine = as_user(owner)
    for _ in range(3):
        mine.get("/api/v1/me")
    case_id = world.study(None, holds=[burned_in()])
    assert mine.post(f"/api/v1/inbox/{case_id}/claim").status_code == 429
    assert world.detail(case_id).summary.owner is None


def test_a_minute_later_all_calls_are_there_again():
    clock = Clock()
    limits = CallLimits(CallBudgets(calls=2), clock=clock)
    assert [limits.spend(Budget.CALLS, "a").remaining for _ in range(2)] == [1, 0]
    clock.now += 59
    with pytest.raises(TooManyRequestsError) as refusal:
        limits.spend(Budget.CALLS, "a")
    assert refusal.value.retry_after_s == 1
    clock.now += 1
    assert limits.spend(Budget.CALLS, "a").remaining == 1


def test_a_budget_of_0_has_no_end():
    limits = CallLimits(CallBudgets(calls=0))
    assert {limits.spend(Budget.CALLS, "a") for _ in range(10_000)} == {None}


def test_memory_is_bounded_whatever_addresses_come():
    clock = Clock()
    limits = CallLimits(CallBudgets(anonymous=5), clock=clock)
    limits._strangers._most = 100
    limits.spend_of_address(Budget.ANONYMOUS, "early")
    for number in range(200):
        try:
            limits.spend_of_address(Budget.ANONYMOUS, f"address-{number}")
        except TooManyRequestsError:
            assert number > 99
    assert len(limits._strangers._counts) <= 101
    # who was known keeps the own count; all others share one, which is spent
    assert limits.spend_of_address(Budget.ANONYMOUS, "early").remaining == 3
    with pytest.raises(TooManyRequestsError):
        limits.spend_of_address(Budget.ANONYMOUS, "late")
    clock.now += 61
    assert limits.spend_of_address(Budget.ANONYMOUS, "late").remaining == 4
    assert len(limits._strangers._counts) == 1


def test_callers_with_a_token_are_counted_apart_however_many_addresses_there_are():
    limits = CallLimits(CallBudgets(calls=1, anonymous=1))
    limits._strangers._most = limits._callers._most = 2
    for address in ("a", "b", "c"):
        with suppress(TooManyRequestsError):
            limits.spend_of_address(Budget.ANONYMOUS, address)
    assert [limits.spend(Budget.CALLS, token).remaining for token in ("first", "second", "third")] == [0, 0, 0]


def test_calls_at_once_are_all_counted():
    limits = CallLimits(CallBudgets(calls=1000))
    threads = [threading.Thread(target=lambda: [limits.spend(Budget.CALLS, "a") for _ in range(100)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limits.spend(Budget.CALLS, "a").remaining == 499


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        (None, "unknown"),
        ("a socket", "unknown"),
    ],
)
def test_an_address_is_counted_with_the_others_of_its_network(host, counted):
    assert address_of(host) == counted


def test_the_storage_forgets_and_counts_anew():
    memory = BoundedMemory(most=10)
    assert memory.incr("a", 60) == 1
    assert memory.get("a") == 1
    memory.clear("a")
    assert memory.get("a") == 0
    assert memory.check()
    memory.incr("b", 60)
    assert memory.reset() == 1
