"""Compressed pixel data: frames with boxes are encoded again without loss, the others keep their fragments."""

import dataclasses
import io
import tracemalloc
from collections import Counter
from struct import pack, unpack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import generate_fragmented_frames, parse_basic_offsets
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from deidentify.errors import PixelDecodeError, RedactionError
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.encode import encoded_like
from deidentify.pixels.frame_codec import BlankedCodestream
from deidentify.pixels.redact import redact
from deidentify.pixels.source import DEFLATED_FRAMES, locate
from tests.corpus import require_corpus
from tests.deidentify.pixels.compressed import SYNTAXES, Kind, compressed, encoded, file_of, items, jpeg
from tests.deidentify.pixels.files import image, part10
from tests.deidentify.pixels.redacting import box, redacted, rewritten

BOX = box(4, 5, 17, 6)
INSIDE = (slice(5, 11), slice(4, 21))
GREY = Kind()
KINDS = {
    "grey": GREY,
    "grey 8 bits": Kind(allocated=8, stored=8),
    "grey 16 bits": Kind(stored=16),
    "white is least": Kind(photometric="MONOCHROME1"),
    "signed": Kind(signed=True),
    "signed 16 bits": Kind(signed=True, stored=16),
    "RGB": Kind(photometric="RGB", allocated=8, stored=8),
    "YBR": Kind(photometric="YBR_FULL", allocated=8, stored=8),
}
BLACK = {"white is least": 4095, "signed": -2048, "signed 16 bits": -32768, "YBR": [0, 128, 128]}


def frames_of(value, frames):
    return list(generate_fragmented_frames(io.BytesIO(value), number_of_frames=frames))


def words_of(file):
    """Return what the screen reads, sign bits carried on or not."""
    file.seek(0)
    source = locate(file)
    return np.stack([frame.words for frame in iter_frames(source, read_format(source))])


def stored(words, kind):
    return words.astype(np.int64) & ((1 << kind.stored) - 1)


def in_file(file, result, value):
    """Return the file with its new value; for a syntax that pydicom does not know, by exchanging bytes."""
    if file.getvalue()[:1000].find(DEFLATED_FRAMES.encode()) < 0:
        return rewritten(file, result, value)
    file.seek(0)
    source = locate(file)
    whole = file.getvalue()
    return io.BytesIO(
        whole[: source.element.position] + value + whole[source.element.position + source.element.length :]
    )


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_other_frames_keep_their_bytes_and_changed_ones_lose_nothing(syntax, name):
    kind = KINDS[name]
    words = kind.words()
    file = compressed(syntax, kind, words)
    source, result, value = redacted(file, {1: [BOX]})
    before = file.getvalue()[source.element.position : source.element.position + source.element.length]
    assert result.transfer_syntax is None
    assert result.is_encapsulated
    old, new = frames_of(before, 3), frames_of(value, 3)
    assert (new[0], new[2]) == (old[0], old[2])
    assert new[1] != old[1]
    was, now = words_of(file), words_of(in_file(file, result, value))
    if name != "YBR":  # the screen reads it as RGB, whose black is 0
        assert (stored(now, kind)[(1, *INSIDE)] == (np.array(BLACK.get(name, 0)) & ((1 << kind.stored) - 1))).all()
    assert (now[(1, *INSIDE)] == now[1, 5, 4]).all()
    now[(1, *INSIDE)] = was[(1, *INSIDE)]
    assert np.array_equal(was, now)
    assert result.areas == {1: (BOX,)}
    assert len(result.decoders) == (syntax != DEFLATED_FRAMES)


def test_ybr_becomes_black_and_not_green():
    kind = KINDS["YBR"]
    for syntax in (RLELossless, JPEGLSLossless, DEFLATED_FRAMES):
        file = compressed(syntax, kind, kind.words())
        _, result, value = redacted(file, {1: [BOX]})
        assert not words_of(in_file(file, result, value))[(1, *INSIDE)].any()


@settings(deadline=None, max_examples=60)
@given(
    syntax=st.sampled_from(SYNTAXES),
    name=st.sampled_from(sorted(KINDS)),
    has_table=st.booleans(),
    size=st.tuples(st.integers(33, 40), st.integers(33, 50)),
    boxes=st.dictionaries(
        st.integers(0, 1),
        st.lists(
            st.builds(box, st.integers(-5, 45), st.integers(-5, 45), st.integers(1, 40), st.integers(1, 40)), max_size=3
        ),
    ),
)
def test_whatever_the_boxes_the_rest_is_equal(syntax, name, has_table, size, boxes):
    kind = KINDS[name]
    file = compressed(syntax, kind, kind.words(2, rows=size[0], columns=size[1]), has_table=has_table)
    _, result, value = redacted(file, boxes)
    was, now = words_of(file), words_of(in_file(file, result, value))
    for index, areas in result.areas.items():
        for area in areas:
            part = now[index, area.y : area.y + area.height, area.x : area.x + area.width]
            assert (part == part[0, 0]).all()
            was[index, area.y : area.y + area.height, area.x : area.x + area.width] = part
    assert np.array_equal(was, now)


@pytest.mark.parametrize("has_table", [True, False])
def test_a_basic_offset_table_is_made_anew_where_one_was(has_table):
    file = compressed(JPEGLSLossless, GREY, GREY.words(), has_table=has_table)
    _, _, value = redacted(file, {0: [box(0, 0, 40, 34)]})
    offsets = parse_basic_offsets(io.BytesIO(value))
    first = 8 + 4 * len(offsets)
    assert len(offsets) == (3 if has_table else 0)
    for offset in offsets:
        assert value[first + offset : first + offset + 4] == b"\xfe\xff\x00\xe0"
        assert value[first + offset + 8 : first + offset + 10] == b"\xff\xd8"


def test_an_extended_offset_table_is_returned():
    words = GREY.words()
    contents = [encoded(RLELossless, frame, GREY) + b"\0\0" * index for index, frame in enumerate(words)]
    value = items([(content,) for content in contents], has_table=False)
    offsets = [sum(8 + len(content) for content in contents[:index]) for index in range(3)]
    tables = {
        "ExtendedOffsetTable": pack("<3Q", *offsets),
        "ExtendedOffsetTableLengths": pack("<3Q", *map(len, contents)),
    }
    file = file_of(RLELossless, GREY, value, words, **tables)
    _, result, value = redacted(file, {0: [BOX], 2: [BOX]})
    offsets, lengths = (unpack("<3Q", table) for table in result.extended_offsets)
    assert lengths[1] == len(contents[1])
    assert value[8 + offsets[1] + 8 : 8 + offsets[1] + 8 + lengths[1]] == contents[1]
    assert np.array_equal(words_of(rewritten(file, result, value))[1], words[1])


@pytest.mark.parametrize("has_table", [True, False])
def test_frames_of_several_fragments_keep_them(has_table):
    words = GREY.words()
    whole = [encoded(JPEGLSLossless, frame, GREY) for frame in words]
    parts = [(content[:100], content[100:700], content[700:]) for content in whole]
    file = file_of(JPEGLSLossless, GREY, items(parts, has_table=has_table), words)
    _, result, value = redacted(file, {1: [BOX]})
    new = frames_of(value, 3)
    assert [len(fragments) for fragments in new] == [3, 1, 3]
    assert b"".join(new[2]).startswith(whole[2])
    assert np.array_equal(words_of(rewritten(file, result, value))[2], words[2])


def test_frames_without_boxes_are_not_decoded():
    words = GREY.words()
    contents = [encoded(JPEGLSLossless, frame, GREY) for frame in words]
    contents[2] = contents[2][:60] + bytes(len(contents[2]) - 60)
    file = file_of(JPEGLSLossless, GREY, items([(content,) for content in contents], has_table=True), words)
    assert redacted(file, {1: [BOX]})[1].is_encapsulated
    with pytest.raises(PixelDecodeError):
        redacted(file, {2: [BOX]})


def test_what_no_encoder_writes_becomes_native_with_nothing_lost():
    kind = KINDS["signed"]
    words = kind.words(rows=20)  # too few rows for the encoder of JPEG 2000
    content = encoded(JPEG2000Lossless, kind.words(1)[0], kind)
    file = file_of(JPEG2000Lossless, kind, items([(content,)] * 2, has_table=True), kind.words(2))
    assert redacted(file, {1: [BOX]})[1].transfer_syntax is None
    small = tiny_jpeg2000(words[:1, :20, :20])
    file = file_of(JPEG2000Lossless, Kind(allocated=8, stored=8), items([(small,)], has_table=True), bytes_of(words))
    _, result, value = redacted(file, {0: [box(2, 3, 4, 5)]})
    assert (result.transfer_syntax, result.is_encapsulated, result.vr) == (ExplicitVRLittleEndian, False, "OB")
    assert result.decoders
    was, now = words_of(file), words_of(rewritten(file, result, value))
    assert not now[0, 3:8, 2:6].any()
    now[0, 3:8, 2:6] = was[0, 3:8, 2:6]
    assert np.array_equal(was, now)


def bytes_of(words):
    return (words[:1, :20, :20] & 0xFF).astype(np.uint8)


def tiny_jpeg2000(words):
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(bytes_of(words)[0]).save(written, "JPEG2000", irreversible=False, no_jp2=True, num_resolutions=2)
    return written.getvalue()


def test_a_header_of_another_sign_than_the_codestream_becomes_native():
    kind = KINDS["signed"]
    words = kind.words(1)
    file = compressed(JPEG2000Lossless, kind, words, PixelRepresentation=0)
    _, result, value = redacted(file, {0: [BOX]})
    assert result.transfer_syntax == ExplicitVRLittleEndian
    was, now = words_of(file), words_of(rewritten(file, result, value))
    assert not now[(0, *INSIDE)].any()
    now[(0, *INSIDE)] = was[(0, *INSIDE)]
    assert np.array_equal(was, now)


def smooth(frames=2):
    ramp = np.add.outer(np.arange(48) * 3, np.arange(64) * 2).astype(np.uint8)
    return np.stack([np.stack([ramp + 9 * index, ramp[::-1], ramp[:, ::-1]], axis=2) for index in range(frames)])


def lossy_jpeg(**more):
    kind = Kind(photometric="YBR_FULL_422", allocated=8, stored=8)
    return file_of(
        JPEGBaseline8Bit, kind, items([(jpeg(frame),) for frame in smooth()], has_table=True), smooth(), **more
    )


def test_lossy_jpeg_becomes_native_and_equal_to_what_the_screen_reads():
    file = lossy_jpeg(LossyImageCompression="01")
    _, result, value = redacted(file, {1: [BOX]})
    assert result.transfer_syntax == ExplicitVRLittleEndian
    assert result.attributes == {"PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    assert result.decoders in {("gdcm",), ("pillow",)}
    was, now = words_of(file), words_of(rewritten(file, result, value))
    assert not now[(1, *INSIDE)].any()
    now[(1, *INSIDE)] = was[(1, *INSIDE)]
    assert np.array_equal(was, now)


def blanker(*, areas, strength=0):
    """Return one that encodes a frame anew: honest only where the frame is smooth enough to lose nothing."""

    def blank(identified_content, _areas):
        blanked = smooth()[1].copy()
        blanked[:16, :32] = strength
        return BlankedCodestream(content=jpeg(blanked), areas=areas)

    return blank


def test_blocks_of_lossy_jpeg_are_blanked_by_who_knows_how():
    everywhere = (box(0, 0, 64, 48),)
    _, result, value = redacted(lossy_jpeg(), {1: [BOX]}, blank_codestream=blanker(areas=everywhere))
    assert result.transfer_syntax is None
    assert result.areas == {1: everywhere}
    assert frames_of(value, 2)[0][0].rstrip(b"\0") == jpeg(smooth()[0]).rstrip(b"\0")


def test_blocks_that_are_not_dark_or_change_more_than_they_say_are_refused():
    with pytest.raises(RedactionError, match="does not show"):
        redacted(lossy_jpeg(), {1: [BOX]}, blank_codestream=blanker(areas=(box(0, 0, 64, 48),), strength=99))
    with pytest.raises(RedactionError, match="does not show"):
        redacted(lossy_jpeg(), {1: [BOX]}, blank_codestream=blanker(areas=(BOX,)))


def test_a_blanker_that_does_not_know_this_jpeg_leaves_it_to_become_native():
    result = redacted(lossy_jpeg(), {1: [BOX]}, blank_codestream=lambda *_: None)[1]
    assert result.transfer_syntax == ExplicitVRLittleEndian


def lossy_transformed():
    from openjpeg.utils import encode_buffer

    kind = Kind(photometric="YBR_ICT", allocated=8, stored=8)
    contents = [
        encode_buffer(frame.tobytes(), 64, 48, 3, 8, False, photometric_interpretation=1, signal_noise_ratios=[35])
        for frame in smooth()
    ]
    return file_of(JPEG2000, kind, items([(content,) for content in contents], has_table=True), smooth())


def test_the_transform_of_lossy_jpeg_2000_is_changed_for_all_frames_or_for_none():
    file = lossy_transformed()
    _, result, value = redacted(file, {0: [BOX], 1: [BOX]})
    assert result.attributes == {"PhotometricInterpretation": "YBR_RCT"}
    assert result.transfer_syntax is None
    was, now = words_of(file), words_of(rewritten(file, result, value))
    assert not now[(slice(None), *INSIDE)].any()
    now[(slice(None), *INSIDE)] = was[(slice(None), *INSIDE)]
    assert np.array_equal(was, now)
    _, result, value = redacted(file, {1: [BOX]})
    assert result.transfer_syntax == ExplicitVRLittleEndian
    assert np.array_equal(words_of(rewritten(file, result, value))[0], was[0])


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1, JPEGLSNearLossless, JPEG2000Lossless])
def test_an_encoder_that_errs_is_found_out(syntax, monkeypatch):
    from deidentify.pixels import frame_codec

    honest = frame_codec.encoded_like

    def erring(of, content, words):
        words = words.copy()
        words[20, 30] ^= 1
        return honest(of, content, words)

    monkeypatch.setattr(frame_codec, "encoded_like", erring)
    with pytest.raises(RedactionError, match="does not show"):
        redacted(compressed(syntax, GREY, GREY.words()), {1: [BOX]})


def test_a_box_that_an_encoder_leaves_out_is_found_out(monkeypatch):
    from deidentify.pixels import frame_codec

    monkeypatch.setattr(frame_codec, "encoded_like", lambda _of, content, _words: content)
    with pytest.raises(RedactionError, match="does not show"):
        redacted(compressed(RLELossless, GREY, GREY.words()), {1: [BOX]})


def test_what_cannot_be_decoded_is_no_redaction():
    noise = np.random.default_rng(5).bytes(500)
    for syntax in SYNTAXES:
        words = GREY.words(1)
        with pytest.raises(PixelDecodeError):
            redacted(file_of(syntax, GREY, items([(noise,)], has_table=True), words), {0: [BOX]})


def test_a_native_object_that_would_be_too_long_is_refused(monkeypatch):
    monkeypatch.setattr("deidentify.pixels.redact._LONGEST_VALUE", 1000)
    with pytest.raises(RedactionError, match="too long"):
        redacted(lossy_jpeg(), {1: [BOX]})


def test_what_is_returned_shows_no_content():
    content = BlankedCodestream(content=b"DOE^JANE", areas=())
    assert "DOE" not in repr(content)
    assert dataclasses.is_dataclass(redacted(lossy_jpeg(), {1: [BOX]})[1])


@pytest.mark.filterwarnings("ignore")  # real files have odd values, and are written again here
def test_every_corpus_file_differs_only_inside_its_box():
    kept, native = Counter(), Counter()
    for file in require_corpus():
        if file.path.stat().st_size > 3_000_000:
            continue
        whole = io.BytesIO(file.path.read_bytes())
        try:
            source = locate(whole)
            if source.element is None or source.element.keyword != "PixelData":
                continue
            was = words_of(whole)
        except PixelDecodeError:
            continue
        rows, columns = was.shape[1:3]
        part = box(columns // 4, rows // 4, max(1, columns // 3), max(1, rows // 5))
        middle = len(was) // 2
        _, result, value = redacted(whole, {middle: [part]})
        now = words_of(in_file(whole, result, value))
        (area,) = result.areas[middle]
        inside = (middle, slice(area.y, area.y + area.height), slice(area.x, area.x + area.width))
        assert (now[inside] == now[inside][0, 0]).all(), file.facts["file"]
        now[inside] = was[inside]
        if source.transfer_syntax.name.startswith("JPEG Baseline") or result.transfer_syntax is None:
            assert np.array_equal(was, now), file.facts["file"]
        (kept if result.transfer_syntax is None else native)[source.transfer_syntax] += 1
    assert len(kept) >= 11
    assert len(native) >= 2


def test_pydicom_shows_what_was_written():
    for syntax in SYNTAXES[:-1]:
        words = GREY.words()
        file = compressed(syntax, GREY, words)
        _, result, value = redacted(file, {2: [BOX]})
        file.seek(0)
        was, now = dcmread(file).pixel_array, dcmread(rewritten(file, result, value)).pixel_array
        assert not now[(2, *INSIDE)].any()
        assert np.array_equal(was[:2], now[:2])


@pytest.mark.parametrize("syntax", [JPEGLSLossless, ExplicitVRLittleEndian])
def test_memory_holds_one_frame_however_many_there_are(syntax, tmp_path):
    words = GREY.words(60, rows=256, columns=256)
    file = part10(image(list(words))) if syntax == ExplicitVRLittleEndian else compressed(syntax, GREY, words)
    source = locate(file)
    form = read_format(source)
    with (tmp_path / "value").open("wb") as target:
        redact(source, form, {0: [BOX]}, target)  # what is loaded once is not counted
        target.seek(0)
        tracemalloc.start()
        redact(source, form, {index: [BOX] for index in range(60)}, target)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < words.nbytes / 2


@pytest.mark.parametrize("frames", [2, 4])
def test_frames_that_are_not_as_many_as_announced_are_no_redaction(frames):
    words = GREY.words(4)
    contents = [encoded(JPEGLSLossless, frame, GREY) for frame in words]
    parts = [(content[:300], content[300:]) for content in contents[:frames]]
    file = file_of(JPEGLSLossless, GREY, items(parts, has_table=False), words[:3])
    with pytest.raises(PixelDecodeError):
        redacted(file, {0: [BOX]})


@pytest.mark.parametrize(
    ("limit", "value", "complaint"),
    [("_LONGEST_FRAGMENT", 100, "longer than an item"), ("_LARGEST_OFFSET", 100, "offset table")],
)
def test_frames_too_long_for_their_encapsulation_are_refused(limit, value, complaint, monkeypatch):
    monkeypatch.setattr(f"deidentify.pixels.fragments.{limit}", value)
    with pytest.raises(RedactionError, match=complaint):
        redacted(compressed(JPEGLSLossless, GREY, GREY.words()), {1: [BOX]})


def test_single_bits_are_encoded_again_or_refused(monkeypatch):
    from openjpeg.utils import encode_buffer

    from deidentify.pixels import frame_codec

    bits = np.random.default_rng(1).integers(0, 2, (34, 40)).astype(np.uint8)
    kind = Kind(allocated=8, stored=1)
    value = items([(encode_buffer(bits.tobytes(), 40, 34, 1, 1, False),)], has_table=True)
    file = file_of(JPEG2000Lossless, kind, value, bits[None], BitsAllocated=1)
    _, result, value = redacted(file, {0: [BOX]})
    now = words_of(rewritten(file, result, value))[0]
    assert not now[INSIDE].any()
    now[INSIDE] = bits[INSIDE]
    assert np.array_equal(now, bits)
    monkeypatch.setattr(frame_codec, "encoded_like", lambda *_: None)
    with pytest.raises(RedactionError, match="single bits"):
        redacted(file, {0: [BOX]})


def test_what_does_not_fit_the_frame_that_was_is_not_encoded():
    words = GREY.words(1)[0]
    content = encoded(JPEGLosslessSV1, words, GREY)
    assert encoded_like(JPEGLosslessSV1, content, words) == content
    assert encoded_like(JPEGLosslessSV1, content, words | 0x8000) is None
    assert encoded_like(JPEGLosslessSV1, content, np.stack([words] * 3, axis=2)) is None
    assert encoded_like(JPEGLosslessSV1, jpeg(smooth()[0]), smooth()[0]) is None
    assert encoded_like(JPEGLSLossless, content, words) is None
    assert encoded_like(JPEGBaseline8Bit, jpeg(smooth()[0]), smooth()[0]) is None
    assert encoded_like(RLELossless, b"", words.astype(np.float32)) is None


def test_segments_that_say_what_colour_is_are_kept():
    kind = KINDS["RGB"]
    words = kind.words(1)[0]
    content = encoded(JPEGLosslessSV1, words, kind)
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
    comment = b"\xff\xfe\x00\x0aDOE^JANE"
    again = encoded_like(JPEGLosslessSV1, content[:2] + comment + adobe + content[2:], words)
    assert again == content[:2] + adobe + content[2:]


def test_a_thumbnail_of_the_picture_as_it_was_goes():
    kind = KINDS["RGB"]
    words = kind.words(1)[0]
    content = encoded(JPEGLosslessSV1, words, kind)
    jfif = b"JFIF\x00\x01\x02\x00\x00\x01\x00\x01"
    small = b"\xff\xe0\x00\x1c" + jfif + b"\x02\x02" + bytes(range(12))
    again = encoded_like(JPEGLosslessSV1, content[:2] + small + content[2:], words)
    assert again == content[:2] + b"\xff\xe0\x00\x10" + jfif + b"\x00\x00" + content[2:]
