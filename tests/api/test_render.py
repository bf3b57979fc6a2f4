"""Rendering is judged by pixels: the PNG is decoded again and its values are compared with what they must be."""

import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import compress, pack_bits
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from api.errors import NotRenderableError, PartNotFoundError
from api.render import Renderer, Rendering, Window
from tests.api.pictures import instance, shown
from tests.corpus import require_corpus


def render(data: bytes, **wanted) -> np.ndarray:
    return shown(Renderer().png(io.BytesIO(data), Rendering(**wanted)))


def ramp(dtype="u2", low=0, high=63) -> np.ndarray:
    return np.linspace(low, high, 64).round().astype(dtype).reshape(8, 8)


def test_an_image_without_a_window_spans_black_to_white():
    picture = render(instance(ramp("u2", 100, 1000)))
    assert (picture.min(), picture.max()) == (0, 255)
    assert picture.shape == (8, 8)


def test_the_window_of_the_header_is_applied_after_the_rescale():
    data = instance(ramp("i2", -500, 500), RescaleSlope=2, RescaleIntercept=-24, WindowCenter=40, WindowWidth=400)
    picture = render(data)
    output = ramp("i2", -500, 500).astype(float) * 2 - 24
    expected = np.clip(((output - 39.5) / 399 + 0.5) * 255, 0, 255)
    assert np.abs(picture - expected).max() <= 1


def test_a_window_that_is_asked_for_wins():
    data = instance(ramp("i2", -500, 500), WindowCenter=0, WindowWidth=10000)
    picture = render(data, window=Window(center=0, width=1))
    assert set(np.unique(picture)) == {0, 255}
    assert (picture == 255).sum() == 32


def test_several_windows_in_the_header_show_the_first():
    data = instance(ramp("i2", 0, 63), WindowCenter=[10, 1000], WindowWidth=[2, 5000])
    assert (render(data) == 255).sum() == 64 - 11 + 1


@pytest.mark.parametrize("width", [0, -5])
def test_a_window_that_means_nothing_is_passed_over(width):
    picture = render(instance(ramp(), WindowCenter=5, WindowWidth=width))
    assert (picture.min(), picture.max()) == (0, 255)


def test_monochrome1_is_shown_inverted():
    plain = render(instance(ramp()))
    assert np.array_equal(render(instance(ramp(), PhotometricInterpretation="MONOCHROME1")), 255 - plain)


def test_signed_12_bit_values_keep_their_order():
    data = instance(ramp("i2", -1024, 1023), BitsStored=12, HighBit=11)
    picture = render(data).ravel()
    assert (np.diff(picture.astype(int)) >= 0).all()
    assert (picture[0], picture[-1]) == (0, 255)


def test_padding_does_not_take_part_in_the_range():
    pixels = ramp("i2", 0, 63)
    pixels[0, :] = -2000
    picture = render(instance(pixels, PixelPaddingValue=-2000))
    assert picture[1, 0] == 0
    assert picture[-1, -1] == 255


def test_rgb_is_shown_as_it_is():
    pixels = np.zeros((4, 4, 3), "u1")
    pixels[0] = (255, 0, 0)
    pixels[3] = (0, 0, 200)
    assert np.array_equal(render(instance(pixels)), pixels)


def test_ybr_becomes_rgb():
    pixels = np.full((4, 4, 3), (76, 85, 255), "u1")  # pure red in YBR_FULL
    picture = render(instance(pixels, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(picture.astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize(
    ("syntax", "order"), [(ExplicitVRLittleEndian, "<u2"), (ExplicitVRBigEndian, ">u2")], ids=["little", "big"]
)
def test_a_palette_is_looked_up(syntax, order):
    elements = {
        f"{color}PaletteColorLookupTable{part}": value
        for color, ramp_of in (("Red", [0, 0xFFFF]), ("Green", [0xFFFF, 0]), ("Blue", [0, 0x80FF]))
        for part, value in (("Descriptor", [2, 0, 16]), ("Data", np.array(ramp_of, order).tobytes()))
    }
    pixels = np.array([[0, 1], [1, 0]], "u1")
    picture = render(instance(pixels, syntax=syntax, PhotometricInterpretation="PALETTE COLOR", **elements))
    assert picture[0, 0].tolist() == [0, 255, 0]
    assert picture[0, 1].tolist() == [255, 0, 128]


def test_a_single_label_on_padding_is_seen():
    pixels = np.zeros((4, 4), "u1")
    pixels[1, 1] = 3
    picture = render(instance(pixels, PixelPaddingValue=0))
    assert (picture[1, 1], picture[0, 0]) == (255, 0)


def test_each_frame_is_shown_by_itself():
    pixels = np.stack([np.full((4, 4), value, "u1") for value in (0, 100, 255)])
    data = instance(pixels, frames=3, WindowCenter=128, WindowWidth=256)
    assert [int(render(data, frame=frame)[0, 0]) for frame in range(3)] == [0, 100, 255]
    with pytest.raises(PartNotFoundError):
        render(data, frame=3)


def test_frames_of_one_bit_are_black_and_white():
    pixels = np.zeros((2, 5, 5), "u1")
    pixels[1, 2, 2] = 1
    data = instance(pixels, frames=2, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=pack_bits(pixels))
    assert render(data, frame=0).max() == 0
    picture = render(data, frame=1)
    assert picture[2, 2] == 255
    assert picture.sum() == 255


def test_float_maps_are_scaled_and_their_gaps_are_black():
    pixels = np.linspace(-1, 1, 16, dtype="f4").reshape(4, 4)
    pixels[0, 0] = np.nan
    picture = render(instance(pixels))
    assert picture[0, 0] == 0
    assert picture[-1, -1] == 255


def test_an_encapsulated_frame_is_decoded_alone():
    pixels = np.stack([ramp("u2", 0, 63), ramp("u2", 63, 0)])
    ds = dcmread(io.BytesIO(instance(pixels, frames=2)))
    compress(ds, RLELossless)
    out = io.BytesIO()
    ds.save_as(out)
    assert render(out.getvalue(), frame=1)[0, 0] == 255


def test_a_deflated_object_is_shown_like_a_plain_one():
    plain = instance(ramp())
    ds = dcmread(io.BytesIO(plain))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    out = io.BytesIO()
    ds.save_as(out)
    assert np.array_equal(render(out.getvalue()), render(plain))


def test_the_image_is_made_smaller_but_never_larger():
    data = instance(np.tile(ramp(), (10, 20)))
    assert render(data, max_width=40, max_height=40).shape == (20, 40)
    assert render(data, max_width=4000).shape == (80, 160)


def test_the_window_of_the_frame_is_taken_from_its_functional_group():
    from pydicom.dataset import Dataset

    groups = []
    for center in (0, 63):
        voi = Dataset()
        voi.WindowCenter, voi.WindowWidth = center + 0.5, 1
        group = Dataset()
        group.FrameVOILUTSequence = [voi]
        groups.append(group)
    data = instance(np.stack([ramp(), ramp()]), frames=2, PerFrameFunctionalGroupsSequence=groups)
    assert (render(data, frame=0) == 255).sum() == 63
    assert (render(data, frame=1) == 255).sum() == 0


def test_a_broken_frame_says_so_without_a_traceback_of_values():
    truncated = instance(ramp())[:-40]
    with pytest.raises(NotRenderableError) as caught:
        render(truncated)
    assert caught.value.__cause__ is None
    assert str(caught.value) == "This frame cannot be decoded."


def test_an_object_without_pixels_says_so():
    data = instance(ramp())
    ds = dcmread(io.BytesIO(data))
    del ds.PixelData, ds.Rows
    out = io.BytesIO()
    ds.save_as(out)
    with pytest.raises(NotRenderableError, match="holds no pixels"):
        render(out.getvalue())


def test_a_huge_frame_is_refused_before_it_is_decoded():
    with pytest.raises(NotRenderableError, match="too large"):
        render(instance(ramp(), Rows=60000, Columns=60000))


def test_every_real_file_is_shown_or_refused_in_words():
    files = [file for file in require_corpus() if file.facts["rows"] and file.path.stat().st_size < 2_000_000]
    renderer, refused = Renderer(), 0
    for file in files:
        with file.path.open("rb") as source:
            try:
                picture = shown(renderer.png(source, Rendering(max_width=64, max_height=64)))
            except NotRenderableError:
                refused += 1
            else:
                assert max(picture.shape[:2]) <= 64
                assert picture.dtype == np.uint8
    assert refused < 25
