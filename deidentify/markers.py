"""What the written instance says of its own de-identification: only what was really done (PS3.15 §E.2, CID 7050)."""

from deidentify.dataset import Element, Encoding
from deidentify.decisions import PRIVATE_CHARACTERISTICS
from deidentify.profile import Profile
from deidentify.results import PixelVerdict, ScreenReport
from deidentify.tables import EDITION, method_codes

CLEAN_VISUAL_FEATURES = "clean_recognizable_visual_features"
_OF_THE_SCREEN = frozenset(("clean_pixel_data", CLEAN_VISUAL_FEATURES))
_READ = frozenset((PixelVerdict.CLEAR, PixelVerdict.REDACT))
_TEMPORAL = {"shift": b"MODIFIED", "remove": b"REMOVED", "keep": b"UNMODIFIED"}

PrivateBlock = tuple[int, str]
"""Group and Private Creator."""


def executed_options(profile: Profile, screen: ScreenReport, matter: dict[str, bool]) -> list[str | None]:
    """Return what was done here and by the screen, not what the profile wished for; None is the Basic Profile.

    ``matter`` tells of options that have something to do in some instances only whether this is one.
    """
    done = {option for option in profile.options if option not in _OF_THE_SCREEN and matter.get(option, True)}
    if screen.verdict in _READ:
        done.add("clean_pixel_data")
        if screen.visual_features_cleaned:
            done.add(CLEAN_VISUAL_FEATURES)
    return [None, *sorted(done, key=lambda option: method_codes()[option])]


def markers(
    profile: Profile,
    screen: ScreenReport,
    options: list[str | None],
    blocks: tuple[PrivateBlock, ...],
    encoding: Encoding,
) -> list[Element]:
    """Return the elements that say what was done."""
    codes = [method_codes()[option] for option in options]
    done = [
        Element(0x00120062, "CS", b"NO" if screen.verdict is PixelVerdict.NOT_EVALUATED else b"YES"),
        Element(0x00120063, "LO", _method(profile).encode()),
        Element(0x00120064, "SQ", items=[_code(value, meaning) for value, meaning in codes]),
        Element(0x00280303, "CS", _TEMPORAL[profile.dates]),
    ]
    if screen.verdict in _READ:
        done.append(Element(0x00280301, "CS", b"NO"))
    if CLEAN_VISUAL_FEATURES in options:
        done.append(Element(0x00280302, "CS", b"NO"))
    if blocks:
        items = [_characteristics(group, creator, little=encoding.little) for group, creator in blocks]
        done.append(Element(PRIVATE_CHARACTERISTICS, "SQ", items=items))
    return done


def _method(profile: Profile) -> str:
    """Return 64 characters at most, with the whole revision: a name can be cut, a hash cannot."""
    tool = f"Casebridge, PS3.15 {EDITION}, "
    return f"{tool}{profile.name[: 63 - len(tool) - len(profile.revision)]} {profile.revision}"


def _code(value: str, meaning: str) -> list[Element]:
    return [
        Element(0x00080100, "SH", value.encode()),
        Element(0x00080102, "SH", b"DCM"),
        Element(0x00080104, "LO", meaning.encode()[:64]),
    ]


def _characteristics(group: int, creator: str, *, little: bool) -> list[Element]:
    """Say of a block that it is safe: all of its elements that are not listed as safe have been removed."""
    return [
        Element(0x00080301, "US", group.to_bytes(2, "little" if little else "big")),
        Element(0x00080302, "LO", creator.encode()),
        Element(0x00080303, "CS", b"SAFE"),
    ]
