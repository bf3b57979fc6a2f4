import io
import re
from struct import pack

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deidentify.errors import PixelDecodeError
from deidentify.pixels.boxes import Box
from deidentify.pixels.jpeg_blocks import blank
from tests.deidentify.pixels.jpeg_streams import Layout, made, pillow, read

GREY, YBR = (0,), (0, 128, 128)
SAMPLINGS = {
    "4:4:4": [(1, 1), (1, 1), (1, 1)],
    "4:2:2": [(2, 1), (1, 1), (1, 1)],
    "4:2:0": [(2, 2), (1, 1), (1, 1)],
    "4:1:1": [(4, 1), (1, 1), (1, 1)],
    "4:4:0": [(1, 2), (1, 1), (1, 1)],
    "coarser colour in one": [(2, 2), (2, 1), (1, 2)],
    "thirds": [(3, 1), (2, 1), (1, 1)],
    "no ones": [(2, 2), (2, 1), (2, 2)],
    "grey": [(1, 1)],
    "grey, by two": [(2, 2)],
}


def picture(rows, columns, *, samples=3, seed=0):
    dice = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(rows), np.arange(columns))[..., None] * np.arange(1, samples + 1) // 2 % 200
    noisy = (ramp + dice.integers(0, 50, (rows, columns, samples))).astype(np.uint8)
    return noisy if samples > 1 else noisy[..., 0]


def touched(layout, boxes):
    """For each component, which blocks any sample of a box lies in: sample by sample."""
    widest, highest = max(h for h, _ in layout.factors), max(v for _, v in layout.factors)
    masks = []
    for index, (h, v) in enumerate(layout.factors):
        mask = np.zeros(layout.grid(index, is_interleaved=True), dtype=bool)
        rows, columns = layout.grid(index, is_interleaved=False)
        for row, column in np.ndindex(mask.shape):
            # What stands behind the edges goes with the last block that is shown.
            top, left = min(row, rows - 1) * 8 * highest / v, min(column, columns - 1) * 8 * widest / h
            bottom, right = min(layout.rows, top + 8 * highest / v), min(layout.columns, left + 8 * widest / h)
            for box in boxes:
                mask[row, column] |= max(box.x, left) < min(box.x + box.width, right) and max(box.y, top) < min(
                    box.y + box.height, bottom
                )
        masks.append(mask)
    return masks


def check(before, after, boxes, black):
    """Hold two streams against each other, coefficient by coefficient."""
    first, second = read(before), read(after)
    layout, middle = first.layout, 1 << first.layout.precision - 1
    for index, mask in enumerate(touched(layout, boxes)):
        kept, now = first.coefficients[index], second.coefficients[index]
        assert np.array_equal(kept[~mask], now[~mask])
        assert not now[mask][:, 1:].any()
        rows, columns = layout.grid(index, is_interleaved=False)
        (level,) = np.unique(now[:rows, :columns][mask[:rows, :columns]][:, 0])
        step = second.steps[0 if len(second.steps) == 1 else min(index, 1)][0]
        assert np.clip(middle + level * step / 8, 0, 2 * middle - 1) == black[index]


def opened(stream, mode=None):
    image = Image.open(io.BytesIO(stream))
    if mode:
        image.draft(mode, None)
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("restart", [0, 1, 3])
@pytest.mark.parametrize("is_interleaved", [True, False])
@pytest.mark.parametrize("factors", SAMPLINGS.values(), ids=SAMPLINGS)
def test_touched_blocks_are_black_and_no_other_coefficient_changes(factors, is_interleaved, restart):
    layout = Layout(rows=45, columns=77, factors=factors, is_interleaved=is_interleaved, restart=restart)
    stream = made(layout, layout.random(1))
    for boxes in [
        [Box(x=20, y=9, width=13, height=5)],
        [Box(x=0, y=0, width=1, height=1), Box(x=70, y=40, width=99, height=99)],
        [Box(x=-5, y=16, width=300, height=8), Box(x=30, y=0, width=1, height=45)],
    ]:
        black = YBR[: len(factors)]
        check(stream, blank(stream, boxes, black=black), boxes, black)


@settings(max_examples=40, deadline=None)
@given(
    factors=st.sampled_from(list(SAMPLINGS.values())),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    box=st.tuples(st.integers(0, 39), st.integers(0, 39), st.integers(1, 40), st.integers(1, 40)),
    precision=st.sampled_from([8, 12]),
    restart=st.integers(0, 4),
    is_interleaved=st.booleans(),
    shape=st.sampled_from(["even", "steep"]),
    seed=st.integers(0, 9),
)
def test_any_box_in_any_layout_changes_its_blocks_alone(
    *, factors, size, box, precision, restart, is_interleaved, shape, seed
):
    layout = Layout(
        rows=size[0],
        columns=size[1],
        factors=factors,
        precision=precision,
        is_interleaved=is_interleaved,
        restart=restart,
        shape=shape,
    )
    x, y, width, height = box
    boxes = [Box(x=x % size[1], y=y % size[0], width=width, height=height)]
    black = (0, *[1 << precision - 1] * (len(factors) - 1))
    stream = made(layout, layout.random(seed))
    check(stream, blank(stream, boxes, black=black), boxes, black)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("options", [{"quality": 30}, {"quality": 92, "optimize": True}, {"quality": 100}])
@pytest.mark.parametrize("restart", [0, 1])
def test_decoders_see_the_same_pixels_outside(subsampling, options, restart):
    stream = pillow(picture(100, 131), subsampling=subsampling, restart_marker_rows=restart, **options)
    boxes = [Box(x=33, y=21, width=40, height=9)]
    result = blank(stream, boxes, black=YBR)
    before, after = opened(stream, "YCbCr"), opened(result, "YCbCr")
    # Blocks of 8 for Y. The colour of 16 at most, and one pixel on each side of it where the decoder smooths.
    assert not after[16:32, 32:80, 0].any()
    assert (after[21:30, 33:73, 1:] == 128).all() or subsampling != "4:4:4"
    around = np.ones((100, 131), dtype=bool)
    around[16:32, 32:80] = False
    assert np.array_equal(before[around][:, 0], after[around][:, 0])
    around[15:33, 31:81] = False
    assert np.array_equal(before[around], after[around])
    assert (opened(result)[22:29, 34:72] == 0).all()
    check(stream, result, boxes, YBR)


@pytest.mark.parametrize("factor", ["411", "420", "422", "440", "444"])
def test_another_encoder_and_decoder_agree(factor):
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{factor}")]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, 2, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    stream = cv2.imencode(".jpg", picture(70, 90), options)[1].tobytes()
    boxes = [Box(x=50, y=0, width=3, height=70)]
    result = blank(stream, boxes, black=YBR)
    check(stream, result, boxes, YBR)
    before, after = (cv2.imdecode(np.frombuffer(s, np.uint8), cv2.IMREAD_COLOR) for s in (stream, result))
    width = 8 * int(factor[0] == "4" and {"411": 4, "420": 2, "422": 2}.get(factor, 1))
    left, right = 50 // width * width, -(-53 // width) * width
    assert np.array_equal(before[:, : left - 1], after[:, : left - 1])
    assert np.array_equal(before[:, right + 1 :], after[:, right + 1 :])
    assert (after[:, 50:53] == 0).all()


def test_white_is_black_where_the_interpretation_says_so():
    stream = pillow(picture(40, 40, samples=1), quality=50)
    assert (opened(blank(stream, [Box(x=8, y=8, width=8, height=8)], black=(255,)))[8:16, 8:16] == 255).all()


def test_colours_stored_as_they_are_become_black():
    stream = pillow(picture(40, 40), quality=80, keep_rgb=True)
    result = opened(blank(stream, [Box(x=8, y=8, width=8, height=8)], black=(0, 0, 0)))
    assert (result[8:16, 8:16] == 0).all()
    assert result[16:, 16:].any()


@pytest.mark.parametrize(("black", "bound"), [(16, range(17)), (235, range(235, 256)), (128, (128,))])
def test_what_cannot_be_exact_is_farther_from_grey(black, bound):
    stream = made(
        Layout(rows=8, columns=8, factors=[(1, 1)], step=23), Layout(rows=8, columns=8, factors=[(1, 1)]).random(0)
    )
    assert set(np.unique(opened(blank(stream, [Box(x=0, y=0, width=1, height=1)], black=(black,))))) <= set(bound)


def test_without_a_box_in_the_frame_nothing_changes():
    stream = pillow(picture(40, 40)) + b"\0"
    for boxes in ([], [Box(x=40, y=0, width=9, height=9), Box(x=-9, y=0, width=9, height=9)]):
        assert blank(stream, boxes, black=YBR) == stream


def test_marker_segments_and_what_is_behind_stay_byte_for_byte():
    exif = Image.Exif()
    exif[0x010E] = "made"
    stream = pillow(picture(40, 40), exif=exif, comment=b"a comment") + b"\0"
    result = blank(stream, [Box(x=0, y=0, width=40, height=9)], black=YBR)
    scan = stream.index(b"\xff\xda")
    assert result[:scan] == stream[:scan]
    assert result.endswith(b"\xff\xd9\0")


def test_restart_intervals_that_no_box_touches_are_copied():
    stream = pillow(picture(64, 64, samples=1), restart_marker_rows=1)
    result = blank(stream, [Box(x=8, y=16, width=8, height=8)], black=GREY)
    before, after = (re.split(rb"\xff[\xd0-\xd7]", content) for content in (stream, result))
    changed = [index for index, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert changed == [2]


def test_fill_bytes_before_markers_are_allowed_and_kept():
    stream = pillow(picture(40, 40, samples=1), restart_marker_rows=1)
    filled = re.sub(rb"(?=\xff[\xd0-\xd7\xd9\xda])", b"\xff\xff", stream)
    box = [Box(x=0, y=0, width=9, height=40)]
    result = blank(filled, box, black=GREY)
    assert result.count(b"\xff\xff\xff") == filled.count(b"\xff\xff\xff")
    assert np.array_equal(opened(result), opened(blank(stream, box, black=GREY)))


def test_codes_that_are_missing_are_added_and_the_others_stay():
    flat = np.full((32, 32), 200, dtype=np.uint8)
    stream = pillow(flat, optimize=True)
    box = [Box(x=8, y=8, width=8, height=8)]
    result = blank(stream, box, black=GREY)
    assert result.count(b"\xff\xc4") > stream.count(b"\xff\xc4")
    check(stream, result, box, GREY)
    assert np.array_equal(opened(result)[:8], opened(stream)[:8])


@pytest.mark.parametrize("is_interleaved", [True, False])
@pytest.mark.parametrize("shape", ["even", "steep"])
def test_an_end_of_block_that_no_block_needed_is_added_for_each_scan(shape, is_interleaved):
    layout = Layout(rows=24, columns=32, factors=[(1, 1)] * 3, is_interleaved=is_interleaved, shape=shape)
    coefficients = layout.random(2)
    for values in coefficients:
        values[..., 63] = 1
    stream = made(layout, coefficients)
    box = [Box(x=9, y=9, width=1, height=1)]
    result = blank(stream, box, black=YBR)
    assert result.count(b"\xff\xc4") > stream.count(b"\xff\xc4")
    check(stream, result, box, YBR)


def test_a_table_without_room_for_black_is_refused_with_a_sentence():
    # One code of each length, and a second of 16 bits: that of ones alone is left.
    layout = Layout(rows=8, columns=16, factors=[(1, 1)])
    stream = made(layout, [np.zeros((1, 2, 64), dtype=int)])
    full = bytes([0, *[1] * 16]) + bytes([*range(8), *range(9, 16), 15])
    table = b"\xff\xc4" + pack(">H", 2 + len(full)) + full
    scan = stream.index(b"\xff\xda")
    with pytest.raises(PixelDecodeError, match="no room"):
        blank(stream[:scan] + table + stream[scan:], [Box(x=0, y=0, width=1, height=1)], black=(0,))


def test_what_the_blocks_do_not_need_is_refused_by_name():
    box = [Box(x=0, y=0, width=1, height=1)]
    grey = picture(40, 40, samples=1)
    plain = pillow(grey)
    at = plain.index(b"\xff\xc0") + 1
    kinds = {0xC3: "lossless", 0xC5: "hierarchical", 0xC9: "arithmetic", 0xF7: "JPEG-LS", 0xC8: "no sequential"}
    for kind, word in kinds.items():
        with pytest.raises(PixelDecodeError, match=word):
            blank(plain[:at] + bytes([kind]) + plain[at + 1 :], box, black=GREY)
    with pytest.raises(PixelDecodeError, match="progressive"):
        blank(pillow(grey, progressive=True), box, black=GREY)
    with pytest.raises(PixelDecodeError, match="DNL"):
        blank(plain[:-2] + b"\xff\xdc\x00\x04\x00\x28" + plain[-2:], box, black=GREY)
    with pytest.raises(PixelDecodeError, match="its size"):
        blank(plain[: at + 4] + b"\0\0" + plain[at + 6 :], box, black=GREY)
    with pytest.raises(PixelDecodeError, match="neither one nor three"):
        blank(pillow(np.dstack([grey] * 4), mode="CMYK"), box, black=(0, 0, 0, 0))
    with pytest.raises(PixelDecodeError, match="number of components"):
        blank(plain, box, black=YBR)
    with pytest.raises(PixelDecodeError, match="fewer bits"):
        blank(plain, box, black=(256,))
    coarse = Layout(rows=8, columns=8, factors=[(1, 1)], step=4000)
    with pytest.raises(PixelDecodeError, match="too coarsely"):
        blank(made(coarse, coarse.random(0)), box, black=GREY)


def malformed():
    """Streams that break one rule each, with a word of what they are refused with."""
    whole = pillow(picture(40, 40), restart_marker_rows=1, optimize=True)
    scan, frame = whole.index(b"\xff\xda"), whole.index(b"\xff\xc0")
    tables, first = whole.index(b"\xff\xc4"), scan + 14
    segment = whole[frame : frame + 19]
    wide = Layout(rows=8, columns=48, factors=[(1, 1)] * 3)
    even, full, bright = (wide.random(0, strength=0) for _ in range(3))
    for values, last, level in zip((*full, *bright), [200] * 3 + [0] * 3, [0] * 3 + [2000] * 3, strict=True):
        values[...], values[..., 63], values[..., 0] = 0, last, level
    for values in even:
        values[...] = 0
    zeros = made(wide, even)
    dri = whole.index(b"\xff\xdd")
    return {
        "nothing": (b"", "start of image"),
        "no end": (whole[:-2], "ends inside a scan"),
        "no scan": (whole[:scan] + b"\xff\xd9", "before all components"),
        "no frame": (whole[:frame] + whole[frame + 19 :], "before the frame header"),
        "two frames": (whole[:scan] + segment + whole[scan:], "two frame headers"),
        "scan twice": (whole[:-2] + whole[scan:], "wrong component"),
        "no tables": (whole[:tables] + whole[scan:], "a table that is not there"),
        "half a segment": (whole[: frame + 9], "impossible length"),
        "text between": (whole[:frame] + b"Erna" + whole[frame:], "other bytes"),
        "too large": (whole[: frame + 5] + b"\xff\xff\xff\xff" + whole[frame + 9 :], "do not fit its size"),
        "too large, no restarts": (_sized(pillow(picture(40, 40)), 0xFFFF), "too short for its size"),
        "another order": (whole.replace(b"\xff\xd1", b"\xff\xd2"), "out of order"),
        "a restart less": (re.sub(rb"\xff\xd1.*?(?=\xff\xd9)", b"", whole, flags=re.DOTALL), "do not fit"),
        "data cut": (
            whole[: first + 100] + whole[whole.index(b"\xff\xd0") :],
            "what is no code|inside a block|more than",
        ),
        "data behind": (whole.replace(b"\xff\xd0", b"Erna\xff\xd0"), "behind the last block"),
        "fill in data": (whole[:first] + b"\xff\xff\x00" + whole[first:], "fill byte"),
        "sampling of 5": (whole[: frame + 11] + b"\x51" + whole[frame + 12 :], "sampling factor"),
        "precision of 9": (whole[: frame + 4] + b"\x09" + whole[frame + 5 :], "precision"),
        "codes of one length": (whole[: tables + 5] + b"\x09" + whole[tables + 6 :], "Huffman table"),
        "last bits cut": (made(wide, full)[:-3] + b"\xff\xd9", "inside a block"),
        "no such code": (zeros[: zeros.index(b"\xff\xda") + 14] + b"\xff\x00" * 9 + b"\xff\xd9", "no code"),
        "a run of no size": (zeros.replace(b"\x10\x01" + bytes(16), b"\x10\x01" + bytes(15) + b"\x50"), "no code"),
        "17 bits of DC": (
            zeros.replace(b"\x00\x01" + bytes(16), b"\x00\x01" + bytes(15) + b"\x10"),
            "impossible codes",
        ),
        "brighter than can be": (made(wide, bright), "out of the bounds"),
        "restarts of a byte": (whole[: dri + 3] + b"\x03\x01" + whole[dri + 6 :], "restart interval"),
        "one name for two": (
            whole[: frame + 13] + whole[frame + 10 : frame + 11] + whole[frame + 14 :],
            "one identifier",
        ),
        "12 blocks": (
            whole[: frame + 14] + b"\x22" + whole[frame + 15 : frame + 17] + b"\x22" + whole[frame + 18 :],
            "too many",
        ),
        "spectral selection": (whole[: scan + 11] + b"\x01" + whole[scan + 12 :], "whole blocks"),
    }


def _sized(stream, side):
    at = stream.index(b"\xff\xc0")
    return stream[: at + 5] + pack(">HH", side, side) + stream[at + 9 :]


@pytest.mark.parametrize(("stream", "sentence"), malformed().values(), ids=malformed())
def test_malformed_streams_are_refused_with_a_sentence(stream, sentence):
    with pytest.raises(PixelDecodeError, match=sentence):
        blank(stream, [Box(x=0, y=0, width=40, height=40)], black=YBR)


SEEDS = [
    pillow(picture(24, 40), quality=40, optimize=True, restart_marker_rows=1),
    pillow(picture(24, 40, samples=1), quality=95),
    made(
        Layout(rows=20, columns=20, factors=[(2, 2), (1, 1), (1, 1)], is_interleaved=False, precision=12),
        Layout(rows=20, columns=20, factors=[(2, 2), (1, 1), (1, 1)]).random(3),
    ),
]


@settings(max_examples=300, deadline=2000)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=0, max_size=3)), min_size=1, max_size=6),
    cut=st.integers(0, 1 << 20),
    side=st.sampled_from([6, 20, 65535]),
)
def test_no_bytes_do_more_harm_than_a_refusal(seed, changes, cut, side):
    stream = bytearray(seed)
    for place, content in changes:
        at = place % len(stream)
        stream[at : at + len(content)] = content
    stream = bytes(stream[: cut % (2 * len(stream)) or None])
    boxes = [Box(x=3, y=2, width=side, height=side)]
    for black in (GREY, YBR):
        result, said = None, ""
        try:
            result = blank(stream, boxes, black=black)
        except PixelDecodeError as refusal:
            said = str(refusal)
        # What was taken can be taken again, and nothing is left to change.
        assert result is None or blank(result, boxes, black=black) == result
        assert said != "The JPEG stream cannot be read.", "a fault that nobody thought of"
