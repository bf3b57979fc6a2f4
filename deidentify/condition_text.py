"""Conditions on the original's header as they are written."""

import yaml

from deidentify.dataset import PIXEL_TAGS, tag_text
from deidentify.dictionary import keyword_tags, vr_table
from deidentify.rules import MOST_OF_A_PATTERN, Condition, Tags, compiled
from deidentify.vocabulary import folded
from deidentify.yaml_nodes import fail, is_true, list_of, mapping_of, text_of, texts_of

MOST_PATTERNS = 200
"""Regular expressions of one profile with those that it is built on."""
CONDITION_KEYS = ("tag", "keyword", "is", "contains", "matches", "present", "not")
_KINDS = ("is", "contains", "matches", "present")


class ConditionText:
    """Reads conditions, and counts the regular expressions: each takes time to be made ready, and memory."""

    def __init__(self) -> None:
        self._patterns = 0

    def conditions(self, node: yaml.Node) -> tuple[Condition, ...]:
        """Return conditions, all of which have to hold."""
        nodes = [node] if isinstance(node, yaml.MappingNode) else list_of(node, "when")
        if not nodes:
            fail(node, "when is an empty list; leave the key out, or name a condition")
        return tuple(self._condition(one) for one in nodes)

    def _condition(self, node: yaml.Node) -> Condition:
        fields = mapping_of(node, CONDITION_KEYS, "condition")
        named = [key for key in ("tag", "keyword") if key in fields]
        kinds = [key for key in _KINDS if key in fields]
        if len(named) != 1 or len(kinds) != 1:
            fail(node, f"a condition has one of tag and keyword, and one of {', '.join(_KINDS)}")
        kind, tag = kinds[0], tag_of(fields[named[0]])
        value = fields[kind]
        if kind != "present" and (vr_table().get(tag) == "SQ" or tag in PIXEL_TAGS):
            fail(value, f"{tag_text(tag)} has no value that could be compared; a condition on it says present")
        if kind == "present":
            values: tuple[str, ...] = ("true" if is_true(value) else "false",)
        elif kind == "matches":
            values = tuple(self._pattern(text, place) for text, place in texts_of(value, kind))
        else:
            values = tuple(_compared(text, place) for text, place in texts_of(value, kind))
        return Condition(tag=tag, kind=kind, values=values, is_negated="not" in fields and is_true(fields["not"]))

    def _pattern(self, text: str, node: yaml.Node) -> str:
        self._patterns += 1
        if self._patterns > MOST_PATTERNS:
            fail(node, f"there are more than {MOST_PATTERNS} regular expressions; 'is' and 'contains' need none")
        if len(text) > MOST_OF_A_PATTERN:
            fail(node, f"a regular expression has at most {MOST_OF_A_PATTERN} characters")
        try:
            compiled(text)
        except ValueError as error:
            fail(node, f"{error}; look back and large repeat counts are no part of it")
        return text


def tag_of_keyword(node: yaml.Node) -> int:
    """Return the tag of a keyword of the data dictionary."""
    keyword = text_of(node)
    tag = keyword_tags().get(keyword)
    if tag is None:
        alike = next((known for known in keyword_tags() if known.casefold() == keyword.casefold()), "")
        mend = f"; did you mean {alike}?" if alike else "; PS3.6 lists them, or give its tag"
        fail(node, f"there is no attribute with the keyword {keyword!r}{mend}")
    return tag


def tag_of(node: yaml.Node) -> int:
    """Return the tag that is written as such or as a keyword."""
    text = text_of(node)
    if not text.startswith("("):
        return tag_of_keyword(node)
    tags = Tags.of(text)
    if tags is None or not tags.is_exact:
        fail(node, 'a tag is written "(gggg,eeee)" with hexadecimal digits')
    return tags.value


def _compared(text: str, node: yaml.Node) -> str:
    plain = folded(text).strip()
    if not plain:
        fail(node, "nothing to compare with; use present: false for what has no value")
    return plain
