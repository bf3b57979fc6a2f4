"""A case to take away: what is in it, that any part of it can be had, and that nothing else than what was filed is."""

import hashlib
import io
import json
import os
import subprocess
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from api import archives
from cases.blobs import BlobStore
from cases.errors import BlobNotFoundError, DamagedBlobError
from cases.exports.contents import ExportFile, by_file_id, by_words
from cases.exports.reading import PIECE_BYTES, checked_pieces, layout_of, pieces_of_archive
from cases.store import Accounts, Audit
from cases.store.rows import CaseImageRow
from cases.users import Role, Scope
from tests.api.pictures import instance
from tests.integration.served import served
from tests.tools import require_tool

PICTURES = [instance(np.arange(64, dtype="u2").reshape(8, 8) + n) for n in range(3)]


@pytest.fixture
def case_id(world, owner) -> str:
    return world.study("owner", PICTURES)


@pytest.fixture
def mine(as_user, owner):
    return as_user(owner)


def address(case_id: str) -> str:
    return f"/api/v1/cases/{case_id}/archive"


def downloads(world, case_id):
    with world.database.read() as session:
        return Audit(session).entries(subject=case_id, actions=["case.download"])


# -- what is in it ---------------------------------------------------------------------------------------------------


def test_it_holds_images_by_study_and_series_texts_licence_and_checksums(mine, world, case_id):
    world.finish(case_id)
    answer = mine.get(address(case_id))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="case-{case_id[:8]}-1.zip"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    folder = "images/1 CT day 0/01 axial"
    assert list(files) == [
        "case.txt",
        "case.json",
        "licence.txt",
        *(f"{folder}/{number:04d}.dcm" for number in (1, 2, 3)),
        "checksums.sha256",
    ]
    assert [files[f"{folder}/{number:04d}.dcm"] for number in (1, 2, 3)] == PICTURES
    told = files["case.txt"].decode()
    for words in ("A title\n=======", "Age: 45 years", "Sex: female", "Systems: Chest", "Pain.", "Seen.", "Known."):
        assert words in told
    assert "https://creativecommons.org/licenses/by-nc-sa/3.0/" in files["licence.txt"].decode()
    sums = dict(reversed(line.split("  ", 1)) for line in files["checksums.sha256"].decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if "checksums" not in name}


def test_the_case_for_programs_has_the_file_of_each_image_and_nothing_of_the_work_on_it(mine, world, case_id):
    with zipfile.ZipFile(io.BytesIO(mine.get(address(case_id)).content)) as archive:
        case = json.loads(archive.read("case.json"))
        images = case["studies"][0]["series"][0]["images"]
        assert [hashlib.sha256(archive.read(image["file"])).hexdigest() for image in images] == [
            image["sha256"] for image in images
        ]
    assert (case["id"], case["age"], case["licence_accepted"]) == (case_id, "45 years", False)
    assert not {"sender", "arrived_at", "created_at", "updated_at", "receipts", "consent"} & set(case)
    assert case["owner"] is None
    assert not set(world.secrets) & set(json.dumps(case).split('"')), "no key of a blob or an original"


def test_a_licence_that_nobody_accepted_grants_nothing(mine, case_id):
    with zipfile.ZipFile(io.BytesIO(mine.get(address(case_id)).content)) as archive:
        assert archive.read("licence.txt").startswith(b"The owner of this case has not accepted a licence")
        assert b"State: draft, not published" in archive.read("case.txt")


def test_names_are_those_of_the_case_made_safe_and_none_is_twice(world, case_id):
    detail = world.detail(case_id)
    [study] = detail.studies
    [series] = study.series
    odd = replace(series, number=None, perspective="Axial", specifics="T1/..\\T2: čaj <portal>")
    twice = replace(detail, studies=(replace(study, series=(series, series, odd)), study))
    names = {named.name.rpartition("/")[0] for named in by_words(twice)}
    assert names == {
        "images/1 CT day 0/01 axial",
        "images/1 CT day 0/01 axial-2",
        "images/1 CT day 0/03 Axial T1 .. T2 caj portal",
        "images/2 CT day 0/01 axial",
    }
    assert {named.name for named in by_file_id(detail)} == {f"IMAGES/ST000001/SE000001/IM00000{n}" for n in (1, 2, 3)}


# -- parts of it -----------------------------------------------------------------------------------------------------


def test_it_is_the_same_byte_by_byte_until_the_case_is_another(mine, world, case_id):
    first, second = mine.get(address(case_id)), mine.get(address(case_id))
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    assert first.headers["etag"].startswith('"1-')
    assert mine.patch(f"/api/v1/cases/{case_id}", json={"title": "Hernia"}).status_code == 200
    third = mine.get(address(case_id))
    assert third.headers["etag"] != first.headers["etag"]
    assert third.content != first.content


def test_a_head_says_how_long_it_is_and_leaves_no_entry(mine, world, case_id):
    head = mine.head(address(case_id))
    assert head.status_code == 200
    assert head.content == b""
    assert not downloads(world, case_id)
    whole = mine.get(address(case_id))
    for name in ("content-length", "etag", "accept-ranges", "content-type", "content-disposition"):
        assert head.headers[name] == whole.headers[name], name
    assert head.headers["accept-ranges"] == "bytes"
    assert mine.head(address(case_id), headers={"If-None-Match": head.headers["etag"]}).status_code == 304


def test_any_part_of_it_is_that_part_of_the_whole(mine, case_id):
    whole = mine.get(address(case_id))
    total = len(whole.content)
    for start, stop in ((0, 1), (0, total), (1, 40), (500, 3000), (total // 2, total), (total - 1, total)):
        part = mine.get(address(case_id), headers={"Range": f"bytes={start}-{stop - 1}"})
        assert part.status_code == 206, (start, stop)
        assert part.content == whole.content[start:stop]
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{total}"
        assert part.headers["content-length"] == str(stop - start)
        assert part.headers["etag"] == whole.headers["etag"]
    assert mine.get(address(case_id), headers={"Range": "bytes=-5"}).content == whole.content[-5:]


def test_what_is_held_of_another_archive_is_not_gone_on_with(mine, case_id):
    held = mine.get(address(case_id)).headers["etag"]
    asked = {"Range": "bytes=10-", "If-Range": held}
    assert mine.get(address(case_id), headers=asked).status_code == 206
    mine.patch(f"/api/v1/cases/{case_id}", json={"title": "Hernia"})
    answer = mine.get(address(case_id), headers=asked)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_who_holds_it_is_not_sent_it_again(mine, world, case_id):
    held = mine.get(address(case_id)).headers["etag"]
    answer = mine.get(address(case_id), headers={"If-None-Match": held, "Range": "bytes=0-5"})
    assert (answer.status_code, answer.content) == (304, b"")
    assert len(downloads(world, case_id)) == 1


def test_a_part_behind_the_end_is_refused_with_the_length(mine, world, case_id):
    total = int(mine.head(address(case_id)).headers["content-length"])
    answer = mine.get(address(case_id), headers={"Range": f"bytes={total}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{total}"
    assert answer.json()["type"] == "urn:casebridge:problem:range-not-satisfiable"
    assert not downloads(world, case_id)


def test_several_parts_at_once_are_answered_with_the_whole(mine, case_id):
    answer = mine.get(address(case_id), headers={"Range": "bytes=0-1,4-5"})
    assert answer.status_code == 200
    assert "content-range" not in answer.headers


# -- what is checked -------------------------------------------------------------------------------------------------


def row_of(world, case_id, number=0):
    with world.database.read() as session:
        found = select(CaseImageRow.id, CaseImageRow.blob_key, CaseImageRow.crc32)
        rows = session.execute(found.where(CaseImageRow.case_id == case_id).order_by(CaseImageRow.instance_number))
        return rows.all()[number]


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "gone"])
def test_an_image_that_is_not_what_was_filed_breaks_the_answer_off(
    *, app, owner, mine, world, case_id, damage, tmp_path
):
    assert mine.get(address(case_id)).status_code == 200  # whose CRC-32 is known is not read before the answer
    row = row_of(world, case_id, 1)
    data = bytearray(PICTURES[1])
    if damage == "changed":
        data[-1] ^= 1
    world.blobs.put(row.blob_key, bytes({"shorter": data[:-1], "longer": data + b"x"}.get(damage, data)))
    if damage == "gone":
        world.blobs.delete(row.blob_key)
    with served(app) as at:
        done = curl(owner, at, case_id, tmp_path / "case.zip")
    assert done.returncode == 18, "what came is shorter than was said"
    file = tmp_path / "case.zip"
    got = file.read_bytes() if file.exists() else b""
    assert bytes(data[-40:]) not in got
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(got))


def test_a_damaged_image_is_told_before_the_answer_where_it_was_never_read(mine, world, case_id):
    world.blobs.put(row_of(world, case_id).blob_key, b"\0" * len(PICTURES[0]))
    answer = mine.get(address(case_id))
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:casebridge:problem:damaged-blob"
    assert not downloads(world, case_id)


def curl(owner, at: str, case_id: str, to: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [
            *(require_tool("curl"), "-sS", "-H", f"Authorization: Bearer {owner.token}"),
            *(*options, "-o", to, at + address(case_id)),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )


class Watched:
    """A blob store that says what is read, and looks whether the database is held meanwhile."""

    def __init__(self, blobs: BlobStore, database) -> None:
        self._blobs = blobs
        self._database = database
        self.opened: list[str] = []
        self.held: list[int] = []
        self.tell = lambda: None

    def open(self, key: str):
        self.tell()
        self.opened.append(key)
        self.held.append(self._database.engine.pool.checkedout())
        return self._blobs.open(key)


@pytest.fixture
def watched(app, world) -> Watched:
    watched = Watched(world.blobs, world.database)
    app.state.context = replace(app.state.context, blobs=watched)
    return watched


def test_the_crc32_of_an_image_is_computed_once_and_the_database_is_not_held_meanwhile(mine, world, case_id, watched):
    assert row_of(world, case_id).crc32 is None
    mine.head(address(case_id))
    assert len(watched.opened) == 3
    assert [row_of(world, case_id, number).crc32 for number in range(3)] == [zlib.crc32(data) for data in PICTURES]
    mine.head(address(case_id))
    assert len(watched.opened) == 3, "what is known is not read again"
    mine.get(address(case_id))
    assert len(watched.opened) == 6
    assert set(watched.held) == {0}


def test_a_part_reads_nothing_of_what_lies_before_it(mine, world, case_id, watched):
    whole = mine.get(address(case_id)).content
    watched.opened.clear()
    start = whole.index(PICTURES[2]) + 5
    part = mine.get(address(case_id), headers={"Range": f"bytes={start}-"})
    assert part.content == whole[start:]
    assert watched.opened == [row_of(world, case_id, 2).blob_key]


def test_another_file_under_an_image_forgets_the_crc32(world, mine, case_id):
    mine.head(address(case_id))
    with world.database.write() as session:
        row = session.get_one(CaseImageRow, row_of(world, case_id).id)
        row.sha256 = row.sha256
        assert row.crc32 is not None
        row.sha256 = "0" * 64
    assert row_of(world, case_id).crc32 is None


def test_reading_for_the_first_time_ends_after_a_while_and_the_next_call_goes_on(mine, world, case_id, monkeypatch):
    monkeypatch.setattr(archives, "_READ_FOR_S", -1.0)
    answer = mine.get(address(case_id))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["detail"].startswith("0 of 3 images")
    moments = iter([0.0, 0.0, 1.0, 2.0, 2.0, 30.0])
    monkeypatch.setattr(archives, "_READ_FOR_S", 20.0)
    monkeypatch.setattr(archives, "monotonic", lambda: next(moments))
    assert mine.get(address(case_id)).json()["detail"].startswith("1 of 3 images")
    monkeypatch.undo()
    known = [row_of(world, case_id, number).crc32 for number in range(3)]
    assert sum(crc32 is not None for crc32 in known) == 1
    assert mine.get(address(case_id)).status_code == 200


def test_few_calls_read_for_the_first_time_at_once(mine, case_id):
    with taken(2):
        answer = mine.get(address(case_id))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "urn:casebridge:problem:archive-not-ready"
    assert mine.get(address(case_id)).status_code == 200
    with taken(2):
        assert mine.get(address(case_id)).status_code == 200, "who need not read need not wait"


@contextmanager
def taken(number):
    for _ in range(number):
        assert archives._READERS.acquire(blocking=False)
    try:
        yield
    finally:
        archives._READERS.release(number)


class Holes:
    """A blob store of zeros, as many as one likes."""

    def __init__(self, folder: Path, size: int) -> None:
        self._file = folder / "zeros"
        with self._file.open("wb") as file:
            file.truncate(size)

    def open(self, _key: str):
        return self._file.open("rb")


def test_memory_is_flat_however_large_an_image_is(world, case_id, tmp_path):
    size = 256 << 20
    digest, crc32 = hashlib.sha256(), 0
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
        crc32 = zlib.crc32(bytes(1 << 20), crc32)
    image = replace(
        world.detail(case_id).studies[0].series[0].images[0], size_bytes=size, sha256=digest.hexdigest(), crc32=crc32
    )
    files = (ExportFile(name="a.dcm", size_bytes=size, sha256=image.sha256, crc32=crc32, image=image),)
    layout = layout_of(files)
    blobs = Holes(tmp_path, size)
    tracemalloc.start()
    got = sum(len(piece) for piece in pieces_of_archive(blobs, files, layout, 0, layout.size_bytes))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got == layout.size_bytes
    assert peak < 4 * PIECE_BYTES


def test_the_last_piece_comes_only_when_all_was_right(world, case_id, tmp_path):
    image = world.detail(case_id).studies[0].series[0].images[0]
    blobs = Holes(tmp_path, 2 * PIECE_BYTES + 5)
    wrong = replace(image, size_bytes=2 * PIECE_BYTES + 5)
    pieces = checked_pieces(blobs, wrong)
    assert [len(next(pieces)) for _ in range(2)] == [PIECE_BYTES] * 2
    with pytest.raises(DamagedBlobError):
        next(pieces)
    with pytest.raises(BlobNotFoundError):
        next(checked_pieces(world.blobs, replace(image, blob_key="nowhere")))


# -- who may, and what is kept of it ---------------------------------------------------------------------------------


def test_its_owner_and_editors_take_it_and_readers_of_a_public_case_do_not(as_user, world, case_id, owner, stranger):
    editor, reviewer = world.user("ed", Role.EDITOR), world.user("re", Role.REVIEWER)
    assert as_user(stranger).get(address(case_id)).status_code == 404
    world.publish(case_id)
    statuses = {one.name: as_user(one).get(address(case_id)).status_code for one in (owner, editor, reviewer, stranger)}
    assert statuses == {"owner": 200, "ed": 200, "re": 403, "stranger": 403}
    with world.database.write() as session:
        narrow = Accounts(session).issue_token(editor.id, "narrow", scopes=frozenset({Scope.READ}))
    assert as_user(replace(editor, token=narrow)).get(address(case_id)).status_code == 403


def test_a_removed_case_is_gone(mine, as_user, world, case_id):
    assert mine.delete(f"/api/v1/cases/{case_id}").status_code in {200, 204}
    assert mine.get(address(case_id)).status_code == 404
    assert as_user(world.user("ed", Role.EDITOR)).get(address(case_id)).status_code == 410


def test_the_audit_log_knows_before_the_first_byte_and_parts_are_one_download(mine, world, case_id):
    whole = mine.get(address(case_id))
    [entry] = downloads(world, case_id)
    assert entry.actor == "owner"
    assert entry.detail == {
        "version": 1,
        "images": 3,
        "bytes": len(whole.content),
        "archive": whole.headers["etag"].strip('"').partition("-")[2],
    }
    for start in (10, 20, 30):
        mine.get(address(case_id), headers={"Range": f"bytes={start}-"})
    assert len(downloads(world, case_id)) == 1
    mine.get(address(case_id), headers={"Range": "bytes=0-5"})
    assert len(downloads(world, case_id)) == 2, "one that begins anew is one of its own"


def test_nobody_leaves_no_entry_by_beginning_in_the_middle(mine, as_user, world, case_id):
    middle = {"Range": "bytes=1-"}
    mine.get(address(case_id), headers=middle)
    assert len(downloads(world, case_id)) == 1
    as_user(world.user("ed", Role.EDITOR)).get(address(case_id), headers=middle)
    assert [entry.actor for entry in downloads(world, case_id)] == ["owner", "ed"]
    mine.patch(f"/api/v1/cases/{case_id}", json={"title": "Hernia"})
    mine.get(address(case_id), headers=middle)
    assert len(downloads(world, case_id)) == 3, "of another archive"


def test_the_entry_stands_before_anything_is_read(mine, world, case_id, watched):
    mine.head(address(case_id))
    seen = []
    watched.tell = lambda: seen.append(len(downloads(world, case_id)))
    mine.get(address(case_id))
    assert seen == [1, 1, 1]


# -- a download that broke off ---------------------------------------------------------------------------------------


def test_curl_goes_on_where_it_broke_off(app, world, case_id, owner, tmp_path):
    file = tmp_path / "case.zip"
    with served(app) as at:
        assert curl(owner, at, case_id, tmp_path / "whole.zip").returncode == 0
        whole = (tmp_path / "whole.zip").read_bytes()
        file.write_bytes(whole[: len(whole) // 3])
        assert curl(owner, at, case_id, file, "-C", "-").returncode == 0
    assert file.read_bytes() == whole


def test_nothing_is_open_after_a_caller_went(app, world, owner, tmp_path, monkeypatch):
    big = os.urandom(8 << 20)
    case_id = world.study("owner", [big])
    opened = []
    real = world.blobs.open

    def noting(key):
        opened.append(real(key))
        return opened[-1]

    monkeypatch.setattr(world.blobs, "open", noting)
    with served(app) as at:
        done = curl(owner, at, case_id, tmp_path / "case.zip", "--max-filesize", "1000")
        assert done.returncode == 63, "it went when it heard how much there is"
        done = curl(owner, at, case_id, tmp_path / "case.zip", "--limit-rate", "100k", "--max-time", "1")
        assert done.returncode == 28
    assert opened
    assert all(file.closed for file in opened)
