"""Blobs in a folder and in a bucket."""

import os
import re
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cases.blobs import BlobStore, LocalBlobs, open_blobs
from cases.errors import StoreUnavailableError
from tests.contract.blob_store import KEY, BlobStoreContract
from tests.tools import require_peer


class TestFolder(BlobStoreContract):
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "with space" / "blobs"

    @pytest.fixture
    def store(self, root: Path) -> BlobStore:
        return open_blobs(root.as_uri())

    def test_only_the_owner_may_read_files_and_folders(self, store: BlobStore, root: Path) -> None:
        store.put(KEY, b"x")
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (root, root / "cases", root / "cases/0f")}
        assert modes == {0o700}
        assert stat.S_IMODE((root / KEY).stat().st_mode) == 0o600

    def test_nothing_shows_before_it_is_synced_and_renamed(
        self, store: BlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        real = os.fsync

        def fsync(descriptor: int) -> None:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            steps.append(("folder" if is_folder else "file") + (" shown" if (root / KEY).exists() else ""))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        store.put(KEY, b"x")
        assert steps[-2:] == ["file", "folder shown"]

    def test_a_source_that_breaks_leaves_the_old_blob_and_no_rest(self, store: BlobStore, root: Path) -> None:
        store.put(KEY, b"old")
        with pytest.raises(StoreUnavailableError):
            store.put(KEY, root / "no such file")
        assert store.read(KEY) == b"old"
        assert [path.name for path in (root / KEY).parent.iterdir()] == [Path(KEY).name]

    def test_an_error_says_what_is_wrong_and_not_where(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"a file where a folder should be")
        store = LocalBlobs(tmp_path / "secret")
        with pytest.raises(StoreUnavailableError) as caught:
            store.check()
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.fixture(scope="module")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running S3 service of moto, with credentials in the environment."""
    program = require_peer("moto_server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(program), "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output, env=environment
        )
    endpoint = f"http://127.0.0.1:{port}"
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    try:
        _wait_for(endpoint, server)
        yield endpoint
    finally:
        patch.undo()
        server.terminate()
        server.wait(timeout=20)


def _wait_for(endpoint: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    pytest.fail("moto's server did not start")


def _make_bucket(endpoint: str) -> str:
    bucket = f"b{uuid.uuid4().hex[:20]}"
    request = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")
    request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")
    urllib.request.urlopen(request, timeout=10).close()
    return bucket


class TestBucket(BlobStoreContract):
    @pytest.fixture
    def store(self, s3_endpoint: str) -> BlobStore:
        return open_blobs(f"s3://{_make_bucket(s3_endpoint)}/some/prefix?endpoint={s3_endpoint}")

    def test_a_bucket_that_is_not_there_is_a_store_out_of_reach(self, s3_endpoint: str) -> None:
        store = open_blobs(f"s3://no-such-bucket?endpoint={s3_endpoint}")
        with pytest.raises(StoreUnavailableError):
            store.check()


@pytest.mark.parametrize(
    "url",
    [
        "file://elsewhere/blobs",
        "file:///",
        "ftp://host/x",
        "/plain/path",
        "s3://",
        "s3://bucket?secret=1",
        "s3://bucket/../x",
        "s3://bucket?endpoint=http://s3.example.org",
    ],
)
def test_a_wrong_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        open_blobs(url)
    assert not {"elsewhere", "secret", "example"} & set(re.findall(r"\w+", str(caught.value)))
    assert str(caught.value).startswith(("a blob URL", "the endpoint", "this is not a blob key"))


@pytest.mark.timeout(60)
def test_a_service_out_of_reach_is_said_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    store = open_blobs("s3://bucket?endpoint=http://127.0.0.1:1")
    with pytest.raises(StoreUnavailableError) as caught:
        store.check()
    assert "bucket" not in str(caught.value)
