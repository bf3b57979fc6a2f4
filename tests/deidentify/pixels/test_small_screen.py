"""The small screen passes on whatever shows text, and most of what does not stays behind."""

import cv2
import numpy as np
import pytest

from deidentify.errors import DetectorUnavailableError
from deidentify.pixels import small_screen as module
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.small_screen import SmallScreen, load_small_screen
from deidentify.pixels.source import locate
from deidentify.pixels.views import views_of
from tests.corpus import require_corpus
from tests.deidentify.pixels.planting import identity, phantom, plant


class FakeInput:
    name = "picture"


class FakeSession:
    """Gives the brightest pixel of what it is shown as the logit, times ten."""

    def __init__(self, answer=None):
        self.shapes = []
        self.answer = answer

    def get_inputs(self):
        return [FakeInput()]

    def run(self, _outputs, feed):
        picture = feed["picture"]
        self.shapes.append(picture.shape)
        highest = picture.max() * 10 if self.answer is None else self.answer
        return [np.full((1, 1, 2, 2), -9, np.float32), np.full((1, 1, 1, 1), highest, np.float32)]


def stretched(picture):
    low, high = float(picture.min()), float(picture.max())
    return ((picture - low) * (255 / (high - low))).astype(np.uint8)


@pytest.mark.parametrize("seed", range(8))
def test_a_view_with_a_name_is_passed_on(seed):
    random = np.random.default_rng(seed)
    picture = phantom(random)
    plant(picture, identity(random)[seed % 5], random, contrast=0.15 + 0.1 * seed, height=10 + 3 * seed)
    assert load_small_screen().may_hold_text(stretched(picture))


def test_few_views_without_text_are_passed_on():
    screen = load_small_screen()
    passed = sum(screen.may_hold_text(stretched(phantom(np.random.default_rng(seed)))) for seed in range(12))
    assert passed <= 3


@pytest.mark.parametrize("name", ["US1_UNCI", "OBXXXX1A.dcm", "gdcm-US-ALOKA-16.dcm"])
def test_a_real_file_with_burned_in_text_is_passed_on(name):
    file = next(file for file in require_corpus() if name in file.facts["file"])
    with file.path.open("rb") as identified_file:
        source = locate(identified_file)
        frame = next(iter(iter_frames(source, read_format(source))))
        assert any(load_small_screen().may_hold_text(view) for view in views_of(frame, source.attributes))


def test_text_in_one_colour_channel_is_seen():
    random = np.random.default_rng(3)
    picture = phantom(random)
    clean = stretched(picture)
    plant(picture, identity(random)[0], random, contrast=0.6)
    assert load_small_screen().may_hold_text(np.stack([clean, clean, stretched(picture)], axis=2))


def test_letters_of_ninety_pixels_are_seen():
    random = np.random.default_rng(5)
    picture = phantom(random, 512, 768)
    plant(picture, "DOE 77", random, height=90, contrast=0.7)
    assert load_small_screen().may_hold_text(stretched(picture))


def test_what_is_no_number_is_passed_on():
    assert SmallScreen(FakeSession(answer=np.nan)).may_hold_text(np.zeros((32, 32), np.uint8))


def test_a_logit_below_the_threshold_stays_behind_at_every_scale():
    session = FakeSession(answer=2.9)
    assert not SmallScreen(session).may_hold_text(np.zeros((100, 200), np.uint8))
    assert session.shapes == [(1, 1, 112, 208), (1, 1, 160, 304), (1, 1, 64, 112)]


def test_equal_channels_are_looked_at_once():
    session = FakeSession(answer=-5)
    grey = np.zeros((64, 64), np.uint8)
    assert not SmallScreen(session).may_hold_text(np.stack([grey, grey, grey], axis=2))
    assert len(session.shapes) == 3


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1999, 1999), (1000, 1000), (960, 1990), (1023, 895)])
def test_no_pixel_of_a_large_view_is_outside_every_tile(row, column):
    view = np.zeros((2000, 2000), np.uint8)
    view[row, column] = 255
    session = FakeSession()
    assert SmallScreen(session).may_hold_text(view)
    assert all(max(shape[2:]) <= 1024 for shape in session.shapes)


def test_a_changed_model_file_is_refused(tmp_path, monkeypatch):
    real = module.resources.files("deidentify.pixels") / "models"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "models.json").write_text((real / "models.json").read_text())
    (tmp_path / "models" / "small_screen.onnx").write_bytes((real / "small_screen.onnx").read_bytes()[:-1] + b"x")
    monkeypatch.setattr(module.resources, "files", lambda _: tmp_path)
    with pytest.raises(DetectorUnavailableError):
        load_small_screen.__wrapped__()


@pytest.mark.parametrize("is_colour", [False, True])
def test_it_is_warm_where_the_text_is_and_cold_elsewhere(is_colour):
    picture = np.full((200, 300), 60, np.uint8)
    cv2.putText(picture, "KOWALCZYK", (160, 150), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 210, 1, cv2.LINE_AA)
    view = np.stack([picture, np.full_like(picture, 60), picture], axis=2) if is_colour else picture
    warm = load_small_screen().warmth(view)
    assert warm.shape == (25, 38)
    row, column = np.unravel_index(warm.argmax(), warm.shape)
    assert 136 <= row * 8 <= 152
    assert 152 <= column * 8 <= 272
    assert warm.max() > 10
    assert warm[:12].max() < 3


def test_warmth_of_a_large_view_is_put_together_from_its_tiles():
    session = FakeSession()
    picture = np.zeros((2000, 1600), np.uint8)
    picture[1500, 1200] = 255
    warm = SmallScreen(session).warmth(picture)
    assert warm.shape == (250, 200)
    # The fake is as warm as the brightest pixel of what it is shown: of the tile with the pixel, nowhere else.
    assert warm.max() == 10
    assert warm[896 // 8 : (896 + 1024) // 8, 896 // 8 :].min() == 10
    # Tiles in which nothing differs are not shown to it.
    assert warm[: 896 // 8].max() == -np.inf
