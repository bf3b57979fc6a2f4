"""Names of files and folders that every file system takes, made of the clean values of a case."""

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["Siblings", "safe_name"]

MAX_CHARS = 60
"""Of one name: three of them with a folder of the reader's own stay below the 260 characters of Windows."""
_UNSAFE = re.compile(r"[^A-Za-z0-9+_.-]+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9]) *(?:\..*)?", re.ASCII | re.IGNORECASE)
"""Names of devices, which Windows takes for no file, whatever follows behind a dot."""
# Letters that Unicode has no parts of.
_SPELLED = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "Oe", "ł": "l", "Ł": "L"}
)


def safe_name(words: Iterable[str], *, otherwise: str) -> str:
    """Return words as one name in ASCII: the same on every system, whatever it unpacks with.

    Parameters
    ----------
    words
        Values of the case; what is empty is left out, and so is what has no letter of ASCII.
    otherwise
        The name where nothing is left.
    """
    parts = unicodedata.normalize("NFKD", " ".join(words).translate(_SPELLED))
    plain = _UNSAFE.sub(" ", "".join(part for part in parts if not unicodedata.combining(part)))
    name = plain.lstrip(" .-")[:MAX_CHARS].rstrip(" .")
    if not name:
        return otherwise
    return f"{name}_" if _RESERVED.fullmatch(name) else name


class Siblings:
    """The names of one folder: none is there twice, also where capitals make no difference."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> str:
        """Return the name, or with a number behind where it is taken."""
        found, number = name, 1
        while found.lower() in self._taken:
            number += 1
            found = f"{name[: MAX_CHARS - 6].rstrip(' .')}-{number}"
        self._taken.add(found.lower())
        return found
