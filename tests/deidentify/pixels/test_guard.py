"""The guard around decoders."""

import logging

import pytest

from deidentify.errors import PixelDecodeError
from deidentify.pixels.guard import decoding


def test_a_decoder_that_fails_says_nothing_whatever_logger_it_has(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    names = ("pydicom", "pydicom.pixels.decoders.base", "pylibjpeg.utils")

    before = [logging.getLogger(name).getEffectiveLevel() for name in names]

    def fail() -> None:
        for name in names:
            logging.getLogger(name).critical("DOE^JANE")
        raise ValueError("DOE^JANE")

    with decoding("It cannot be decoded."):
        logging.getLogger(names[1]).warning("DOE^JANE")
    with pytest.raises(PixelDecodeError, match=r"^It cannot be decoded\.$"), decoding("It cannot be decoded."):
        fail()
    assert "DOE" not in caplog.text
    assert [logging.getLogger(name).getEffectiveLevel() for name in names] == before
