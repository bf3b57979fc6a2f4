"""The page at ``/docs`` in a browser: read, tried out with a token, and nobody else asked."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import Browser, open_browser
from tests.integration.running import ADMIN_TOKEN, RunningBridge


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    chromium.forget()
    return chromium


@pytest.fixture
def origin(bridge: RunningBridge) -> str:
    return f"http://127.0.0.1:{bridge.http_port}"


@pytest.mark.slow
def test_the_page_lists_and_explains_every_call_and_sends_one_with_a_token(
    browser: Browser, bridge: RunningBridge, origin: str
) -> None:
    described = bridge.get("/openapi.json")["paths"]
    calls = {(method.upper(), path) for path, methods in described.items() for method in methods}
    page = browser.open(f"{origin}/docs")
    expect(page.locator(".opblock")).to_have_count(len(calls))
    assert calls_listed(page) == calls

    block = unfolded(page, "status", "get_status")
    answer = block.locator("tr.response[data-code='200']")
    example = described["/api/v1/status"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    assert json.loads(answer.locator(".example code").inner_text()) == example
    answer.get_by_role("tab", name="Schema").click()
    expect(answer.get_by_role("tabpanel")).to_contain_text("by_sender")

    refused = execute(block)
    expect(refused.locator(".response-col_status")).to_contain_text("401")
    authorize(page, ADMIN_TOKEN)
    answered = execute(block)
    expect(answered.locator(".response-col_status")).to_have_text("200")
    assert json.loads(answered.locator(".highlight-code code").first.inner_text()) == bridge.get("/api/v1/status")

    assert browser.requests.count(f"{origin}/api/v1/status") == 2
    assert browser.origins() == {origin}
    assert browser.errors == ["Failed to load resource: the server responded with a status of 401 (Unauthorized)"]
    # the token was typed into this page, and is gone with it
    assert browser.context.storage_state() == {"cookies": [], "origins": []}
    assert page.evaluate("sessionStorage.length") == 0


def calls_listed(page: Page) -> set[tuple[str, str]]:
    blocks = page.locator(".opblock")
    methods = blocks.locator(".opblock-summary-method").all_inner_texts()
    paths = blocks.locator(".opblock-summary-path").evaluate_all("found => found.map(path => path.dataset.path)")
    return set(zip(methods, paths, strict=True))


def unfolded(page: Page, tag: str, operation: str) -> Locator:
    """Open one operation, ready to be tried, and return its block."""
    block = page.locator(f"#operations-{tag}-{operation}")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    return block


def authorize(page: Page, token: str) -> None:
    page.locator(".auth-wrapper").get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill(token)
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()


def execute(block: Locator) -> Locator:
    """Send the call of a block as it stands; return the row with what was answered."""
    block.get_by_role("button", name="Execute").click()
    return block.locator(".live-responses-table .response")


ATTEMPTS = """() => {
  window.refused = [];
  document.addEventListener("securitypolicyviolation", event => window.refused.push(event.effectiveDirective));
  const add = (tag, attributes) => document.body.append(Object.assign(document.createElement(tag), attributes));
  fetch("http://127.0.0.1:9/").catch(() => null);
  add("img", {src: "http://127.0.0.1:9/picture.png"});
  add("script", {src: "http://127.0.0.1:9/program.js"});
  add("script", {textContent: "window.ran = true"});
  add("iframe", {src: "http://127.0.0.1:9/"});
}"""


def test_what_is_slipped_into_the_page_neither_runs_nor_asks_anybody(browser: Browser, origin: str) -> None:
    page = browser.context.new_page()
    page.route("**/*.js", lambda route: route.abort())  # the page is as safe before it is drawn
    page.goto(f"{origin}/docs")
    page.evaluate(ATTEMPTS)
    page.wait_for_function("window.refused.length >= 5")
    refused = {"connect-src", "img-src", "script-src-elem", "frame-src"}
    assert set(page.evaluate("window.refused")) == refused
    assert page.evaluate("window.ran") is None
