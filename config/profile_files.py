"""Profiles as files: the site's own folder first, then those that we ship."""

import re
from collections.abc import Callable
from pathlib import Path

from config.errors import ConfigError
from config.settings import SHIPPED_PROFILES, Settings

BASIC = "basic"
_NAME = r"""[ \t]*:[ \t]*["']?([a-z0-9][a-z0-9-]{0,39})["']?[ \t]*"""
_BASE = re.compile(rf"^base{_NAME}(?:#.*)?\r?$", re.MULTILINE)
_BASE_IN_BRACES = re.compile(rf"[{{,]\s*base{_NAME}(?=[,}}\r\n])")
_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_MOST_BASES = 7


def profile_text(name: str, settings: Settings) -> str:
    """Return the YAML text of a profile, behind it those that it is built on.

    Raises
    ------
    ConfigError
        When there is no such profile, or it cannot be read.
    """
    return with_bases(_text_of(name, settings), settings)


def with_bases(text: str, settings: Settings, published: Callable[[str], str | None] = lambda _name: None) -> str:
    """Return a profile's text with those of the profiles that it is built on, each a YAML document.

    A base that is not there, and a circle of bases, are left to whoever reads the profile to complain of.

    Parameters
    ----------
    text
        The profile; with some of those that it is built on, the last one of them goes on from there.
    settings
        They name the folder of the site's profiles.
    published
        Returns the whole text that a name was published with, its bases behind it, or None; it goes before the file.

    Raises
    ------
    ConfigError
        When a file cannot be read.
    """
    texts, seen, last = [text], set[str](), _last_document(text)
    while len(texts) <= _MOST_BASES:
        found = (_BASE_IN_BRACES if last.lstrip().startswith("{") else _BASE).search(last)
        if found is None or found[1] == BASIC or found[1] in seen:
            break
        if (whole := published(found[1])) is not None:
            texts.append(whole)
            break
        if not has_profile(found[1], settings):
            break
        seen.add(found[1])
        texts.append(_text_of(found[1], settings))
        last = _last_document(texts[-1])
    return texts[0] if len(texts) == 1 else "\n---\n".join(one.rstrip("\n") for one in texts) + "\n"


def _last_document(text: str) -> str:
    """Return the last document of a text that says something."""
    documents = [one for one in _DOCUMENT.split(text) if one.strip()]
    return documents[-1] if documents else text


def _text_of(name: str, settings: Settings) -> str:
    for folder in _folders(settings):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return read_text(path)
    raise ConfigError([f"profile: {unknown_profile(name, settings)}"])


def read_text(path: Path) -> str:
    """Return what a profile file holds.

    Raises
    ------
    ConfigError
        When it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"Profile file {path}: cannot be read ({type(error).__name__}); make it a readable UTF-8 text."
        raise ConfigError([fault]) from None


def profile_names(settings: Settings) -> dict[str, Path]:
    """Return the name of each profile and its file."""
    return {path.stem: path for folder in reversed(_folders(settings)) for path in sorted(folder.glob("*.yaml"))}


def has_profile(name: str, settings: Settings) -> bool:
    """Tell whether there is a profile of this name."""
    return any((folder / f"{name}.yaml").is_file() for folder in _folders(settings))


def unknown_profile(name: str, settings: Settings) -> str:
    """Return a sentence that says which profiles there are."""
    known = ", ".join(sorted(profile_names(settings)))
    return f"there is no profile {name!r}; name one of: {known or 'none is there'}."


def _folders(settings: Settings) -> list[Path]:
    return [*([settings.profiles_dir] if settings.profiles_dir else []), SHIPPED_PROFILES]
