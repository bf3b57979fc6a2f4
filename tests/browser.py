"""A real browser for tests: Chromium of Debian without a window, driven by Playwright. It reaches loopback alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    WebSocket,
    expect,
    sync_playwright,
)

from tests.tools import require_tool

# Whatever asks for another host fails, the browser's own calls to its maker too; only those of pages are recorded.
LOOPBACK_ALONE = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server")
PATIENCE_MS = 20_000


@dataclass(slots=True, kw_only=True)
class Browser:
    """A browser with what its pages asked for, and what they complained of, in order."""

    context: BrowserContext
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        """Open an address in a page of its own."""
        page = self.context.new_page()
        page.goto(url)
        return page

    def origins(self) -> set[str]:
        """Whom the pages asked, as ``http://127.0.0.1:8000``; ``file://`` for files."""
        parts = [urlsplit(url.removeprefix("blob:")) for url in self.requests]
        return {f"{part.scheme}://{part.netloc}" for part in parts}

    def forget(self) -> None:
        """Begin both records anew."""
        self.requests.clear()
        self.errors.clear()


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """
    Run a browser whose profile and home are in ``folder``; skip where there is none, in CI fail.

    Playwright's objects belong to the thread that runs this.
    """
    chromium = require_tool("chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=chromium,
            headless=True,
            # Chromium's sandbox refuses to work for root.
            chromium_sandbox=os.geteuid() != 0,
            args=[*LOOPBACK_ALONE],
            env={"HOME": str(folder), "PATH": os.environ.get("PATH", os.defpath)},
            viewport={"width": 1280, "height": 900},
        )
        try:
            context.set_default_timeout(PATIENCE_MS)
            yield _recorded(context)
        finally:
            context.close()


def _recorded(context: BrowserContext) -> Browser:
    browser = Browser(context=context)

    def asked(request: Request) -> None:
        browser.requests.append(request.url)

    def connected(socket: WebSocket) -> None:
        browser.requests.append(socket.url)

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            browser.errors.append(message.text)

    def threw(error: WebError) -> None:
        browser.errors.append(str(error.error))

    def crashed(_page: Page) -> None:
        browser.errors.append("the page crashed")

    def opened(page: Page) -> None:
        page.on("websocket", connected)
        page.on("crash", crashed)

    context.on("request", asked)
    context.on("console", said)
    context.on("weberror", threw)
    context.on("page", opened)
    for page in context.pages:
        opened(page)
    return browser
