"""The clients that hospitals really use."""

import os
import re
import subprocess

from tests.corpus import ROOT, require_corpus
from tests.scp.conftest import wait_for
from tests.tools import require_tool


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    # Debian's build keeps Nagle's algorithm on unless told otherwise.
    return subprocess.run(
        [str(argument) for argument in arguments],
        env=os.environ | {"TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def dcmsend(port: int, *arguments: object) -> str:
    result = run(
        require_tool("dcmsend"), "-v", "-aec", "CASEBRIDGE", "--no-halt", "--no-uid-checks", "--decompress-never",
        *arguments[:-1], "127.0.0.1", port, arguments[-1],
    )  # fmt: skip
    return result.stdout + result.stderr


def number(label: str, text: str) -> int:
    found = re.search(rf"{label}\s*: (\d+)", text)
    return int(found[1]) if found else 0


def test_echoscu_is_answered(receiver):
    result = run(require_tool("echoscu"), "-aec", "CASEBRIDGE", "127.0.0.1", receiver.port)

    assert result.returncode == 0, result.stderr


def test_storescu_stores_a_compressed_file_as_it_is(receiver, spool):
    file = next(one for one in require_corpus() if one.path.name == "JPEG2000.dcm")

    result = run(require_tool("storescu"), "-xw", "-aec", "CASEBRIDGE", "127.0.0.1", receiver.port, file.path)

    assert result.returncode == 0, result.stderr
    [arrival] = spool.scan()[0]
    assert arrival.transfer_syntax_uid == "1.2.840.10008.1.2.4.91"


def test_a_file_whose_uids_are_stored_as_un_does_not_cost_its_neighbours(receiver, spool, tmp_path):
    files = {one.path.name: one.path for one in require_corpus()}
    for name in ("rtdose_rle_1frame.dcm", "CT_small.dcm", "MR_small.dcm"):
        (tmp_path / name).write_bytes(files[name].read_bytes())

    text = dcmsend(receiver.port, "--scan-directories", tmp_path)

    assert (number("with status SUCCESS", text), number("NOT sent to the peer", text)) == (2, 0), text
    wait_for(spool.journals)
    record = spool.read_journal(spool.journals()[0])
    assert (record.stored, sum(one.count for one in record.refused), record.outcome) == (2, 1, "released")


def test_the_whole_corpus_is_sent_in_one_go_and_every_file_is_accounted_for(receiver, spool):
    require_corpus()

    text = dcmsend(receiver.port, "--scan-directories", "--recurse", ROOT)

    assert number("Number of associations", text) == 1, text[-2000:]
    assert "Peer aborted" not in text
    wait_for(spool.journals)
    [record] = [spool.read_journal(path) for path in spool.journals()]
    refused = sum(one.count for one in record.refused)
    assert record.outcome == "released"
    assert record.stored == number("with status SUCCESS", text) == len(spool.scan()[0])
    assert refused == number("with status ERROR", text)
    assert record.stored + refused == number("sent to the peer", text)
    not_sent = number("NOT sent to the peer", text)
    assert record.stored + refused + not_sent == number("Number of SOP instances", text)
    ignored = text.count("ignoring file")
    files = sum(1 for path in ROOT.rglob("*") if path.is_file())
    assert record.stored + refused + not_sent + ignored == files
    assert record.stored > 340
