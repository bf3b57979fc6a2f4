"""Compressed objects from DCMTK, and a sender written in Java: PixelMed's."""

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from scp.spool import Spool
from tests.scp.conftest import wait_for
from tests.scp.test_dcmtk import run
from tests.tools import missing, require_tool

PIXELMED = Path("/usr/share/java/pixelmed.jar")
EXPLICIT = "1.2.840.10008.1.2.1"
SYNTAXES = {
    "deflated": ("image_dfl.dcm", "-xd", "1.2.840.10008.1.2.1.99"),
    "big endian": ("MR_small_bigendian.dcm", "-xb", "1.2.840.10008.1.2.2"),
    "JPEG baseline": ("SC_rgb_jpeg_dcmtk.dcm", "-xy", "1.2.840.10008.1.2.4.50"),
    "JPEG extended": ("JPEG-lossy.dcm", "-xx", "1.2.840.10008.1.2.4.51"),
    "JPEG-LS lossless": ("MR_small_jpeg_ls_lossless.dcm", "-xt", "1.2.840.10008.1.2.4.80"),
    "JPEG 2000 lossless": ("examples_jpeg2k.dcm", "-xv", "1.2.840.10008.1.2.4.90"),
    "JPEG 2000": ("JPEG2000.dcm", "-xw", "1.2.840.10008.1.2.4.91"),
    "RLE": ("MR_small_RLE.dcm", "-xr", "1.2.840.10008.1.2.5"),
}


def example(name: str) -> Path:
    """Return a file that comes with pydicom, or skip the test."""
    found = get_testdata_file(name, download=False)
    return Path(str(found)) if found else missing(f"this pydicom brings no {name}")


def stored(spool: Spool) -> Dataset:
    """Return the one object in the spool."""
    [arrival] = spool.scan()[0]
    return dcmread(spool.path(arrival.study_key, arrival.sop_key, arrival.arrival_id))


@pytest.mark.parametrize("name", SYNTAXES)
def test_dcmtk_sends_compressed_objects_and_their_pixels_arrive_as_they_were(receiver, spool, name):
    file, option, syntax = SYNTAXES[name]
    path = example(file)
    sent = dcmread(path)
    assert sent.file_meta.TransferSyntaxUID == syntax

    result = run(require_tool("storescu"), option, "-aec", "CASEBRIDGE", "127.0.0.1", receiver.port, path)

    assert result.returncode == 0, result.stderr
    kept = stored(spool)
    assert kept.file_meta.TransferSyntaxUID == syntax
    assert kept.SOPInstanceUID == sent.SOPInstanceUID
    assert kept.PixelData.rstrip(b"\0") == sent.PixelData.rstrip(b"\0")


@pytest.mark.parametrize("name", ["native", *SYNTAXES])
def test_a_sender_in_java_is_answered_for_every_syntax(receiver, spool, name):
    file, _, syntax = SYNTAXES.get(name, ("CT_small.dcm", "", EXPLICIT))
    java = require_tool("java")
    if not PIXELMED.is_file():
        missing(f"{PIXELMED} is not installed here (.ci/run installs it)")
    path = example(file)
    sent = dcmread(path)

    result = run(
        java, "-Djava.awt.headless=true", "-cp", PIXELMED, "com.pixelmed.network.StorageSOPClassSCU", "127.0.0.1",
        receiver.port, "CASEBRIDGE", "PIXELMED", path, sent.SOPClassUID, sent.SOPInstanceUID,
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    wait_for(spool.journals)
    record = spool.read_journal(spool.journals()[0])
    assert (record.calling_ae, record.stored, record.outcome) == ("PIXELMED", 1, "released")
    kept = stored(spool)
    # PixelMed turns big endian around before it sends.
    assert kept.file_meta.TransferSyntaxUID == (EXPLICIT if name == "big endian" else syntax)
    assert kept.SOPInstanceUID == sent.SOPInstanceUID
    if name != "big endian":
        assert kept.PixelData.rstrip(b"\0") == sent.PixelData.rstrip(b"\0")
