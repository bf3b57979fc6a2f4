"""docs/pixels.md says what becomes of the real files with burned-in text, and none that identifies is clear.

That the verdicts are those of the pipeline is seen where the whole corpus is sent (tests/integration/test_corpus.py).
"""

import pytest

from tests.corpus import require_corpus
from tests.docs.real_files_page import (
    BEGIN,
    END,
    IMAGES,
    LARGEST_PICTURE,
    PAGE,
    SHOWN,
    is_identifying,
    verdicts,
    with_text,
)

TEXT = PAGE.read_text()


def test_the_table_has_real_files_with_text_and_none_that_identifies_is_clear():
    require_corpus()
    told = verdicts(TEXT)
    assert set(told) == {file.path.name for file in with_text()}
    identifying = {told[file.path.name] for file in with_text() if is_identifying(file)}
    assert "clear" not in identifying


@pytest.mark.parametrize("picture", SHOWN.values())
def test_every_picture_is_there_small_and_shown(picture):
    file = IMAGES / f"{picture}.png"
    assert file.stat().st_size <= LARGEST_PICTURE
    assert f"(images/{picture}.png)" in TEXT.partition(BEGIN)[2].partition(END)[0]
