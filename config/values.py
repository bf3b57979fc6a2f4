"""Checks of single values. Each raises ValueError with what is wrong, worded to follow the name of the setting."""

import ipaddress
import re
import shlex
import socket
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

MAX_AE_TITLE_LENGTH = 16
MIN_TOKEN_LENGTH = 32
MAX_NAME_LENGTH = 253
ANY_AE_TITLE = "*"

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def ae_title(value: str) -> str:
    """Return an AE title without its padding.

    References
    ----------
    PS3.5 §6.2, Value Representation AE.
    """
    title = value.strip(" ")
    if not title:
        raise ValueError("is blank")
    if len(title) > MAX_AE_TITLE_LENGTH:
        raise ValueError(f"has {len(title)} characters, and an AE title has at most {MAX_AE_TITLE_LENGTH}")
    if "\\" in title:
        raise ValueError("holds a backslash, which no AE title may")
    if not title.isascii() or not title.isprintable():
        raise ValueError("holds a character that is not printable ASCII")
    return title


def ae_title_or_any(value: str) -> str:
    """Return an AE title, or ``*`` for any."""
    return ANY_AE_TITLE if value.strip(" ") == ANY_AE_TITLE else ae_title(value)


def host(value: str) -> str:
    """Return an IP address or a host name."""
    name = value.strip()
    try:
        return str(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    if not _HOST_NAME.fullmatch(name) or re.fullmatch(r"[0-9.]+", name):
        raise ValueError("is neither an IP address nor a host name")
    return name


def network(value: str) -> str:
    """Return an address or a range in CIDR notation as the range it stands for."""
    try:
        return str(ipaddress.ip_network(value.strip(), strict=False))
    except ValueError:
        raise ValueError("is neither an IP address nor a range such as 10.1.0.0/16") from None


def certificate(value: str) -> str:
    """Return how a certificate is named: by its SHA-256 fingerprint, or by the name it was issued to."""
    entry = value.strip()
    if entry.lower().startswith("sha256:"):
        digits = entry[7:].strip().partition(" ")[0].replace(":", "").lower()
        if not re.fullmatch(r"[0-9a-f]{64}", digits):
            raise ValueError("is no SHA-256 fingerprint, which is sha256: and 64 hexadecimal digits")
        return f"sha256:{digits}"
    if not entry or len(entry) > MAX_NAME_LENGTH or not entry.isprintable() or "*" in entry:
        raise ValueError("is neither a fingerprint (sha256:…) nor the name in a certificate, without *")
    return entry


def plain_name(value: str) -> str:
    """Return a name of letters, digits, dot, dash and underscore: it becomes part of file names and ids."""
    if not _PLAIN_NAME.fullmatch(value):
        raise ValueError("is not a name of 1 to 63 letters, digits, dots, dashes and underscores")
    return value


def default_worker_id() -> str:
    """Return an executor id that is unique and stable for the first worker of this host."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).strip("-.")[:60] or "host"
    return f"{name}-w1"


def token(value: str) -> str:
    """Return a token that is long enough not to be guessed."""
    if len(value) < MIN_TOKEN_LENGTH:
        raise ValueError(f"has {len(value)} characters, and fewer than {MIN_TOKEN_LENGTH} can be guessed")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("holds a space or a character that an HTTP header cannot carry")
    return value


def command(value: str) -> str:
    """Return a command that can be taken apart into a program and its arguments."""
    try:
        parts = shlex.split(value)
    except ValueError:
        raise ValueError("has a quote that does not end") from None
    if not parts:
        raise ValueError("is blank")
    return value


def folder(value: Path) -> Path:
    """Return the absolute path of a folder, which need not exist yet."""
    path = Path(value).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError("is a file, not a folder")
    return path


def existing_folder(value: Path) -> Path:
    """Return the absolute path of a folder that is there."""
    path = folder(value)
    if not path.is_dir():
        raise ValueError("does not exist")
    return path


def file(value: Path) -> Path:
    """Return the absolute path of a file, which need not exist yet."""
    path = Path(value).expanduser().absolute()
    if path.is_dir():
        raise ValueError("is a folder, not a file")
    return path


def database_url(value: str) -> str:
    """Return a URL of one of the two databases we run on. Its text never stands in an error: it may hold a password."""
    scheme, _, rest = value.partition("://")
    if scheme == "sqlite":
        path = rest.removeprefix("/")
        if not rest.startswith("/") or path in {"", ":memory:"}:
            raise ValueError("names no file, and a database in memory cannot be shared by our processes")
        return f"sqlite:///{Path(path).expanduser().absolute()}"
    if scheme != "postgresql+psycopg":
        raise ValueError("is neither a SQLite file nor a PostgreSQL database")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL that can be read") from None
    if not parts.path.strip("/"):
        raise ValueError("names no database after the host")
    return value


def blob_url(value: str) -> str:
    """Return a URL of a folder or of a bucket of an S3-compatible store."""
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("is not a URL that can be read") from None
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
            raise ValueError("names no folder by an absolute path")
        return value
    if parts.scheme != "s3":
        raise ValueError("is neither a folder nor an S3 bucket")
    if not parts.netloc or "@" in parts.netloc:
        raise ValueError("does not begin with the name of a bucket alone")
    return value


def without_password(url: str) -> str:
    """Return a URL as it may be shown: the password and what the query holds are hidden."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    if not parts.netloc:
        return url.partition("?")[0]
    user, at, address = parts.netloc.rpartition("@")
    if ":" in user:
        user = f"{user.partition(':')[0]}:***"
    return urlunsplit((parts.scheme, f"{user}{at}{address}", parts.path, "***" if parts.query else "", ""))
