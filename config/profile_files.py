"""Profiles as files: the site's own folder first, then those that we ship."""

import re
from collections.abc import Callable
from pathlib import Path

from config.errors import ConfigError
from config.recipe_files import named_in, recipe_document
from config.settings import SHIPPED_PROFILES, Settings

BASIC = "basic"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_MOST_PROFILES = 8


def profile_text(name: str, settings: Settings) -> str:
    """Return the YAML text of a profile, behind it those that it is built on.

    Raises
    ------
    ConfigError
        When there is no such profile, or it cannot be read.
    """
    path = _path_of(name, settings)
    if path is None:
        raise ConfigError([f"profile: {unknown_profile(name, settings)}"])
    return with_bases(read_text(path), settings, path.parent)


def with_bases(
    text: str,
    settings: Settings,
    folder: Path | None = None,
    published: Callable[[str], str | None] = lambda _name: None,
) -> str:
    """Return a profile's text with its recipe and with the profiles that it is built on, each a YAML document.

    What is there already is not added again, so that a text which came from here stays as it is. A base or a recipe
    that is not there, and a circle of bases, are left to whoever reads the profile to complain of.

    Parameters
    ----------
    text
        The profile; with some of those that it is built on, the last one of them goes on from there.
    settings
        Where profiles lie.
    folder
        Where the profile lies, and so its recipe; None for a text that is no file.
    published
        Returns the whole text that a name was published with, its bases behind it, or None; it goes before the file.

    Raises
    ------
    ConfigError
        When a file cannot be read.
    """
    texts: list[str] = []
    seen: set[str] = set()
    count = 0
    while True:
        texts.append(text)
        named = named_in(text)
        profiles = [one for one in named if not one.is_recipe]
        count += len(profiles)
        if not profiles:
            break
        last = profiles[-1]
        if folder is not None and last.recipe and named[-1] is last and (recipe := recipe_document(folder, last)):
            texts.append(recipe)
        seen |= {one.name for one in profiles[1:]}
        is_another = _NAME.fullmatch(last.base) is not None and last.base not in {BASIC, *seen}
        if is_another and count < _MOST_PROFILES and (whole := published(last.base)) is not None:
            texts.append(whole)
            break
        path = _path_of(last.base, settings) if is_another else None
        if path is None or count >= _MOST_PROFILES:
            break
        seen.add(last.base)
        text, folder = read_text(path), path.parent
    return texts[0] if len(texts) == 1 else "\n---\n".join(one.rstrip("\n") for one in texts) + "\n"


def with_recipe(text: str, folder: Path) -> str:
    """Return a profile's text with the recipe that lies beside it, and without the profiles that it is built on.

    Raises
    ------
    ConfigError
        When the recipe cannot be read.
    """
    named = named_in(text)
    if not named or named[-1].is_recipe or not named[-1].recipe:
        return text
    recipe = recipe_document(folder, named[-1])
    return f"{text.rstrip(chr(10))}\n---\n{recipe.rstrip(chr(10))}\n" if recipe else text


def _path_of(name: str, settings: Settings) -> Path | None:
    paths = (folder / f"{name}.yaml" for folder in _folders(settings))
    return next((path for path in paths if path.is_file()), None)


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
    return _path_of(name, settings) is not None


def unknown_profile(name: str, settings: Settings) -> str:
    """Return a sentence that says which profiles there are."""
    known = ", ".join(sorted(profile_names(settings)))
    return f"there is no profile {name!r}; name one of: {known or 'none is there'}."


def _folders(settings: Settings) -> list[Path]:
    return [*([settings.profiles_dir] if settings.profiles_dir else []), SHIPPED_PROFILES]
