"""The tables of docs/profiles/*.md, made from the code. Written anew by: python -m tests.docs.profile_tables."""

import json
from collections import Counter
from functools import cache, partial
from pathlib import Path

from pydicom import Dataset
from pydicom.datadict import dictionary_description

from config import Settings, profile_text
from deidentify.dataset import tag_text
from deidentify.dictionary import keyword_tags
from deidentify.pixel_text import told
from deidentify.profile import KEEPABLE, Profile
from deidentify.profile_schema import schema
from deidentify.results import DropReason
from deidentify.tables import OPTION_COLUMNS, _load, attribute_rows, method_codes
from tests.builders import write_part10
from tests.deidentify.support import deidentified
from tests.docs.deidentification_tables import DROPS, example_instance, fate, shown_value, table, with_tables
from tests.tools import CHECKOUT

FOLDER = CHECKOUT / "docs/profiles"
SCHEMA = CHECKOUT / "docs/profile.schema.json"
NAMES = ("teaching", "strict", "research-dates")
REPORT_CLASS = "1.2.840.10008.5.1.4.1.1.88.11"

POLICIES = {
    "dates": {
        "shift": "back by one number of whole days a case; times of day stay",
        "keep": "stay as they are, times of day too; birth dates go",
        "remove": "go, times of day too",
    },
    "text": {
        "vocabulary": "keep known words",
        "remove": "go where Table E.1-1 names them; other text keeps known words all the same",
    },
    "private": {
        "remove": "go, all of them",
        "safe": "those that Table E.3.10-1 lists stay, each cleaned by its VR; all others go",
    },
    "pixels": {"screen": "every frame is read; what is found meets the fates below"},
    "age": {
        "remove": "not in the file; banded on the case",
        "band": "in bands of years, 90 for all above",
    },
}
"""What the values of the keys that choose mean."""
PIXELS = {
    "text": {
        "redact": "text that identifies becomes black and is shown to the owner; what cannot be read waits",
        "hold": "text that identifies waits for a person, as does what cannot be read",
    },
    "outside_ultrasound_regions": {
        "blank-but-safe-text": "black but for text that is known to be harmless",
        "blank": "black, all of it",
        "read": "read like the rest",
    },
    "device_masks": {
        "yes": "rectangles where a device is known to write become black, besides all that is found",
        "no": "the frame is read, and that is all",
    },
    "faces": {
        "warn": "photographs, and head volumes thin enough to render a face, are flagged for the owner",
        "hold": "photographs, and head volumes thin enough to render a face, wait for a person",
    },
    "words": {"0": "no words of the site are harmless when burned in"},
}
"""What the keys of the pixel policy mean, the default first."""
SUBJECTS = {
    "dates": "dates",
    "text": "descriptions",
    "private": "private elements",
    "pixels": "pixels",
    "age": "age",
}
NAMED_ONE_BY_ONE = ("retain_patient_characteristics", "retain_device_identity", "retain_institution_identity")
"""Options whose attributes a reader wants to see."""
EXAMPLE = (
    *("StudyDate", "StudyTime", "PatientBirthDate", "PatientAge", "PatientSex", "PatientWeight", "PatientName"),
    *("AccessionNumber", "InstitutionName", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber"),
    *("StationName", "StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments", "StudyInstanceUID"),
    "KVP",
)
SAFE_PRIVATE, OTHER_PRIVATE = 0x0019100C, 0x00291010


@cache
def text_of(name: str) -> str:
    return profile_text(name, Settings())


@cache
def profile(name: str) -> Profile:
    return Profile.from_yaml(text_of(name))


def chosen(name: str, key: str) -> str:
    """Return the value of a key that is in force, the key's own or that of an option."""
    found = profile(name)
    if key == "private":
        return "safe" if "retain_safe_private" in found.options else "remove"
    return "screen" if key == "pixels" else str(getattr(found, key))


def facts(name: str) -> str:
    rows = [f"| built on | `base` | {', '.join(f'`{base}`' for base in profile(name).bases) or '`basic`'} |"]
    for key, subject in SUBJECTS.items():
        value = chosen(name, key)
        rows.append(f"| {subject} | `{key}: {value}` | {POLICIES[key][value]} |")
    for line in told(profile(name).pixel_policy):
        key, value = line.split(": ")
        rows.append(f"| in pixels | `{line}` | {PIXELS[key][value]} |")
    return table("What | Key | In this profile", rows)


def options(name: str) -> str:
    counts: Counter[str] = Counter()
    for row in attribute_rows().values():
        counts.update(row.options.keys())
    rows = []
    for option, (value, meaning) in method_codes().items():
        if option is None:
            rows.append(f"| {meaning} | {value} | {len(attribute_rows())} |")
        elif option in profile(name).options:
            rows.append(f"| {meaning} | {value} | {counts[option] if option in OPTION_COLUMNS else '-'} |")
    return table("Profile and options | Code of CID 7050 | Attributes of Table E.1-1", rows)


def rules(name: str) -> str:
    if not profile(name).rules:
        return "None."
    rows = [f"| {rule.place} | {rule.subject} | {rule.action} | {rule.reason} |" for rule in profile(name).rules]
    return table("Where | Attribute | Code | Reason", rows)


def objects(name: str) -> str:
    rows = [f"| `{reason.value}` | {DROPS[reason]} | {becomes(name, reason)} |" for reason in DropReason]
    return table("Kind | What it is | What becomes of it", [*rows, f"| | structured reports | {report(name)} |"])


def becomes(name: str, reason: DropReason) -> str:
    found = profile(name)
    if reason in found.drop or reason is DropReason.PROFILE:
        return "left out"
    needed = KEEPABLE.get(reason)
    goes_on = reason in found.sop_classes.keep or (needed and needed in found.options)
    return "goes on" if goes_on else "held for a person"


def report(name: str) -> str:
    return "held for a person" if fate(REPORT_CLASS, profile(name)).startswith("held") else "go on"


def kept(name: str) -> str:
    """Name the attributes that options of people, devices and institutions keep or clean."""
    listed = _load("ps3.15_table_E.1-1.json")["rows"]
    words = {int(row["group"] + row["element"], 16): row["name"] for row in listed if row["tag_kind"] == "single"}
    rows = []
    for option in NAMED_ONE_BY_ONE:
        if option not in profile(name).options:
            continue
        for code, what in (("K", "kept"), ("C", "cleaned")):
            tags = [
                tag
                for tag, row in sorted(attribute_rows().items())
                if row.options.get(option) == code and profile(name).code(tag) == code
            ]
            named = ", ".join(words[tag] for tag in tags)
            if tags:
                rows.append(f"| {option.replace('_', '-')} | {what} | {len(tags)} | {named} |")
    return table("Option | What becomes of them | Number | Attributes", rows)


def example_with_private() -> Dataset:
    instance = example_instance()
    instance.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    instance.add_new(SAFE_PRIVATE, "IS", "1000")
    return instance


def example(name: str) -> str:
    """Take one invented image through the engine."""
    original = example_with_private()
    written = deidentified(write_part10(original), profile_text=text_of(name)).dataset
    tags = [keyword_tags()[keyword] for keyword in EXAMPLE]
    rows = []
    for tag in (*tags, SAFE_PRIVATE, OTHER_PRIVATE):
        private = {SAFE_PRIVATE: "a private element of Table E.3.10-1", OTHER_PRIVATE: "another private element"}
        called = private.get(tag) or dictionary_description(tag)
        rows.append(
            f"| {tag_text(tag)} {called} | {shown_value(original.get(tag))} | {shown_value(written.get(tag))} |"
        )
    return table("Attribute | Original | Written", rows)


TABLES = {"facts": facts, "options": options, "rules": rules, "objects": objects, "example": example}


def page(name: str) -> Path:
    return FOLDER / f"{name}.md"


def with_tables_of(name: str, text: str) -> str:
    """Return a profile's page with its tables made anew; the one of kept attributes where the page has a place."""
    tables = {**TABLES, "kept": kept} if any(one in profile(name).options for one in NAMED_ONE_BY_ONE) else TABLES
    return with_tables(text, {title: partial(make, name) for title, make in tables.items()})


def write() -> None:
    for name in NAMES:
        page(name).write_text(with_tables_of(name, page(name).read_text()))
    SCHEMA.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
