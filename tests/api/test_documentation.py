"""The page at ``/docs``: made of our own files, and of nothing from elsewhere."""

import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from api.documentation import CONTENT_SECURITY_POLICY, FOLDER, PAGES, load_asset

RECORD = json.loads((FOLDER / "assets.json").read_text())


class Page(HTMLParser):
    """What a page loads, and what it does itself."""

    def __init__(self):
        super().__init__()
        self.loads, self.links, self.inline = [], [], []
        self._tag = ""

    def handle_starttag(self, tag, attributes):
        self._tag = tag
        found = dict(attributes)
        self.loads += [found[name] for name in ("src", "href") if name in found and tag != "a"]
        self.inline += [name for name in found if name.startswith("on") or name == "style"]

    def handle_data(self, data):
        if self._tag in {"script", "style"} and data.strip():
            self.inline.append(data)


def test_the_page_is_served_with_all_that_it_loads(client):
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    found = Page()
    found.feed(page.text)
    assert found.inline == []
    # an empty icon, or browsers ask for one that is not there
    assert found.loads.pop(0) == "data:,"
    assert set(found.loads) == set(PAGES) - {"/docs"}
    for path in found.loads:
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(("text/javascript", "text/css"))


@pytest.mark.parametrize("path", PAGES)
def test_nothing_but_our_own_files_may_be_loaded_and_no_other_host_asked(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    policy = dict(part.split(" ", 1) for part in CONTENT_SECURITY_POLICY.split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"


def test_no_file_names_another_host_to_fetch_from():
    """Hosts may stand in texts and as names of namespaces; none is where something is loaded from."""
    style = (FOLDER / "swagger-ui.css").read_text()
    assert "@import" not in style
    assert all(found.startswith(("data:", "#")) for found in re.findall(r"url\(['\"]?([^'\")]{1,40})", style))
    assert "@font-face" not in style
    for name in ("index.html", "start.js"):
        assert "//" not in re.sub(r"^//.*$", "", (FOLDER / name).read_text(), flags=re.MULTILINE)
    program = (FOLDER / "swagger-ui-bundle.js").read_text()
    loading = r"""fetch|importScripts|import|\.open\(\s*["'][A-Z]+["']\s*,|new (?:WebSocket|EventSource|Worker)"""
    assert not re.search(rf"""(?:{loading})\(?\s*["'`](?:https?:|wss?:)?//""", program)
    # the one host that the program would ask by itself is the validator's, and the page switches that off
    assert "validator.swagger.io" in program
    assert re.search(r"^\s*validatorUrl: null,$", (FOLDER / "start.js").read_text(), re.MULTILINE)
    assert "queryConfigEnabled: false" in (FOLDER / "start.js").read_text()


def test_a_typed_token_is_not_kept_in_the_browser():
    assert "persistAuthorization: false" in (FOLDER / "start.js").read_text()


def test_what_was_taken_over_is_recorded_file_by_file():
    ours = {"index.html", "start.js", "assets.json", "SWAGGER_UI.md"}
    assert {path.name for path in FOLDER.iterdir()} == ours | set(RECORD["files"])
    page = (FOLDER / "SWAGGER_UI.md").read_text()
    assert RECORD["version"] in page
    for name, digest in RECORD["files"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
        assert f"| `{name}` |" in page
        assert digest in page
    assert "Apache License" in (FOLDER / "LICENSE").read_text()


def test_a_file_that_is_another_one_is_not_served(tmp_path):
    folder = tmp_path / "swagger_ui"
    shutil.copytree(FOLDER, folder)
    (folder / "swagger-ui.css").write_text("@import url(//elsewhere.example/x.css)")
    with pytest.raises(ValueError, match="install the program again"):
        load_asset("swagger-ui.css", folder)
    assert load_asset("start.js", folder).content


def test_a_copy_that_is_still_right_is_not_sent_again(client):
    tag = client.get("/docs/swagger-ui.css").headers["etag"]
    answer = client.get("/docs/swagger-ui.css", headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert answer.content == b""


@pytest.mark.parametrize("path", ["/docs/LICENSE", "/docs/assets.json", "/docs/../errors.py", "/docs/..%2ferrors.py"])
def test_no_other_file_is_served(client, path):
    assert client.get(path).status_code == 404
