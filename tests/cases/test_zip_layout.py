"""The layout of ZIP files is what three other programs read, and any part of it is that part of the whole."""

import io
import subprocess
import zipfile
import zlib
from bisect import bisect_right
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.exports.zip_layout import ZipEntry, ZipLayout
from tests.tools import require_tool

GIB = 1 << 30


def entry(name: str, content: bytes) -> ZipEntry:
    return ZipEntry(name=name, size_bytes=len(content), crc32=zlib.crc32(content))


def written(contents: dict[str, bytes], start: int = 0, stop: int | None = None) -> bytes:
    """Return the archive of contents, or a part of it."""
    layout = ZipLayout([entry(name, content) for name, content in contents.items()])
    values = list(contents.values())
    return b"".join(
        part.literal if part.entry is None else values[part.entry][part.offset : part.offset + part.length]
        for part in layout.parts(start, stop)
    )


CONTENTS = {"case.txt": b"A title\n", "images/1 CT/02 Axial/0001.dcm": bytes(range(256)) * 9, "leer.txt": b""}


def test_zipfile_reads_what_was_laid_out() -> None:
    data = written(CONTENTS)

    assert len(data) == ZipLayout([entry(*one) for one in CONTENTS.items()]).size_bytes
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {one.filename: archive.read(one) for one in archive.infolist()} == CONTENTS
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {one.external_attr >> 16 for one in archive.infolist()} == {0o100644}


def test_info_zip_reads_it_without_a_complaint(tmp_path: Path) -> None:
    file = tmp_path / "case.zip"
    file.write_bytes(written(CONTENTS))

    tested = subprocess.run([require_tool("unzip"), "-t", file], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "No errors detected" in tested.stdout
    listed = subprocess.run([require_tool("zipinfo"), "-v", file], capture_output=True, text=True, check=True)
    assert listed.stdout.count("compression method:                             none (stored)") == 3
    assert listed.stdout.count("file security status:                           not encrypted") == 3
    assert listed.stdout.count("extended local header:                          no") == 3
    assert "warning" not in (listed.stdout + listed.stderr).lower()


def test_no_entry_is_an_archive_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(written({}))) as archive:
        assert archive.namelist() == []


def test_a_name_beyond_ascii_says_that_it_is_utf_8() -> None:
    with zipfile.ZipFile(io.BytesIO(written({"Schädel.txt": b"x", "plain.txt": b"y"}))) as archive:
        first, second = archive.infolist()
    assert (first.filename, first.flag_bits) == ("Schädel.txt", 0x800)
    assert (second.filename, second.flag_bits) == ("plain.txt", 0)


@given(st.data())
def test_each_part_is_that_part_of_the_whole(data: st.DataObject) -> None:
    whole = written(CONTENTS)
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    assert written(CONTENTS, start, stop) == whole[start:stop]


def test_parts_are_never_empty_and_none_reads_what_lies_before() -> None:
    layout = ZipLayout([ZipEntry(name=f"{n}.dcm", size_bytes=GIB, crc32=n) for n in range(9)])
    parts = list(layout.parts(5 * GIB, 5 * GIB + 10))
    assert [(part.entry, part.length) for part in parts] == [(4, 10)]
    assert all(part.literal or part.length for part in layout.parts())


@pytest.mark.parametrize("name", ["", "/etc/passwd", "a//b", "../x", "a/../b", "a\\b", "a/", "x" * 1025])
def test_a_name_that_leads_elsewhere_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        ZipEntry(name=name, size_bytes=0, crc32=0)


def test_no_two_entries_have_one_name() -> None:
    with pytest.raises(ValueError, match="one name"):
        ZipLayout([entry("a", b""), entry("a", b"")])
    with pytest.raises(ValueError, match="no negative number"):
        ZipEntry(name="a", size_bytes=-1, crc32=0)


# -- more than 4 GiB, more than 65,535 files: nothing of it lies anywhere ---------------------------------------------


class Sparse(io.RawIOBase):
    """An archive whose files are zeros, as a file that can be read anywhere."""

    def __init__(self, layout: ZipLayout) -> None:
        self._layout = layout
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._layout.size_bytes)[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b"".join(
            part.literal if part.entry is None else bytes(part.length)
            for part in self._layout.parts(self._at, self._at + len(buffer))
        )
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def crc32_of_zeros(length: int) -> int:
    """Return the CRC-32 of so many zeros, a block in memory at a time."""
    crc = zlib.crc32(b"")
    block, rest = bytes(1 << 24), length
    while rest:
        step = min(rest, len(block))
        crc = zlib.crc32(block[:step], crc)
        rest -= step
    return crc


SIZES = [5, 0xFFFFFFFE, 7, 0xFFFFFFFF, 9, 0x1_0000_0001, 3]
"""Around what fits into 32 bits, as a size and as a place."""


def huge() -> ZipLayout:
    return ZipLayout([ZipEntry(name=f"{n}.dcm", size_bytes=size, crc32=n) for n, size in enumerate(SIZES)])


def test_files_and_places_beyond_4_gib_are_found_by_zipfile() -> None:
    layout = huge()
    assert layout.size_bytes > 12 * GIB
    with zipfile.ZipFile(Sparse(layout)) as archive:  # type: ignore[call-overload]
        found = archive.infolist()
        assert [one.file_size for one in found] == SIZES
        assert [one.CRC for one in found] == list(range(len(SIZES)))
        places = [one.header_offset for one in found]
        assert bisect_right(places, 0xFFFFFFFF) == 2
        assert [one.extract_version for one in found] == [20, 20, 45, 45, 45, 45, 45]
        archive.open("6.dcm").close()  # behind all of them; its local header is read and compared


def test_info_zip_tests_an_archive_beyond_4_gib(tmp_path: Path) -> None:
    size = 0xFFFFFFFF + 10
    contents = {"first.txt": b"before", "last.txt": b"behind"}
    entries = [
        entry("first.txt", contents["first.txt"]),
        ZipEntry(name="large.dcm", size_bytes=size, crc32=crc32_of_zeros(size)),
        entry("last.txt", contents["last.txt"]),
    ]
    file = tmp_path / "huge.zip"
    layout, at = ZipLayout(entries), 0
    with file.open("wb") as target:
        for part in layout.parts():
            if part.literal:
                target.seek(at)
                target.write(part.literal)
            elif entries[part.entry or 0].name != "large.dcm":
                target.seek(at)
                target.write(contents[entries[part.entry or 0].name])
            at += len(part.literal) or part.length  # the large file is a hole
        target.truncate(layout.size_bytes)
    assert file.stat().st_blocks * 512 < 1 << 20, "no gigabytes on disk"

    listed = subprocess.run([require_tool("zipinfo"), file], capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert f"{size} bx stor" in listed.stdout
    tested = subprocess.run([require_tool("unzip"), "-tq", file], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_more_files_than_16_bits_count() -> None:
    layout = ZipLayout([ZipEntry(name=f"{n:06d}", size_bytes=0, crc32=0) for n in range(70_000)])
    with zipfile.ZipFile(Sparse(layout)) as archive:  # type: ignore[call-overload]
        assert len(archive.infolist()) == 70_000
        assert archive.read("069999") == b""
