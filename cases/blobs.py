"""Where de-identified files lie: a local folder that is synced, or a bucket of an S3 service.

A key is a path of plain names. What is put under a key is there whole or not at all; putting again replaces it whole.
"""

import io
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from cases.errors import BlobNotFoundError, StoreUnavailableError

if TYPE_CHECKING:
    from obstore import ReadableFile
    from obstore.store import S3Store

KEY_MAX = 512
PART_SUFFIX = ".part"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}"
_KEY = re.compile(rf"{_NAME}(?:/{_NAME})*", re.ASCII)
_CHUNK = 1 << 20
_PROBE = "probe"

Source = Path | bytes | BinaryIO


class BlobStore(Protocol):
    """Keeps files by key.

    Every call raises ``StoreUnavailableError`` when the store is out of reach, and ``ValueError`` for what is no key.
    """

    def put(self, key: str, source: Source) -> None:
        """Keep a file, durable when this returns; a file object is read from where it stands to its end."""

    def open(self, key: str) -> BinaryIO:
        """Open a blob for reading, seekable; raises ``BlobNotFoundError`` when there is none."""

    def read(self, key: str) -> bytes:
        """Return a whole blob; raises ``BlobNotFoundError`` when there is none."""

    def delete(self, key: str) -> None:
        """Delete a blob; nothing when there is none."""

    def exists(self, key: str) -> bool:
        """Return whether there is a blob."""

    def check(self) -> None:
        """Find out whether the store can be written and read."""

    def clear_unfinished(self, *, older_than_s: float) -> int:
        """Delete what a killed process left of files that it put, and return how many there were."""


def open_blobs(url: str) -> BlobStore:
    """Open the blob store that a URL names.

    ``file:///folder``, or ``s3://bucket/prefix`` with ``?endpoint=https://host:port&region=name`` for a service that is
    not Amazon's. The credentials come from the environment variables that every S3 client knows. Plain HTTP is taken
    only for an endpoint on a loopback address, or with ``allow_http=true``.

    Raises
    ------
    ValueError
        When the URL is of another kind; the message names the fault without the URL, which may hold a secret.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.strip("/"):
            raise ValueError("a blob URL of a folder looks like file:///folder, with three slashes")
        return LocalBlobs(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        return _open_s3(parts.netloc, parts.path, parse_qs(parts.query))
    raise ValueError("a blob URL begins with file:// or s3://")


def checked_key(key: str) -> str:
    """Return the key when it is one.

    Raises
    ------
    ValueError
        When it is too long, or has a part that is no plain name: nothing can lead out of the store.
    """
    if len(key) > KEY_MAX or _KEY.fullmatch(key) is None or key.endswith(PART_SUFFIX):
        raise ValueError("this is not a blob key: parts of letters, digits, dots, dashes, joined by single slashes")
    return key


class LocalBlobs:
    """Blobs in a folder of this machine, or of a network file system that keeps POSIX renames."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, source: Source) -> None:
        """Write beside the place, sync, rename, sync the folder: a crash leaves the old blob or the new one."""
        path = self._path(key)
        with _unavailable_on_os_error("written"):
            self._make_folder(path.parent)
            draft = path.with_name(f"{secrets.token_hex(8)}{PART_SUFFIX}")
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    _copy(source, file)
                    file.flush()
                    os.fsync(file.fileno())
                draft.rename(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

    def open(self, key: str) -> BinaryIO:
        """Open a blob for reading."""
        path = self._path(key)
        with _unavailable_on_os_error("read"):
            try:
                return path.open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise BlobNotFoundError("there is no such blob") from None

    def read(self, key: str) -> bytes:
        """Return a whole blob."""
        with self.open(key) as file:
            return file.read()

    def delete(self, key: str) -> None:
        """Delete a blob, for good when this returns."""
        path = self._path(key)
        with _unavailable_on_os_error("deleted"):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                if path.is_file():
                    raise
                return
            _sync_folder(path.parent)

    def exists(self, key: str) -> bool:
        """Return whether there is a blob."""
        with _unavailable_on_os_error("read"):
            return self._path(key).is_file()

    def check(self) -> None:
        """Write and delete a small file."""
        self.put(_PROBE, b"probe")
        self.delete(_PROBE)

    def clear_unfinished(self, *, older_than_s: float) -> int:
        """Delete drafts that nobody has written to for so long, in s."""
        cleared = 0
        with _unavailable_on_os_error("cleared"):
            for draft in self._root.rglob(f"*{PART_SUFFIX}"):
                with suppress(FileNotFoundError):
                    if time.time() - draft.stat().st_mtime > older_than_s:
                        draft.unlink()
                        cleared += 1
        return cleared

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


class S3Blobs:
    """Blobs in a bucket, under a prefix."""

    def __init__(self, store: "S3Store") -> None:
        self._store = store

    def put(self, key: str, source: Source) -> None:
        """Upload a blob; the service shows it whole or not at all."""
        import obstore  # noqa: PLC0415 - a quarter of a second, and only for those who use a bucket

        checked_key(key)
        try:
            with _unavailable_on_service_error("written"):
                obstore.put(self._store, key, source)
        except BlobNotFoundError:
            # There is nothing to find when one writes: it is the bucket that is missing.
            raise StoreUnavailableError("a blob cannot be written: the bucket is not there") from None

    def open(self, key: str) -> BinaryIO:
        """Open a blob for reading; parts of it are fetched as they are read."""
        import obstore  # noqa: PLC0415 - see put

        checked_key(key)
        with _unavailable_on_service_error("read"):
            reader = obstore.open_reader(self._store, key, buffer_size=_CHUNK)
        return io.BufferedReader(_RawReader(reader), buffer_size=_CHUNK)

    def read(self, key: str) -> bytes:
        """Return a whole blob."""
        import obstore  # noqa: PLC0415 - see put

        checked_key(key)
        with _unavailable_on_service_error("read"):
            return bytes(obstore.get(self._store, key).bytes())

    def delete(self, key: str) -> None:
        """Delete a blob."""
        import obstore  # noqa: PLC0415 - see put

        checked_key(key)
        try:
            with _unavailable_on_service_error("deleted"):
                obstore.delete(self._store, key)
        except BlobNotFoundError:
            return

    def exists(self, key: str) -> bool:
        """Return whether there is a blob."""
        import obstore  # noqa: PLC0415 - see put

        checked_key(key)
        try:
            with _unavailable_on_service_error("read"):
                obstore.head(self._store, key)
        except BlobNotFoundError:
            return False
        return True

    def check(self) -> None:
        """Write and delete a small object."""
        self.put(_PROBE, b"probe")
        self.delete(_PROBE)

    def clear_unfinished(self, *, older_than_s: float) -> int:  # noqa: ARG002
        """Do nothing: a bucket shows no unfinished upload, and its own lifecycle rule ends them."""
        return 0


class _RawReader(io.RawIOBase):
    """Python's own kind of file over a reader of obstore, so that anything can read from it."""

    def __init__(self, reader: "ReadableFile") -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        with _unavailable_on_service_error("read"):
            data = self._reader.read(len(buffer))
        buffer[: len(data)] = bytes(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()


def _open_s3(bucket: str, path: str, query: dict[str, list[str]]) -> S3Blobs:
    from obstore.store import S3Store  # noqa: PLC0415 - see S3Blobs.put

    unknown = set(query) - {"endpoint", "region", "allow_http"}
    if not bucket or unknown:
        raise ValueError("a blob URL of a bucket looks like s3://bucket/prefix?endpoint=…&region=…&allow_http=true")
    prefix = path.strip("/")
    if prefix:
        checked_key(prefix)
    endpoint = query.get("endpoint", [None])[0]
    allow_http = query.get("allow_http", ["false"])[0].lower() == "true"
    if endpoint is not None and urlsplit(endpoint).hostname in {"localhost", "127.0.0.1", "::1"}:
        allow_http = True
    if endpoint is not None and endpoint.startswith("http://") and not allow_http:
        raise ValueError("the endpoint of the blob URL is plain HTTP: use https, or add allow_http=true")
    config = {"region": query.get("region", [os.environ.get("AWS_REGION", "us-east-1")])[0]}
    if endpoint is not None:
        config |= {"endpoint": endpoint, "virtual_hosted_style_request": "false"}
    store = S3Store(
        bucket,
        prefix=prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options={"allow_http": allow_http, "connect_timeout": "5s", "timeout": "120s"},
        # Whoever waits for the store has a queue of its own: a few tries, then say so.
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
    )
    return S3Blobs(store)


def _copy(source: Source, target: BinaryIO) -> None:
    if isinstance(source, bytes):
        target.write(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            shutil.copyfileobj(file, target, _CHUNK)
    else:
        shutil.copyfileobj(source, target, _CHUNK)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _unavailable_on_os_error(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The system's text would name the path; its number says what is wrong.
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise StoreUnavailableError(f"a blob cannot be {what}: {reason}") from None


@contextmanager
def _unavailable_on_service_error(what: str) -> Iterator[None]:
    from obstore.exceptions import BaseError, NotFoundError  # noqa: PLC0415 - see S3Blobs.put

    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise BlobNotFoundError("there is no such blob") from None
    except (BaseError, OSError) as error:
        raise StoreUnavailableError(f"a blob cannot be {what}: {type(error).__name__}") from None
