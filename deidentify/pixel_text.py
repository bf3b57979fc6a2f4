"""The pixel part of the profile language: ``pixels: screen``, or what becomes of what the screen finds."""

import re
from dataclasses import replace

import yaml

from deidentify.errors import ProfileError
from deidentify.pixel_policy import DEFAULT_POLICY, Faces, OutsideRegions, PixelPolicy
from deidentify.vocabulary import folded
from deidentify.yaml_nodes import fail, line_of, list_of, mapping_of, text_of

SCREEN = "screen"
"""The value that stands for the defaults."""
TEXT_FATES = ("redact", "hold")
YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}
PIXEL_KEYS = ("text", "outside_ultrasound_regions", "device_masks", "faces", "words")
MOST_PIXEL_WORDS = 500
"""Of one profile with those that it is built on."""
SHORTEST_WORD, LONGEST_WORD = 2, 40
_MONTHS = "jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"
_LIKE_A_NUMBER = re.compile(rf"\d{{5,}}|(?:18|19|20)\d\d|\d(?:{_MONTHS})|(?:{_MONTHS})[a-z]*\d")


def pixel_policy_of(node: yaml.Node, base: PixelPolicy, faults: list[str]) -> PixelPolicy:
    """Read the value of ``pixels``.

    Parameters
    ----------
    node
        One value, which stands for the defaults, or keys and values.
    base
        What the profile is built on says; keys that are not there are taken from it, words are added to its words.
    faults
        What is wrong is added to these, each with its line, and the others are read all the same.

    Returns
    -------
    PixelPolicy
        That of the base but for what was said.
    """
    if not isinstance(node, yaml.MappingNode):
        if not isinstance(node, yaml.ScalarNode) or node.value != SCREEN:
            said = f"{node.value!r}" if isinstance(node, yaml.ScalarNode) else "a list"
            keys = ", ".join(PIXEL_KEYS)
            faults.append(f"line {line_of(node)}: pixels is {said}; it can be: {SCREEN}, or some of the keys {keys}")
        return DEFAULT_POLICY
    found = base
    for key, value in mapping_of(node, PIXEL_KEYS, "key 'pixels'", faults).items():
        try:
            found = _with(found, key, value)
        except ProfileError as error:
            faults.append(str(error))
    return found


def _with(policy: PixelPolicy, key: str, node: yaml.Node) -> PixelPolicy:
    if key == "text":
        return replace(policy, redacts=_one_of(node, key, TEXT_FATES) == "redact")
    if key == "outside_ultrasound_regions":
        return replace(policy, outside_regions=OutsideRegions(_one_of(node, key, tuple(OutsideRegions))))
    if key == "device_masks":
        return replace(policy, device_masks=YES_OR_NO[_one_of(node, key, tuple(YES_OR_NO))])
    if key == "faces":
        return replace(policy, faces=Faces(_one_of(node, key, tuple(Faces))))
    return replace(policy, words=policy.words | _words(node, len(policy.words)))


def _one_of(node: yaml.Node, key: str, allowed: tuple[str, ...]) -> str:
    value = text_of(node)
    if value not in allowed:
        fail(node, f"{key} is {value!r}; it can be: {', '.join(allowed)}")
    return value


def _words(node: yaml.Node, inherited: int) -> frozenset[str]:
    nodes = list_of(node, "words")
    if len(nodes) + inherited > MOST_PIXEL_WORDS:
        with_base = ", those of the base included" if inherited else ""
        fail(node, f"there are {len(nodes) + inherited:,} words{with_base}; at most {MOST_PIXEL_WORDS} are read")
    return frozenset(map(_word, nodes))


def _word(node: yaml.Node) -> str:
    """Return a word as it is compared. What could be a number, an initial or a date of somebody's is refused."""
    word = folded(text_of(node))
    if not word.isalnum() or not SHORTEST_WORD <= len(word) <= LONGEST_WORD:
        fail(node, f"a word has {SHORTEST_WORD} to {LONGEST_WORD} letters and digits, and nothing else")
    if not any(character.isalpha() for character in word):
        fail(node, "a word of digits alone would let a patient's number pass")
    if _LIKE_A_NUMBER.search(word):
        fail(node, "a word with a year, a month's day or five digits in a row would let dates and numbers pass")
    return word


def told(policy: PixelPolicy) -> tuple[str, ...]:
    """Return a policy as the profile language says it, key by key; of words only how many there are."""
    return (
        f"text: {'redact' if policy.redacts else 'hold'}",
        f"outside_ultrasound_regions: {policy.outside_regions}",
        f"device_masks: {'yes' if policy.device_masks else 'no'}",
        f"faces: {policy.faces}",
        f"words: {len(policy.words)}",
    )
