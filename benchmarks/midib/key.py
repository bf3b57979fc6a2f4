"""The answer key: what has to become of each planted or useful value, by the ten actions of MIDI-B."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path as FilePath

from pydicom import DataElement, Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.tag import Tag

from benchmarks.midib.people import Person, Secret

__all__ = ["Action", "Answer", "Case", "Instance", "Path", "Step", "found", "leaves", "path_text"]


class Action(StrEnum):
    """The check types of MIDI-B's scorer."""

    TAG_RETAINED = "tag_retained"
    TEXT_NOTNULL = "text_notnull"
    TEXT_RETAINED = "text_retained"
    TEXT_REMOVED = "text_removed"
    DATE_SHIFTED = "date_shifted"
    UID_CHANGED = "uid_changed"
    UID_CONSISTENT = "uid_consistent"
    PATID_CONSISTENT = "patid_consistent"
    PIXELS_RETAINED = "pixels_retained"
    PIXELS_HIDDEN = "pixels_hidden"


Step = int | tuple[int, str, int]
"""A tag, the number of an item, or (group, private creator, element without its block)."""
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one element has to be afterwards."""

    action: Action
    path: Path
    value: str = ""
    """As it was; of text, the part that the action is about."""
    or_else: tuple[str, ...] = ()
    """What says the same: of a code, the meaning that PS3.16 gives it."""
    words: tuple[str, ...] = ()
    """Of useful text, the words that count one by one."""
    why: str
    """The clause that says so, or where the value comes from."""
    is_sealed: bool = False
    is_required: bool = True
    """Whether absence is a failure of a relation: False in sequences that the Basic Profile may remove."""


@dataclass(slots=True, kw_only=True)
class Instance:
    """One generated file and its answers."""

    file: str
    """Relative to the folder of the generated files."""
    sop_instance_uid: str
    study: int
    answers: list[Answer] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Case:
    """The studies of one patient: what is de-identified together, and keeps its relations."""

    name: str
    person: Person
    secrets: list[Secret]
    instances: list[Instance] = field(default_factory=list)

    def file(self, root: FilePath, instance: Instance) -> FilePath:
        """Return where an instance lies below a folder of generated files or of a tool's output."""
        return root / instance.file


def path_text(path: Path) -> str:
    """Return a path to be read by people."""
    parts = []
    for step in path:
        if isinstance(step, tuple):
            parts.append(f"({step[0]:04X},{step[1]},{step[2]:02X})")
        elif step < 1 << 16:
            parts.append(f"[{step}]")
        else:
            parts.append(keyword_for_tag(step) or f"({step >> 16:04X},{step & 0xFFFF:04X})")
    return ".".join(parts)


def found(data: Dataset, path: Path) -> list[DataElement]:
    """Return the element at a path, as a list of one; below Content Sequence, where items may go, all that match."""
    sets = [data]
    is_content = False  # content items are removed by Table E.3.4-1, so that those behind them move up
    for index, step in enumerate(path):
        if isinstance(step, int) and step < 1 << 16:
            continue
        elements = [element for one in sets if (element := _element(one, step)) is not None]
        if index == len(path) - 1:
            return elements
        number = path[index + 1]
        is_content = is_content or step == 0x0040A730
        sets = []
        for element in elements:
            items = list(element.value or []) if element.VR == "SQ" else []
            sets += items if is_content else items[number : number + 1]  # type: ignore[misc]
    return []


def _element(data: Dataset, step: Step) -> DataElement | None:
    if isinstance(step, tuple):
        try:
            block = data.private_block(step[0], step[1])
            return block[step[2]] if step[2] in block else None  # noqa: SIM401 - a block has no get()
        except KeyError:
            return None
    return data[step] if step in data else None  # noqa: SIM401 - get() gives raw values of some tags


def leaves(data: Dataset, path: Path = ()) -> Iterator[tuple[Path, DataElement]]:
    """Yield every element that is no sequence, with its path; private ones by their creators."""
    for tag in sorted(data.keys()):
        try:
            element = data[tag]
        except Exception:  # noqa: BLE001 - what pydicom cannot read is nothing that the key can speak of
            continue
        step: Step = int(tag)
        if tag.is_private:
            if tag.is_private_creator or tag.element < 0x1000:
                continue
            creator = data.get(Tag(tag.group, tag.element >> 8))
            if creator is None:
                continue
            step = (tag.group, str(creator.value), tag.element & 0xFF)
        if element.VR == "SQ":
            for number, item in enumerate(element.value or []):
                yield from leaves(item, (*path, step, number))
        else:
            yield (*path, step), element
