"""Redacted files as DCMTK, GDCM and pydicom read them: all see the box, and the rest unchanged."""

import subprocess

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.deidentify.pixels.compressed import Kind, compressed
from tests.deidentify.pixels.files import NATIVE, image, part10
from tests.deidentify.pixels.redacting import box, redacted, rewritten
from tests.tools import CHECKOUT, missing, require_tool

BOX = box(4, 5, 17, 6)
INSIDE = (1, slice(5, 11), slice(4, 21))
KINDS = {
    "grey": Kind(),
    "grey 8 bits": Kind(allocated=8, stored=8),
    "white is least": Kind(photometric="MONOCHROME1", stored=16),
    "signed": Kind(signed=True, stored=16),
    "RGB": Kind(photometric="RGB", allocated=8, stored=8),
}
BLACK = {"white is least": 0xFFFF, "signed": -32768}
DCMTK = {
    RLELossless: "dcmdrle",
    JPEGLossless: "dcmdjpeg",
    JPEGLosslessSV1: "dcmdjpeg",
    JPEGLSLossless: "dcmdjpls",
}


def redacted_file(syntax, name, folder):
    """Return a redacted file of three frames and the words that have to be seen in it."""
    kind = KINDS[name]
    words = kind.words()
    if syntax in NATIVE:
        file = part10(image(list(words), modality="OT", bits_stored=kind.stored,
                            PhotometricInterpretation=kind.photometric), syntax)  # fmt: skip
    else:
        file = compressed(syntax, kind, words)
    _, result, value = redacted(file, {1: [BOX]})
    path = folder / "redacted.dcm"
    path.write_bytes(rewritten(file, result, value).getvalue())
    words = words.copy()
    words[INSIDE] = BLACK.get(name, 0)
    return path, words


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"W:" not in done.stderr
    assert b"E:" not in done.stderr
    return done.stdout


def shown(path, words):
    """Return the pixels of a native file as an array like these words."""
    content = dcmread(path)
    assert content.file_meta.TransferSyntaxUID in {ExplicitVRLittleEndian, ImplicitVRLittleEndian}
    got = np.frombuffer(content.PixelData, words.dtype)[: words.size]
    if words.ndim == 4 and content.PlanarConfiguration == 1:
        return np.moveaxis(got.reshape(len(words), 3, *words.shape[1:3]), 1, 3)
    return got.reshape(words.shape)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("syntax", [*NATIVE, *DCMTK, JPEG2000Lossless])
def test_pydicom_shows_the_box_and_the_rest(syntax, name, tmp_path):
    path, words = redacted_file(syntax, name, tmp_path)
    assert np.array_equal(dcmread(path).pixel_array, words)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("syntax", DCMTK)
def test_dcmtk_decompresses_what_was_written(syntax, name, tmp_path):
    path, words = redacted_file(syntax, name, tmp_path)
    run(require_tool("dcmdump"), "-q", path)
    run(require_tool(DCMTK[syntax]), path, tmp_path / "plain.dcm")
    assert np.array_equal(shown(tmp_path / "plain.dcm", words), words)


@pytest.mark.parametrize("syntax", [*NATIVE, JPEG2000Lossless])
def test_dcmtk_parses_what_it_does_not_decompress(syntax, tmp_path):
    path, words = redacted_file(syntax, "grey", tmp_path)
    dumped = run(require_tool("dcmdump"), path).decode()
    assert dumped.count("(7fe0,0010)") == 1
    if syntax in NATIVE:
        run(require_tool("dcmconv"), "+te", path, tmp_path / "plain.dcm")
        assert np.array_equal(shown(tmp_path / "plain.dcm", words), words)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("syntax", [*DCMTK, JPEG2000Lossless])
def test_gdcm_decompresses_what_was_written(syntax, name, tmp_path):
    tool = CHECKOUT / ".venv" / "bin" / "gdcmconv"
    if not tool.is_file():
        missing("gdcmconv is not here (it comes with python-gdcm)")
    path, words = redacted_file(syntax, name, tmp_path)
    run(tool, "--raw", path, tmp_path / "plain.dcm")
    assert np.array_equal(shown(tmp_path / "plain.dcm", words), words)
