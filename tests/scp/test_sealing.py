"""The format of sealed files: what goes in comes out, and nothing that was touched comes out at all."""

import hashlib
import hmac
import io
import os
import random
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from scp import sealing
from scp.errors import SealBrokenError, SpoolKeyMissingError
from scp.sealing import SealedName, SealedReader, SealingWriter, SpoolKeys, open_sealed, seal, unseal

KEYS = SpoolKeys(keys=(b"\x01" * 32,))
OTHER = SpoolKeys(keys=(b"\x02" * 32,))
NAME = SealedName(name=b"an arrival", study=b"its study")
CHUNK = 64
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7)


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 64 bytes, so that small contents have several."""
    monkeypatch.setattr(sealing, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(sealing, "_CHUNK_BITS", 6)


def content_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 200_000])
def test_a_content_of_any_size_comes_back_and_its_size_is_known_from_the_sealed_size(size):
    content = content_of(size)

    sealed = seal(KEYS, NAME, content)

    assert unseal(KEYS, NAME, sealed) == content
    assert SealedReader(io.BytesIO(sealed), KEYS, NAME).size == size
    assert content[:32] not in sealed or size < 8
    assert len(sealed) == 64 + size + 16 * max(1, -(-size // 65536))


def test_the_format_is_the_documented_one():
    """Opened by hand, with another implementation of the key derivation."""
    content = content_of(70_000)

    sealed = seal(KEYS, NAME, content)

    header, body = sealed[:64], sealed[64:]
    assert (header[:8], header[8], header[9], header[10:16]) == (b"\x89CBSEAL\n", 1, 16, bytes(6))
    derive = lambda salt, info: HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(KEYS.keys[0])  # noqa: E731
    assert header[16:32] == derive(None, b"casebridge spool key id")[:16]
    cipher = AESGCM(derive(header[32:], b"casebridge sealed file 1"))
    first = cipher.decrypt(bytes(12), body[: 65536 + 16], header + b"an arrival")
    last = cipher.decrypt(bytes(10) + b"\x01\x01", body[65536 + 16 :], header + b"an arrival\0its study")
    assert first + last == content


def test_two_files_of_one_content_share_no_bytes_behind_their_headers_beginning():
    one, other = seal(KEYS, NAME, bytes(1000)), seal(KEYS, NAME, bytes(1000))

    assert one[:32] == other[:32]
    assert one[32:64] != other[32:64]
    assert one[64:96] != other[64:96]


pieces = st.lists(st.binary(max_size=200), max_size=12)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.integers(0, 1500)),
        st.tuples(st.just("back"), st.integers(0, 300)),
        st.tuples(st.just("end"), st.integers(0, 300)),
        st.tuples(st.just("read"), st.integers(-1, 400)),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(pieces=pieces, moves=moves, plain_moves=st.booleans())
def test_however_it_is_written_and_read_it_equals_a_plain_file(pieces, moves, plain_moves):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "CHUNK_BYTES", CHUNK)
        patch.setattr(sealing, "_CHUNK_BITS", 6)
        sealed = bytearray()
        writer = SealingWriter(KEYS, NAME.name, sealed.extend)
        for piece in pieces:
            writer.write(memoryview(piece))
        writer.finish(NAME.study)
    plain = io.BytesIO(b"".join(pieces))
    raw = SealedReader(io.BytesIO(bytes(sealed)), KEYS, NAME)
    file = raw if plain_moves else open_sealed(io.BytesIO(bytes(sealed)), KEYS, NAME)

    for move, number in moves:
        if move == "read":
            expected = plain.read(number)
            found = b""
            # A raw file may return less than was asked for; nothing but the end returns nothing.
            while more := file.read(number - len(found) if number >= 0 else -1):
                found += more
                if len(found) == number:
                    break
            assert found == expected
        elif move == "back":
            assert file.seek(-min(number, plain.tell()), 1) == plain.seek(-min(number, plain.tell()), 1)
        elif move == "end":
            back = min(number, len(plain.getvalue()))
            assert file.seek(-back, 2) == plain.seek(-back, 2)
        else:
            assert file.seek(number) == plain.seek(number)
        assert file.tell() == plain.tell()


@settings(deadline=None)
@given(pieces=pieces, count=st.integers(0, 1500))
def test_the_head_of_a_content_can_be_read_while_it_is_written(pieces, count):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "CHUNK_BYTES", CHUNK)
        patch.setattr(sealing, "_CHUNK_BITS", 6)
        sealed = bytearray()
        writer = SealingWriter(KEYS, NAME.name, sealed.extend)
        written = b""
        for piece in pieces:
            writer.write(piece)
            written += piece
            head = writer.read(count, lambda size, at: bytes(sealed[at : at + size]))
            assert head == written[:count]


def test_no_more_than_one_chunk_is_held_while_it_is_written(small_chunks):
    put = []
    writer = SealingWriter(KEYS, NAME.name, put.append)
    for _ in range(100):
        writer.write(bytes(3 * CHUNK + 1))
        assert len(writer._waiting) <= CHUNK
    assert max(len(piece) for piece in put) == CHUNK + 16


def pieces_of(sealed: bytes) -> Iterator[bytes]:
    reader = SealedReader(io.BytesIO(sealed), KEYS, NAME)
    while piece := reader.read(CHUNK):
        yield piece


@pytest.mark.parametrize("size", SIZES)
def test_every_flipped_bit_is_noticed_before_anything_of_its_chunk_is_read(small_chunks, size):
    content = content_of(size)
    sealed = seal(KEYS, NAME, content)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1 << (position % 8)
        if position < 8:
            assert unseal(KEYS, NAME, bytes(changed)) == bytes(changed)  # no sealed file at all: the scan refuses it
            continue
        pieces: list[bytes] = []
        with pytest.raises((SealBrokenError, SpoolKeyMissingError)):
            pieces.extend(pieces_of(bytes(changed)))
        seen = b"".join(pieces)
        assert content.startswith(seen)
        assert position < 64 or len(seen) <= (position - 64) // (CHUNK + 16) * CHUNK


@pytest.mark.parametrize("size", SIZES)
def test_a_file_that_is_cut_off_or_longer_does_not_open(small_chunks, size):
    sealed = seal(KEYS, NAME, content_of(size))
    for length in range(8, len(sealed)):
        with pytest.raises(SealBrokenError):
            SealedReader(io.BytesIO(sealed[:length]), KEYS, NAME)
    for more in (1, 15, 16, 17, CHUNK, CHUNK + 16, CHUNK + 32):
        with pytest.raises(SealBrokenError):
            SealedReader(io.BytesIO(sealed + bytes(more)), KEYS, NAME)


def chunks_of(sealed: bytes) -> list[bytes]:
    return [sealed[at : at + CHUNK + 16] for at in range(64, len(sealed), CHUNK + 16)]


@pytest.mark.parametrize(
    "order",
    [(1, 0, 2, 3), (0, 0, 2, 3), (0, 2, 1, 3), (0, 1, 2, 2, 3), (0, 1, 3), (3, 1, 2, 0), (0, 1, 2)],
    ids=["swapped", "doubled in place", "swapped later", "doubled", "left out", "last one first", "last one dropped"],
)
def test_chunks_in_another_order_do_not_open(small_chunks, order):
    sealed = seal(KEYS, NAME, content_of(4 * CHUNK))
    chunks = chunks_of(sealed)
    assert len(chunks) == 4
    with pytest.raises(SealBrokenError):
        SealedReader(io.BytesIO(sealed[:64] + b"".join(chunks[i] for i in order)), KEYS, NAME).readall()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_chunk_of_another_file_or_of_an_earlier_version_does_not_open(small_chunks, number):
    content = content_of(3 * CHUNK)
    sealed, other = seal(KEYS, NAME, content), seal(KEYS, NAME, content)
    chunks = chunks_of(sealed)
    chunks[number] = chunks_of(other)[number]
    with pytest.raises(SealBrokenError):
        SealedReader(io.BytesIO(sealed[:64] + b"".join(chunks)), KEYS, NAME).readall()


@pytest.mark.parametrize(
    "name", [SealedName(name=b"another", study=NAME.study), SealedName(name=NAME.name, study=b"another")]
)
def test_a_file_under_another_name_or_in_another_study_does_not_open(name):
    sealed = seal(KEYS, NAME, content_of(200_000))
    with pytest.raises(SealBrokenError):
        SealedReader(io.BytesIO(sealed), KEYS, name)


def test_the_border_between_name_and_study_cannot_be_moved():
    sealed = seal(KEYS, SealedName(name=b"ab", study=b"c"), b"content")
    with pytest.raises(SealBrokenError):
        unseal(KEYS, SealedName(name=b"a", study=b"bc"), sealed)


@pytest.mark.parametrize("keys", [OTHER, None])
def test_without_its_key_a_file_is_not_broken_but_waits(keys):
    sealed = seal(KEYS, NAME, b"content")
    with pytest.raises(SpoolKeyMissingError, match=KEYS.ids[0]):
        unseal(keys, NAME, sealed)


def test_a_header_that_claims_another_key_does_not_open():
    sealed = bytearray(seal(KEYS, NAME, b"content"))
    sealed[16:32] = bytes.fromhex(OTHER.ids[0])
    with pytest.raises(SealBrokenError):
        unseal(SpoolKeys(keys=KEYS.keys + OTHER.keys), NAME, bytes(sealed))


def test_the_first_key_seals_and_all_of_them_open():
    both = SpoolKeys(keys=OTHER.keys + KEYS.keys)
    assert unseal(both, NAME, seal(KEYS, NAME, b"old")) == b"old"
    assert unseal(OTHER, NAME, seal(both, NAME, b"new")) == b"new"


def test_keys_are_read_one_a_line():
    first, second = os.urandom(32), os.urandom(32)
    text = f"# made on a Monday\n{first.hex()}\n\n  {second.hex().upper()}  \n{first.hex()}\n"
    keys = SpoolKeys.parse(text)
    assert keys.keys == (first, second)
    assert first.hex() not in repr(keys)
    assert (
        hmac.digest(hmac.digest(bytes(32), first, "sha256"), b"casebridge spool key id\x01", "sha256")[:16].hex()
        == (keys.ids[0])
    )
    assert hashlib.sha256(first).hexdigest()[:16] not in keys.ids[0]


@pytest.mark.parametrize("text", ["", "# only a remark\n", "zz" * 32, "00" * 31, f"{'00' * 32} and more"])
def test_what_is_no_key_is_refused_without_being_shown(text):
    with pytest.raises(ValueError) as refused:
        SpoolKeys.parse(text)
    assert text == "" or text not in str(refused.value)


def test_a_file_that_does_not_open_is_closed():
    file = io.BytesIO(seal(KEYS, NAME, b"content"))
    with pytest.raises(SpoolKeyMissingError):
        open_sealed(file, None, NAME)
    assert file.closed
    file = io.BytesIO(seal(KEYS, NAME, b"content"))
    open_sealed(file, KEYS, NAME).close()
    assert file.closed


def test_a_file_is_opened_from_its_start_wherever_it_stands():
    for data in (seal(KEYS, NAME, b"content"), b"content"):
        file = io.BytesIO(data)
        file.seek(0, io.SEEK_END)
        assert open_sealed(file, KEYS, NAME).read() == b"content"
