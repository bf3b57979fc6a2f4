"""What every blob store has to do; a class of tests to inherit, with a fixture ``store``."""

import io
import threading
from pathlib import Path

import pytest

from cases.blobs import BlobStore
from cases.errors import BlobNotFoundError

KEY = "cases/0f/image-1.dcm"
WRONG_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../b",
    "a//b",
    "a/",
    "/a",
    "./a",
    "a/./b",
    ".hidden",
    "a\\b",
    "a b",
    "a\n",
    "a\0b",
    "ä",
    "x.part",
    "a" * 600,
    "c:/x",
]


class BlobStoreContract:
    """Inherit, and give a fixture ``store`` with an empty store."""

    def test_what_is_put_is_read_again(self, store: BlobStore, tmp_path: Path) -> None:
        content = bytes(range(256)) * 5000
        path = tmp_path / "source"
        path.write_bytes(content)
        for number, source in enumerate((content, path, io.BytesIO(content))):
            store.put(f"{KEY}{number}", source)
            assert store.read(f"{KEY}{number}") == content

    def test_an_open_blob_can_be_searched_like_a_file(self, store: BlobStore) -> None:
        content = bytes(range(256)) * 9000
        store.put(KEY, content)
        with store.open(KEY) as file:
            assert file.read(4) == content[:4]
            assert isinstance(file.read(1), bytes)
            file.seek(1_500_000)
            assert file.tell() == 1_500_000
            assert file.read(300) == content[1_500_000:1_500_300]
            file.seek(-10, io.SEEK_END)
            assert file.read() == content[-10:]
            assert file.read(1) == b""

    def test_an_empty_blob_is_a_blob(self, store: BlobStore) -> None:
        store.put(KEY, b"")
        assert store.exists(KEY)
        assert store.read(KEY) == b""

    def test_putting_again_replaces_the_whole_blob(self, store: BlobStore) -> None:
        store.put(KEY, b"long long long")
        store.put(KEY, b"short")
        assert store.read(KEY) == b"short"

    def test_deleting_twice_is_as_good_as_once(self, store: BlobStore) -> None:
        store.put(KEY, b"x")
        assert store.exists(KEY)
        store.delete(KEY)
        store.delete(KEY)
        store.delete("cases/never/was.dcm")
        assert not store.exists(KEY)

    def test_what_is_not_there_says_so(self, store: BlobStore) -> None:
        assert not store.exists(KEY)
        for read in (store.read, store.open):
            with pytest.raises(BlobNotFoundError):
                read(KEY)

    @pytest.mark.parametrize("key", WRONG_KEYS)
    def test_a_key_that_could_lead_elsewhere_is_refused_by_every_call(self, store: BlobStore, key: str) -> None:
        for call in (store.read, store.open, store.delete, store.exists, lambda wrong: store.put(wrong, b"x")):
            with pytest.raises(ValueError, match="not a blob key"):
                call(key)

    def test_of_writers_at_once_one_wins_whole(self, store: BlobStore) -> None:
        contents = [bytes([n]) * 200_000 for n in range(6)]
        threads = [threading.Thread(target=store.put, args=(KEY, content)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.read(KEY) in contents

    def test_the_check_leaves_nothing(self, store: BlobStore) -> None:
        store.check()
        store.check()
        assert not store.exists("probe")
