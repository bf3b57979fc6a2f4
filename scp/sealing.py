"""Sealed files: what a spool keeps, encrypted where the administrator gave a key.

A sealed file is a header of 64 bytes and chunks; integers are big-endian::

    0   8  magic            89 43 42 53 45 41 4C 0A
    8   1  version          1
    9   1  chunk size       as a power of two: 16 means 64 KiB of content a chunk
    10  6  reserved         zeros
    16 16  key id           which spool key; nobody learns the key from it
    32 32  salt             random, of this file
    64     chunks           each as AES-256-GCM leaves it: as long as its content, and a tag of 16 bytes

The key of a file is HKDF-SHA256 of the spool key with the file's salt, so no two files share one. The nonce of a chunk
is its number and a byte that is 1 for the last chunk and 0 for others (the STREAM construction): chunks that are
missing, doubled, in another order or of another file do not open. Each chunk authenticates the header and the file's
name. Only the last one authenticates the name of the study as well, which nobody knows before its UID has arrived; a
reader opens the last chunk first. The last chunk is empty in an empty file alone, so the size of a sealed file says
the size of its content.

References
----------
NIST SP 800-38D (GCM), RFC 5869 (HKDF); Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance (STREAM), CRYPTO 2015.
"""

import hashlib
import hmac
import io
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from scp.errors import SealBrokenError, SpoolKeyMissingError

__all__ = [
    "KEY_BYTES",
    "PlainWriter",
    "SealedName",
    "SealedReader",
    "SealingWriter",
    "SpoolKeys",
    "open_sealed",
    "seal",
    "sealed_under",
    "unseal",
]

KEY_BYTES = 32
HEADER_BYTES = 64
CHUNK_BYTES = 1 << 16
TAG_BYTES = 16

_MAGIC = b"\x89CBSEAL\n"
_VERSION = 1
_CHUNK_BITS = 16
_LEAST_BITS, _MOST_BITS = 4, 24
_ID_BYTES = 16
_SALT_AT = 32
_LINE = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolKeys:
    """The spool keys of an installation: the first one seals, all of them open."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "SpoolKeys":
        """Read keys: one a line, 64 hexadecimal digits; blank lines and lines that begin with ``#`` are left out.

        Raises
        ------
        ValueError
            If there is none, or a line is no key; the text names the line, never what stands in it.
        """
        keys = []
        for number, line in enumerate(text.splitlines(), 1):
            content = line.strip()
            if not content or content.startswith("#"):
                continue
            if _LINE.fullmatch(content) is None:
                raise ValueError(f"line {number} is not a key of 64 hexadecimal digits")
            keys.append(bytes.fromhex(content))
        if not keys:
            raise ValueError("there is no key in it")
        return cls(keys=tuple(dict.fromkeys(keys)))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys in their order."""
        return tuple(_key_id(key).hex() for key in self.keys)

    def find(self, key_id: bytes) -> bytes:
        """Return the key with an id.

        Raises
        ------
        SpoolKeyMissingError
            If it is none of ours.
        """
        for key in self.keys:
            if hmac.compare_digest(_key_id(key), key_id):
                return key
        raise SpoolKeyMissingError(f"the spool key {key_id.hex()} is not configured")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedName:
    """What a file is called, as it is sealed into the file: a file under another name does not open."""

    name: bytes
    """Authenticated by each chunk."""
    study: bytes = b""
    """Authenticated by the last chunk."""


def is_sealed(head: bytes) -> bool:
    """Tell from its first bytes whether a file is a sealed one."""
    return head.startswith(_MAGIC)


def sealed_under(file: BinaryIO) -> str | None:
    """Return the id of the key that a file, read from where it stands, is sealed under; None if it is not sealed."""
    head = file.read(_SALT_AT)
    return head[_SALT_AT - _ID_BYTES :].hex() if is_sealed(head) else None


def seal(keys: SpoolKeys, name: SealedName, content: bytes) -> bytes:
    """Return a content that is in memory, sealed."""
    sealed = bytearray()
    writer = SealingWriter(keys, name.name, sealed.extend)
    writer.write(content)
    writer.finish(name.study)
    return bytes(sealed)


def unseal(keys: SpoolKeys | None, name: SealedName, data: bytes) -> bytes:
    """Return the content of what may be sealed; what is not is returned as it is.

    Raises
    ------
    SealBrokenError
        If it was changed, or belongs to another name.
    SpoolKeyMissingError
        If its key is not configured.
    """
    return SealedReader(io.BytesIO(data), keys, name).readall() if is_sealed(data) else data


def open_sealed(file: BinaryIO, keys: SpoolKeys | None, name: SealedName) -> BinaryIO:
    """Return a file that may be sealed as its content, from its start; what is not sealed is returned as it is.

    Raises
    ------
    SealBrokenError
        If it was changed, or belongs to another name; the file is closed then, as with the other error.
    SpoolKeyMissingError
        If its key is not configured.
    """
    try:
        file.seek(0)  # wherever it stands: sealed bytes must never pass for a content
        head = file.read(len(_MAGIC))
        file.seek(0)
        if not is_sealed(head):
            return file
        return io.BufferedReader(SealedReader(file, keys, name), CHUNK_BYTES)
    except BaseException:
        file.close()
        raise


class PlainWriter:
    """Writes a content as it comes, where there is no key."""

    def __init__(self, put: Callable[[bytes | memoryview], object]) -> None:
        self.write = put

    def finish(self, study: bytes = b"") -> None:
        """Do nothing: all is written."""

    def read(self, count: int, get: Callable[[int, int], bytes]) -> bytes:
        """Return up to `count` first bytes; see :meth:`SealingWriter.read`."""
        return get(count, 0)


class SealingWriter:
    """Seals a content while it comes; only the last chunk is held in memory.

    Parameters
    ----------
    keys
        The first one seals.
    name
        What the file is called, without its study.
    put
        Appends bytes to the file.
    """

    def __init__(self, keys: SpoolKeys, name: bytes, put: Callable[[bytes], object]) -> None:
        key, salt = keys.keys[0], secrets.token_bytes(HEADER_BYTES - _SALT_AT)
        self._header = b"".join((_MAGIC, bytes((_VERSION, _CHUNK_BITS)), bytes(6), _key_id(key), salt))
        self._cipher = AESGCM(_file_key(key, salt))
        self._bound = self._header + name
        self._put = put
        self._chunks = 0
        self._waiting = bytearray()
        put(self._header)

    def write(self, data: bytes | memoryview) -> None:
        """Append content; a chunk is written once it is full and not the last one."""
        rest = memoryview(data)
        room = CHUNK_BYTES - len(self._waiting)
        if len(rest) > room and self._waiting:
            self._waiting += rest[:room]
            self._seal(self._waiting)
            self._waiting.clear()
            rest = rest[room:]
        while len(rest) > CHUNK_BYTES:
            self._seal(rest[:CHUNK_BYTES])
            rest = rest[CHUNK_BYTES:]
        self._waiting += rest

    def finish(self, study: bytes = b"") -> None:
        """Write the last chunk, which names the study; nothing can be written after it."""
        sealed = self._cipher.encrypt(_nonce(self._chunks, is_last=True), self._waiting, self._bound + b"\0" + study)
        self._put(sealed)

    def read(self, count: int, get: Callable[[int, int], bytes]) -> bytes:
        """Return up to `count` first bytes of the content written so far.

        Parameters
        ----------
        count
            How many.
        get
            Returns bytes of the file: how many, and from which offset on.
        """
        content = bytearray()
        size = CHUNK_BYTES + TAG_BYTES
        for number in range(min(self._chunks, -(-count // CHUNK_BYTES))):
            content += _opened(
                self._cipher, number, get(size, HEADER_BYTES + number * size), self._bound, is_last=False
            )
        return bytes((content + self._waiting if len(content) < count else content)[:count])

    def _seal(self, content: bytearray | memoryview) -> None:
        self._put(self._cipher.encrypt(_nonce(self._chunks, is_last=False), content, self._bound))
        self._chunks += 1


class SealedReader(io.RawIOBase):
    """The content of a sealed file: seekable, each chunk opened when it is read.

    Parameters
    ----------
    file
        The sealed file; it is closed with the reader.
    keys
        The spool keys; None where there are none.
    name
        What the file is called.

    Raises
    ------
    SealBrokenError
        If header or end of the file are not what was written under this name.
    SpoolKeyMissingError
        If its key is not configured.
    """

    def __init__(self, file: BinaryIO, keys: SpoolKeys | None, name: SealedName) -> None:
        super().__init__()
        file.seek(0)
        header = file.read(HEADER_BYTES)
        bits = _chunk_bits(header)
        key_id = header[_SALT_AT - _ID_BYTES : _SALT_AT]
        if keys is None:
            raise SpoolKeyMissingError(f"the spool key {key_id.hex()} is not configured")
        self.key_id = key_id.hex()
        self.name = name.name.decode()
        """As files of Python's own have one, which some readers ask for."""
        self._cipher = AESGCM(_file_key(keys.find(key_id), header[_SALT_AT:]))
        self._file = file
        self._bound = header + name.name
        self._bound_last = self._bound + b"\0" + name.study
        self._chunk_bytes = 1 << bits
        self.size, self._chunks = _layout(file.seek(0, io.SEEK_END), self._chunk_bytes)
        self._position = 0
        self._held = -1
        self._content = b""
        self._chunk(self._chunks - 1)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill a buffer from where the reader stands, with no more than what is left of one chunk."""
        if self._position >= self.size:
            return 0
        number, within = divmod(self._position, self._chunk_bytes)
        piece = memoryview(self._chunk(number))[within : within + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """Return all from where the reader stands to the end."""
        parts = []
        while self._position < self.size:
            number, within = divmod(self._position, self._chunk_bytes)
            parts.append(self._chunk(number)[within:])
            self._position += len(parts[-1])
        return b"".join(parts)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position; behind the end there is nothing to read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError("a negative position")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return where the reader stands."""
        return self._position

    def close(self) -> None:
        """Close the file as well."""
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()

    def _chunk(self, number: int) -> bytes:
        if number != self._held:
            size = self._chunk_bytes + TAG_BYTES
            self._file.seek(HEADER_BYTES + number * size)
            is_last = number == self._chunks - 1
            bound = self._bound_last if is_last else self._bound
            self._content = _opened(self._cipher, number, self._file.read(size), bound, is_last=is_last)
            self._held = number
        return self._content


def _opened(cipher: AESGCM, number: int, sealed: bytes, bound: bytes, *, is_last: bool) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, is_last=is_last), sealed, bound)
    except (InvalidTag, ValueError):
        raise SealBrokenError("a sealed file is damaged, or is not the one that was written here") from None


def _chunk_bits(header: bytes) -> int:
    if len(header) != HEADER_BYTES or not is_sealed(header) or header[8] != _VERSION or any(header[10:16]):
        raise SealBrokenError("a sealed file has a header that we do not write")
    if not _LEAST_BITS <= header[9] <= _MOST_BITS:
        raise SealBrokenError("a sealed file has chunks of a size that we do not write")
    return header[9]


def _layout(sealed_bytes: int, chunk_bytes: int) -> tuple[int, int]:
    """Return the size of the content and the number of chunks."""
    body = sealed_bytes - HEADER_BYTES
    chunks = -(-body // (chunk_bytes + TAG_BYTES))
    content = body - chunks * TAG_BYTES
    if chunks < 1 or content < 0 or (chunks > 1 and content <= (chunks - 1) * chunk_bytes):
        raise SealBrokenError("a sealed file is cut off")
    return content, chunks


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((is_last,))


def _key_id(key: bytes) -> bytes:
    return _hkdf(key, b"casebridge spool key id", b"")[:_ID_BYTES]


def _file_key(key: bytes, salt: bytes) -> bytes:
    return _hkdf(key, b"casebridge sealed file 1", salt)


def _hkdf(key: bytes, info: bytes, salt: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256: extract, and one round of expand."""
    extracted = hmac.digest(salt or bytes(hashlib.sha256().digest_size), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")
