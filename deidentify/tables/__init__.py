"""Tables of the DICOM Standard as data (facts, © NEMA; no prose), each with its edition.

=======================================  ==========================================================  ========
file                                     content                                                     edition
=======================================  ==========================================================  ========
``ps3.15_table_E.1-1.json``              action per attribute                                        2026d
``ps3.15_table_E.3.10-1_safe_private.json`` safe private elements, by creator, group and offset     2026d
``ps3.15_table_E.3.4-1_sr_content…json``  action per SR content item concept                          2026c
``ps3.16_cid_7050.json``                 de-identification method codes                              2026d
``iod_types.bin``                        Type by SOP class and attribute path, from PS3.3            2026b
=======================================  ==========================================================  ========

``iod_types.bin`` is made by ``tools/derive_iod_types.py`` from the package data of highdicom 0.28.2.
"""

import json
import struct
import zlib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

EDITION = "2026d"

OPTION_COLUMNS = (
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "retain_longitudinal_full_dates",
    "retain_longitudinal_modified_dates",
    "clean_descriptors",
    "clean_structured_content",
    "clean_graphics",
)
"""The options that have a column in the tables for single attributes, as named there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """One attribute or SR concept: its Basic Profile code and the codes of the options that have one."""

    basic: str
    options: dict[str, str]
    vr: str = ""
    in_composite_iod: bool = True


def _load(name: str) -> Any:
    return json.loads(files(__name__).joinpath(name).read_bytes())


def _row(row: dict[str, Any]) -> ActionRow:
    options = {name: row[name] for name in OPTION_COLUMNS if row.get(name)}
    return ActionRow(
        basic=row["basic_profile"],
        options=options,
        vr=row.get("vr") or "",
        in_composite_iod=bool(row.get("in_std_composite_iod", True)),
    )


@cache
def attribute_rows() -> dict[int, ActionRow]:
    """Return tag → row of Table E.1-1; its repeating groups and private attributes are handled by group number."""
    rows = _load("ps3.15_table_E.1-1.json")["rows"]
    return {int(row["group"] + row["element"], 16): _row(row) for row in rows if row["tag_kind"] == "single"}


@cache
def concept_rows() -> dict[tuple[str, str], dict[str, ActionRow]]:
    """Return (coding scheme, code value) → Value Type → row of Table E.3.4-1; some concepts have a row for several."""
    found: dict[tuple[str, str], dict[str, ActionRow]] = {}
    for row in _load("ps3.15_table_E.3.4-1_sr_content_items.json")["rows"]:
        found.setdefault((row["coding_scheme"], row["code_value"]), {})[row["value_type"]] = _row(row)
    return found


@cache
def concepts_by_meaning() -> dict[str, tuple[str, str]]:
    """Return Code Meaning, in lower case → (coding scheme, code value) of the concepts of Table E.3.4-1."""
    rows = _load("ps3.15_table_E.3.4-1_sr_content_items.json")["rows"]
    return {row["code_meaning"].casefold(): (row["coding_scheme"], row["code_value"]) for row in reversed(rows)}


@cache
def safe_private_rows() -> dict[tuple[str, int, int], str]:
    """Return (Private Creator, group, last two digits of the element) → VR of Table E.3.10-1; empty where it has none.

    Two creators are listed without a VR for some elements, and some with two ("OW/OB").
    """
    rows = _load("ps3.15_table_E.3.10-1_safe_private.json")["rows"]
    return {
        (row["private_creator"], int(row["group"], 16), int(row["element_offset"], 16)): row["vr"] or "" for row in rows
    }


@cache
def method_codes() -> dict[str | None, tuple[str, str]]:
    """Return option (None: the Basic Profile) → (code value, code meaning) of CID 7050."""
    rows = _load("ps3.16_cid_7050.json")["rows"]
    return {row["option"]: (row["code_value"], row["code_meaning"]) for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class IodTypes:
    """The Type of each attribute in one IOD."""

    pairs: dict[str, str] = field(repr=False)
    paths: dict[str, str] = field(repr=False)

    def type_of(self, path: tuple[int, ...], tag: int) -> str | None:
        """Return "1", "1C", "2", "2C" or "3"; None where the IOD does not have the attribute there."""
        if self.paths and len(path) > 1:
            exact = self.paths.get("".join([f"{step:08X}" for step in path]) + f"{tag:08X}")
            if exact is not None:
                return exact
        return self.pairs.get(f"{path[-1]:08X}{tag:08X}" if path else f"{tag:08X}")


@cache
def _iod_container() -> tuple[dict[str, Any], bytes]:
    raw = files(__name__).joinpath("iod_types.bin").read_bytes()
    (size,) = struct.unpack_from("<I", raw)
    return json.loads(zlib.decompress(raw[4 : 4 + size])), raw[4 + size :]


# Retired classes whose attributes are those of their successors.
_SUCCESSORS = {
    "1.2.840.10008.5.1.4.1.1.3": "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.5": "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.6": "1.2.840.10008.5.1.4.1.1.6.1",
}


@cache
def iod_types(sop_class_uid: str) -> IodTypes | None:
    """Return the types of a SOP class; None where PS3.3 2026b gives none."""
    index, blocks = _iod_container()
    iod = index["sop_classes"].get(_SUCCESSORS.get(sop_class_uid, sop_class_uid))
    if iod is None:
        return None
    offset, size = index["iods"][iod]
    block = json.loads(zlib.decompress(blocks[offset : offset + size]))
    return IodTypes(pairs=block["pairs"], paths=block["paths"])
