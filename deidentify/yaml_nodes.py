"""YAML as nodes that know their lines, bounded before anything is built of it.

No anchors and aliases: what is written once and meant often is how a small file becomes a large one, or a circle.
"""

from typing import NoReturn

import yaml

from deidentify.errors import ProfileError

MOST_BYTES = 1_000_000
MOST_NODES = 60_000
DEEPEST = 12
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(text: str) -> list[tuple[yaml.Node, int]]:
    """Return the root node of each document of a text, and the number of lines before it; none for an empty text.

    Raises
    ------
    ProfileError
        If it is no YAML, or larger, deeper or more entangled than a profile.
    """
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise ProfileError(f"line {line}: half of a surrogate pair is no character of any text") from None
    if size > MOST_BYTES:
        raise ProfileError(f"line 1: the text has more than {MOST_BYTES:,} bytes; a profile has some thousand")
    try:
        starts = _check_events(text)
        nodes = list(yaml.compose_all(text, Loader=_Loader))
        # A text that begins with "---" makes an empty document where it stands behind another one; its lines count.
        starts = [
            starts[number - 1] if number > 1 and _is_nothing(nodes[number - 1]) else start
            for number, start in enumerate(starts)
        ]
        return [(node, start) for node, start in zip(nodes, starts, strict=True) if not _is_nothing(node)]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProfileError(f"line {line}: this is not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ProfileError("line 1: this is not YAML") from None


def _is_nothing(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and not node.value)


def _check_events(text: str) -> list[int]:
    """Refuse what no profile is; return how many lines stand before each document."""
    depth = nodes = 0
    starts: list[int] = []
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ProfileError(f"line {line}: anchors and aliases (& and *) are no part of a profile; write it out")
        if isinstance(event, yaml.DocumentStartEvent):
            starts.append(line if event.explicit and starts else 0)
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST or nodes > MOST_NODES:
            what = f"deeper than {DEEPEST} levels" if depth > DEEPEST else f"of more than {MOST_NODES:,} values"
            raise ProfileError(f"line {line}: the text is {what}; no profile is")
    return starts


def fail(node: yaml.Node, sentence: str) -> NoReturn:
    """Refuse what stands at a node.

    Raises
    ------
    ProfileError
        With the line.
    """
    raise ProfileError(f"line {line_of(node)}: {sentence}")


def line_of(node: yaml.Node) -> int:
    """Return the line of a node, from 1."""
    return int(node.start_mark.line) + 1 if node.start_mark else 1


def text_of(node: yaml.Node) -> str:
    """Return a single value as it is written."""
    if not isinstance(node, yaml.ScalarNode):
        fail(node, "here must stand a single value")
    return str(node.value)


def list_of(node: yaml.Node, what: str) -> list[yaml.Node]:
    """Return the nodes of a list."""
    if not isinstance(node, yaml.SequenceNode):
        fail(node, f"{what} must be a list")
    return list(node.value)


def texts_of(node: yaml.Node, what: str) -> list[tuple[str, yaml.Node]]:
    """Return one value, or those of a list, with their nodes."""
    nodes = [node] if isinstance(node, yaml.ScalarNode) else list_of(node, what)
    if not nodes:
        fail(node, f"{what} is an empty list; leave the key out, or say something")
    return [(text_of(one), one) for one in nodes]


def mapping_of(
    node: yaml.Node, allowed: tuple[str, ...], what: str, faults: list[str] | None = None
) -> dict[str, yaml.Node]:
    """Return the values of keys and values, by key; a key that is not allowed or stands twice is refused.

    With ``faults`` such keys are added to these instead, and the others are returned.
    """
    if not isinstance(node, yaml.MappingNode):
        fail(node, f"the {what} must be keys and values")
    fields: dict[str, yaml.Node] = {}
    for key_node, value_node in node.value:
        key, fault = text_of(key_node), ""
        if key not in allowed:
            fault = f"unknown key {key!r} in the {what}; there are: {', '.join(allowed)}"
        elif key in fields:
            fault = f"key {key!r} stands twice"
        if fault and faults is None:
            fail(key_node, fault)
        if fault and faults is not None:
            faults.append(f"line {line_of(key_node)}: {fault}")
            continue
        fields[key] = value_node
    return fields


def is_true(node: yaml.Node) -> bool:
    """Return a truth value."""
    value = text_of(node)
    if value not in {"true", "false"}:
        fail(node, f"here must stand true or false, not {value!r}")
    return value == "true"
