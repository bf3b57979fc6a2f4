"""Derive ``deidentify/tables/iod_types.bin`` from the table of IODs, modules and attribute types of PS3.3.

    python tools/derive_iod_types.py ps3.3_iod_modules_types.json.gz deidentify/tables/iod_types.bin

The result is an index and one compressed block per IOD, so that a SOP class costs a millisecond when first met. A block
maps (sequence tag, tag) to the strictest Type that any module of the IOD gives it there; where paths of one IOD differ,
the block also holds the full paths.
"""

import gzip
import json
import struct
import sys
import zlib
from collections import defaultdict
from pathlib import Path

from pydicom.datadict import tag_for_keyword

STRICTNESS = ["1", "2", "1C", "2C", "3"]
"""A conditional attribute that is there is treated as required: the condition may hold."""


def block_of(modules: list[list[str]], attributes: dict[str, list[list[str | None]]]) -> dict[str, dict[str, str]]:
    """Return the types of one IOD: by (sequence, tag), and by full path where that is not enough."""
    by_path: dict[tuple[int, ...], str] = {}
    for module, _usage, _entity in modules:
        for path, stated in attributes.get(module, ()):
            tags = tuple(tag_for_keyword(keyword) or 0 for keyword in str(path).split("/"))
            if 0 in tags:
                continue
            kind = stated if stated in STRICTNESS else "3"
            known = by_path.get(tags)
            if known is None or STRICTNESS.index(kind) < STRICTNESS.index(known):
                by_path[tags] = kind
    pairs: dict[str, set[str]] = defaultdict(set)
    for tags, kind in by_path.items():
        pairs[key_of(tags[-2:])].add(kind)
    unclear = {pair for pair, kinds in pairs.items() if len(kinds) > 1}
    paths = {key_of(tags): kind for tags, kind in by_path.items() if key_of(tags[-2:]) in unclear}
    return {"pairs": {key: min(kinds, key=STRICTNESS.index) for key, kinds in pairs.items()}, "paths": paths}


def key_of(tags: tuple[int, ...]) -> str:
    """Return a path as hexadecimal digits, eight a tag."""
    return "".join(f"{tag:08X}" for tag in tags)


def main(origin: Path, target: Path) -> None:
    """Write the table."""
    with gzip.open(origin) as stream:
        table = json.load(stream)
    blocks, places, offset = [], {}, 0
    for iod, modules in sorted(table["iod_to_modules"].items()):
        text = json.dumps(block_of(modules, table["module_to_attributes"]), sort_keys=True, separators=(",", ":"))
        packed = zlib.compress(text.encode(), 9)
        places[iod] = [offset, len(packed)]
        offset += len(packed)
        blocks.append(packed)
    index = {
        "table": "PS3.3 attribute types by IOD",
        "edition": table["edition"],
        "via": table["via"],
        "sop_classes": table["sop_class_to_iod"],
        "iods": places,
    }
    head = zlib.compress(json.dumps(index, sort_keys=True, separators=(",", ":")).encode(), 9)
    target.write_bytes(struct.pack("<I", len(head)) + head + b"".join(blocks))
    print(f"{target}: {len(places)} IODs, {offset} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
