"""The tables of docs/deidentification.md and its list of attributes, made from the code.

Written anew by: python -m tests.docs.deidentification_tables.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from pydicom import DataElement, Dataset
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_description

from deidentify.actions import ALL_CODES, Action, dummy_value, resolved
from deidentify.codes import KNOWN_SCHEMES
from deidentify.dataset import EXPLICIT_LITTLE, Element, ReceivedInstance, tag_text
from deidentify.decisions import Decision, Decisions, is_always_gone, text_rules
from deidentify.dictionary import vr_table
from deidentify.disposition import disposition_of
from deidentify.profile import Profile
from deidentify.pseudonyms import age_band, banded_age_string
from deidentify.results import MOST_REMOVED, Dropped, DropReason, HoldReason
from deidentify.structured import content_action
from deidentify.tables import OPTION_COLUMNS, _load, attribute_rows, iod_types, method_codes
from deidentify.text import Reason, clean_text
from deidentify.vocabulary import folded, general_words, vocabulary, words_of
from scp.contexts import is_storage
from tests.builders import code, ct_instance, write_part10
from tests.deidentify.support import deidentified, profile
from tests.tools import CHECKOUT

PAGE = CHECKOUT / "docs/deidentification.md"
LIST = CHECKOUT / "docs/deidentification-attributes.md"
CT = "1.2.840.10008.5.1.4.1.1.2"
TYPES = ("1", "1C", "2", "2C", "3", None)

SPELLED = {
    "clean_pixel_data": "pixels: screen",
    "clean_recognizable_visual_features": "options: [clean-recognizable-visual-features]",
    "clean_graphics": "options: [clean-graphics]",
    "clean_structured_content": "options: [clean-structured-content]",
    "clean_descriptors": "text: vocabulary",
    "retain_longitudinal_full_dates": "dates: keep",
    "retain_longitudinal_modified_dates": "dates: shift",
    "retain_patient_characteristics": "options: [retain-patient-characteristics]",
    "retain_device_identity": "options: [retain-device-identity]",
    "retain_uids": "options: [retain-uids]",
    "retain_safe_private": "private: safe",
    "retain_institution_identity": "options: [retain-institution-identity]",
}
"""Option → how a profile asks for it."""

EXECUTED = {
    "clean_pixel_data": "the pixel screen read every frame and found it clear",
    "clean_recognizable_visual_features": "the pixel screen did it; ours does not, so that all pixels are held",
    "clean_graphics": "the instance has graphic annotations",
    "clean_structured_content": "the instance has a Content Sequence",
    "retain_safe_private": "private elements were kept",
}
"""Option → when its code is written, where the profile's wish is not enough."""

ACTIONS = {
    Action.DUMMY: "dummy value",
    Action.EMPTY: "no value",
    Action.REMOVE: "removed",
    Action.KEEP: "kept; a sequence is walked",
    Action.CLEAN: "cleaned by its VR",
    Action.UID: "new UID",
}

DECISIONS = {
    "GONE": "removed",
    "REMOVE": "removed",
    "EMPTY": "no value",
    "DUMMY": "dummy value",
    "KEEP": "kept",
    "CLEAN": "cleaned by its VR",
    "UID": "each UID that the Standard has not registered gets a new one",
    "SAME": "kept as it is",
    "RECOGNIZABLE": "YES, for nobody looked at faces",
    "CHARSET": "kept where the character set is known",
    "CODE_PART": "stays in an item whose code is of a public scheme",
    "SCHEME": "stays in an item whose code is of a public scheme",
    "WORDS": "known words stay",
    "TECHNICAL": "known words and short technical codes stay",
    "LABEL": "stays where its words are known, else one label for one value",
    "DENY": "removed, or a dummy where the IOD requires a value",
    "BINARY": "numbers stay",
    "RECURSE": "each item is walked",
    "DATES": "moved by the days of the case; what names no day goes",
    "CODE_STRING": "stays where it looks like a term and is not this patient's; else known words stay",
    "CODE_TERM": "words of defined terms and known words stay",
    "NUMBER": "stays where it is a number",
    "PRIVATE": "stays where Table E.3.10-1 lists it, and is cleaned by its VR",
}

DROPS = {
    DropReason.PRIVATE_SOP_CLASS: "classes that only their maker knows",
    DropReason.RAW_DATA: "raw data of the device",
    DropReason.DOSE_REPORT: "radiation dose structured reports",
    DropReason.PRESENTATION_STATE: "presentation states",
    DropReason.ENCAPSULATED_DOCUMENT: "PDF, CDA, STL, OBJ, MTL in an instance",
    DropReason.SCREEN_CAPTURE: "captured dose, protocol and screen pages, by Image Type (0008,0008) or descriptions",
    DropReason.VIDEO: "video classes, and whatever lies in a transfer syntax of MPEG-2, MPEG-4, HEVC or SMPTE ST 2110",
    DropReason.SLIDE_LABEL: "label and overview images of slides",
    DropReason.MEDIA_DIRECTORY: "DICOMDIR",
    DropReason.TEACHING_FILE_MANIFEST: "selections and texts of the IHE TCE profile, after they have done their work",
    DropReason.PROFILE: "voice recordings, and what belongs to no study by its definition",
    DropReason.REVIEW: "what a person left out after looking at it",
}

HOLDS = {
    HoldReason.UNREADABLE: "it cannot be parsed to its end, or has no SOP Class, SOP Instance or Study UID",
    HoldReason.UNSUPPORTED_SOP_CLASS: "the attributes of its class are not known",
    HoldReason.TRANSFER_SYNTAX: "its transfer syntax is not known",
    HoldReason.INVALID_AFTER_CHANGE: "our change would empty what its IOD requires, or the result cannot be parsed",
    HoldReason.RESIDUAL_IDENTIFIER: "the last search found an identifier, or text in a frame that no encoder writes",
    HoldReason.BURNED_IN_TEXT: "a frame has legible text that is not known to be harmless",
    HoldReason.UNREADABLE_TEXT: "a frame has what looks like a line of text and cannot be read",
    HoldReason.PIXELS_MISSING: "it is an image by its class, without pixels",
    HoldReason.PIXELS_UNDECODABLE: "a frame cannot be decoded, so nobody knows what it shows",
    HoldReason.SCREEN_UNAVAILABLE: "the pixel screen could not run",
    HoldReason.TWO_PATIENTS: "instances of its study name another patient",
    HoldReason.SAME_UID_DIFFERENT_PIXELS: "another instance with the same SOP Instance UID has other pixels",
    HoldReason.RECOGNIZABLE_FACE: "a face could be seen in it or rendered from it, and the profile has a person decide",
    HoldReason.PROFILE: "the profile wants a person to decide on such an object",
    HoldReason.PROCESS_DIED: "the process working on it was killed twice",
    HoldReason.INTERNAL_ERROR: "a fault of ours; the log has the place",
}

REPORT = {
    "format": "number of this form; another form gets another number",
    "casebridge": "version of the program",
    "began": "when, UTC",
    "ended": "when, UTC",
    "complete": "`false` where the run was ended before all files were done",
    "profile": "`name` and `revision` of the profile",
    "pixels": "`screened` or `not screened`",
    "secret": "`file` or `random`",
    "case_per": "what made a case: `input`, `folder`, `patient`, `study`",
    "cases": "how many cases there were",
    "counts": "`outcome`, `reason`, `detail` and how many `files` had them",
    "files": "an entry for each file of IN",
}
REPORT_FILE = {
    "place": "where it is in OUT, or would be",
    "case": "number of its case; `null` for what belongs to none",
    "outcome": "`written`, `held`, `dropped`, `skipped` or `not-done`",
    "reason": "of what was not written, as on this page; or `not-dicom`, `symbolic-link`, `no-regular-file`",
    "detail": "the reason as a sentence",
    "sha256": "of what was written",
    "size_bytes": "of what was written",
    "pixels": "what the screen says: `clear`, `no-pixels` or `not-evaluated`",
    "actions": "action code → how many elements met it",
    "options": "the codes that were written into (0012,0064)",
    "notes": "what a reviewer should know, by attribute, with a count",
    "removed_text": f"the first {MOST_REMOVED} words that went: `place`, number of the `word` in it, and `reason`",
}

WENT = {
    Reason.OWN: "it is of this patient's or study's identifiers, in any transcription, or a letter away from one",
    Reason.NAME: "it stands where a name stands: behind a title, beside a name or an initial",
    Reason.DATE: "it is a date",
    Reason.AGE: "it is an age beyond 89 years",
    Reason.CONTACT: "it is a telephone number, or an address of mail or web",
    Reason.ADDRESS: "it is a part of a postal address",
    Reason.NUMBER: "it is a number that could be a record's",
    Reason.UNKNOWN: "nobody knows that it names no person",
    Reason.CHARACTER: "it is neither a word nor punctuation: bytes that the character set does not explain",
}

ALWAYS_GONE = {
    "curves, 50xx": 0x50003000,
    "overlay planes, 60xx, with label, description and area": 0x60003000,
    "directory records, group 0004": 0x00041220,
    "digital signatures, MACs, encrypted and original attributes, group 0400": 0x04000561,
    "Data Set Trailing Padding (FFFC,FFFC)": 0xFFFCFFFC,
    "group lengths": 0x00080000,
    "Length to End (0008,0001)": 0x00080001,
}
"""What goes whatever the profile says → a tag of it."""

DESCRIPTIONS = (
    "AX T2 FLAIR post Gd",
    "CT Abdomen portal venous 5.0 B30f",
    "Baker cyst left knee, Dr. Baker",
    "MRI brain Mrs. Testperson 14.03.1957",
    "Hip left, Zustand nach TEP",
    "call 555-0199 or mail@example.org",
    "Nirgendwo protocol thorax, tel. 030 1234567",
)
OWN_NAME = "Testperson^Unreal"

EXAMPLE_TAGS = (
    *(0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080030, 0x00080050, 0x00080070, 0x00080080),
    *(0x00080090, 0x00081010, 0x00081030, 0x0008103E, 0x00081090, 0x00081140, 0x00100010, 0x00100020, 0x00100030),
    *(0x00100040, 0x00101010, 0x00101030, 0x00104000, 0x00120062, 0x00120064, 0x00180015, 0x00180060, 0x00181000),
    *(0x00181020, 0x00181030, 0x00181210, 0x00200010, 0x00200011, 0x00200013, 0x00200032, 0x00200052, 0x00204000),
    *(0x00280301, 0x00280303, 0x00291010, 0x00400275),
)


def table(head: str, rows: Iterator[str] | list[str]) -> str:
    columns = [column.strip() for column in head.strip("| ").split("|")]
    return "\n".join([f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *rows])


def options() -> str:
    rows = []
    counts: Counter[str] = Counter()
    for row in attribute_rows().values():
        counts.update(row.options.keys())
    for option, (value, meaning) in method_codes().items():
        if option is None:
            rows.append(f"| {meaning} | {value} | `base: basic` | yes | yes | {len(attribute_rows())} | always |")
            continue
        spelled = f"`{SPELLED[option]}`"
        chosen = ["yes" if option in profile(name).options else "no" for name in ("teaching", "strict")]
        own = str(counts[option]) if option in OPTION_COLUMNS else "-"
        when = EXECUTED.get(option, "the profile asks for it")
        rows.append(f"| {meaning} | {value} | {spelled} | {' | '.join(chosen)} | {own} | {when} |")
    return table(
        "Option | Code | In a profile | `teaching` | `strict` | Attributes it changes | Code is written when", rows
    )


def compound_codes() -> str:
    rows = []
    for each in sorted(ALL_CODES):
        by_type = [ACTIONS[resolved(each, kind)] for kind in TYPES]
        rows.append(f"| {each} | {' | '.join(by_type)} |")
    return table("Code | Type 1 | 1C | 2 | 2C | 3 | not in this IOD", rows)


def by_vr() -> str:
    """Count what the default profile decides on the attributes outside Table E.1-1, in a CT image."""
    decisions = Decisions(profile(), iod_types(CT))
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for tag, vr in vr_table().items():
        if tag >> 16 > 6 and tag not in attribute_rows() and not is_always_gone(tag):
            # Inside a sequence, where codes are.
            found[vr][DECISIONS[decisions.decide(tag, (0x00081032,)).name]] += 1
    rows = []
    for vr in sorted(found):
        for what, count in found[vr].most_common():
            rows.append(f"| {vr} | {what} | {count} |")
    return table("VR | What happens | Attributes", rows)


def always_gone() -> str:
    lines = [f"- {option.replace('_', '-')}" for option in SPELLED if option != "retain_longitudinal_full_dates"]
    keeps_most = Decisions(
        Profile.from_yaml("\n".join(["name: most", "base: basic", "options:", *lines])), iod_types(CT)
    )
    assert {keeps_most.decide(tag, ()) for tag in ALWAYS_GONE.values()} == {Decision.GONE}
    return "\n".join(f"- {what};" for what in ALWAYS_GONE)[:-1] + "."


def dummies() -> str:
    by_value: dict[str, list[str]] = defaultdict(list)
    for vr in sorted(set(vr_table().values()) - {"SQ", "UI", "UN", "OB", "OW"}):
        value = dummy_value(vr)
        is_text = vr not in {"AT", "FL", "SL", "UL", "OF", "OL", "FD", "SV", "UV", "OD", "OV", "SS", "US"}
        by_value[f"`{value.decode()}`" if is_text else "0"].append(vr)
    rows = [f"| {', '.join(vrs)} | {value} |" for value, vrs in by_value.items()]
    rows += ["| UI | a new UID |", "| SQ | its items, each value in them a dummy, codes `99CASEBRIDGE REMOVED` |"]
    rows += ["| OB, OW, UN | two bytes of zero |"]
    return table("VR | Dummy value", rows)


def classes() -> str:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for uid, (name, kind, _, _retired, _) in UID_dictionary.items():
        if kind == "SOP Class" and (is_storage(uid) or uid == "1.2.840.10008.1.3.10"):
            shown = name.removesuffix(" (Retired)").removesuffix(" Storage") or uid
            groups[fate(uid, profile("teaching")), fate(uid, profile("strict"))].append(shown)
    rows = [
        f"| {teaching} | {strict} | {len(names)} | {', '.join(sorted(names))} |"
        for (teaching, strict), names in sorted(groups.items())
    ]
    return table("`teaching` | `strict` | Number | SOP Classes", rows)


def fate(sop_class_uid: str, under: Profile) -> str:
    elements = [
        Element(0x00080016, "UI", sop_class_uid.encode()),
        Element(0x00080018, "UI", b"1.2.3"),
        Element(0x0020000D, "UI", b"1.2.4"),
    ]
    received = ReceivedInstance(
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        encoding=EXPLICIT_LITTLE,
        identified_meta=[],
        identified_elements=elements,
    )
    found = disposition_of(received, under)
    if found is None:
        return "goes on"
    return f"{'dropped' if isinstance(found, Dropped) else 'held'}: {found.detail}"


_WHATEVER = {DropReason.PROFILE, DropReason.REVIEW}
"""No choice of a profile."""


def drops() -> str:
    rows = []
    for reason in DropReason:
        dropped = [
            "dropped" if reason in profile(name).drop or reason in _WHATEVER else "held"
            for name in ("teaching", "strict")
        ]
        rows.append(f"| `{reason.value}` | {DROPS[reason]} | {' | '.join(dropped)} |")
    return table("Reason | What it is | `teaching` | `strict`", rows)


def holds() -> str:
    return table("Reason | What was the matter", [f"| `{reason.value}` | {HOLDS[reason]} |" for reason in HoldReason])


def went() -> str:
    return table("Reason | A word went because", [f"| `{reason.value}` | {WENT[reason]} |" for reason in Reason])


def report() -> str:
    return table("Key | Content", [f"| `{key}` | {content} |" for key, content in REPORT.items()])


def report_files() -> str:
    return table("Key | Content", [f"| `{key}` | {content} |" for key, content in REPORT_FILE.items()])


def schemes() -> str:
    return ", ".join(f"`{scheme}`" for scheme in sorted(KNOWN_SCHEMES, key=str.casefold)) + "."


def text_policy() -> str:
    counts = Counter(text_rules().values())
    return (
        f"The vocabulary has {len(vocabulary()):,} words, and {len(general_words()):,} common ones of English. Of the "
        "text attributes outside Table E.1-1, "
        f"{counts['words']} may keep\nknown words, {counts['technical']} known words and short technical codes, "
        f"{counts['label']} a label; all others go whole."
    )


def descriptions() -> str:
    own = frozenset(words_of(folded(OWN_NAME)))
    rows = []
    for text in DESCRIPTIONS:
        kept, removed = clean_text(text, own)
        rows.append(f"| {text} | {kept or '(nothing)'} | {removed} |")
    return table("What stood there | What stays | Words that went", rows)


def ages() -> str:
    rows = []
    for age in ("010D", "009W", "018M", "004Y", "017Y", "018Y", "043Y", "068Y", "087Y", "088Y", "104Y"):
        band = age_band(age, "", "")
        rows.append(f"| {age} | {band} | {banded_age_string(band)} |")
    return table("Patient's Age (0010,1010) | On the case | In the file, where the profile says `age: band`", rows)


def example() -> str:
    """Take one invented CT image through the engine, under both profiles."""
    original = example_instance()
    part10 = write_part10(original)
    results = [deidentified(part10, profile_name=name).dataset for name in ("teaching", "strict")]
    rows = []
    for tag in EXAMPLE_TAGS:
        shown = [shown_value(each.get(tag)) for each in (original, *results)]
        name = "a private element" if tag >> 16 & 1 else dictionary_description(tag)
        rows.append(f"| {tag_text(tag)} {name} | {' | '.join(shown)} |")
    return table("Attribute | Original | `teaching` | `strict`", rows)


def example_instance() -> Dataset:
    instance = ct_instance(
        StudyDescription="CT Abdomen Testperson, portal venous",
        SeriesDescription="AX Abdomen 5.0 B30f, Dr. Erfundene",
        ReferencedImageSequence=[{"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": "1.2.3.4"}],
        PatientAge="066Y",
        PatientWeight="81",
        PatientComments="Daughter of the mayor",
        DeviceSerialNumber="SN-12345",
        SoftwareVersions="syngo CT 2009E",
        ProtocolName="Abdomen Nirgendwo",
        ImageComments="Seen with Dr. Erfundene",
        RequestAttributesSequence=[
            {"RequestedProcedureDescription": "CT Abdomen Testperson", "RequestedProcedureID": "RP-77"}
        ],
        ProcedureCodeSequence=[code("CTABD", "99NIRGENDWO", "CT Abdomen Nirgendwo")],
    )
    instance.add_new(0x00290010, "LO", "NIRGENDWO 1.0")
    instance.add_new(0x00291010, "LO", "Testperson Unreal")
    return instance


def shown_value(element: DataElement | None) -> str:
    if element is None:
        return "-"
    if element.VR == "SQ":
        parts = [
            f"{part.name}: {shown_value(part)}"
            for item in element.value
            for part in item
            if part.VR != "SQ"
            and part.tag not in {0x00080102, 0x00080104} | ({0x00081150} if element.tag != 0x00120064 else set())
        ]
        return "; ".join(parts) or "(an empty item)"
    if element.is_empty:
        return "(no value)"
    value = "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
    return value if len(value) < 25 or element.VR != "UI" else f"{value[:12]}…{value[-4:]}"


def attribute_list() -> str:
    rows = []
    for row in _load("ps3.15_table_E.1-1.json")["rows"]:
        if row["tag_kind"] == "single":
            tag = int(row["group"] + row["element"], 16)
            codes = [profile(name).code(tag) or "" for name in ("teaching", "strict")]
        else:
            # Curves and overlays go whatever is asked for.
            asked = row["tag_kind"] == "private" and "retain_safe_private"
            codes = ["C" if asked in profile(name).options else "X" for name in ("teaching", "strict")]
        rows.append(f"| {row['tag']} | {row['name']} | {row['basic_profile']} | {' | '.join(codes)} |")
    return table("Tag | Attribute | Basic | `teaching` | `strict`", rows)


def concept_list() -> str:
    rows = []
    for row in _load("ps3.15_table_E.3.4-1_sr_content_items.json")["rows"]:
        item = [
            Element(0x0040A040, "CS", row["value_type"].encode()),
            Element(
                0x0040A043,
                "SQ",
                items=[
                    [
                        Element(0x00080100, "SH", row["code_value"].encode()),
                        Element(0x00080102, "SH", row["coding_scheme"].encode()),
                    ]
                ],
            ),
        ]
        concept = f"({row['code_value']}, {row['coding_scheme']})"
        rows.append(
            f"| {concept} | {row['code_meaning']} | {row['value_type']} | {row['basic_profile']} "
            f"| {content_action(item, profile())} |"
        )
    return table("Concept | Meaning | Value Type | Basic | `teaching`", rows)


def rules() -> str:
    rows = [f"| {rule.subject} | {rule.action} | {rule.reason} |" for rule in profile().rules]
    return table("Attribute | Code | Reason", rows)


TABLES: dict[str, Callable[[], str]] = {
    "options": options,
    "rules": rules,
    "compound codes": compound_codes,
    "by VR": by_vr,
    "always gone": always_gone,
    "dummies": dummies,
    "example": example,
    "classes": classes,
    "drops": drops,
    "text policy": text_policy,
    "went": went,
    "descriptions": descriptions,
    "schemes": schemes,
    "ages": ages,
    "report": report,
    "report files": report_files,
    "holds": holds,
}
LISTS: dict[str, Callable[[], str]] = {"attributes": attribute_list, "concepts": concept_list}


def with_tables(text: str, tables: dict[str, Callable[[], str]] = TABLES) -> str:
    for name, make in tables.items():
        begin, end = f"<!-- made from the code: {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        assert found, f"the page has no place for {name}"
        text = f"{before}{begin}\n{make()}\n\n{end}{rest.partition(end)[2]}"
    return text


def write() -> None:
    PAGE.write_text(with_tables(PAGE.read_text()))
    LIST.write_text(with_tables(LIST.read_text(), LISTS))


def asked_text(option: str) -> str:
    """Return a profile that asks for one option and nothing else."""
    lines = {"name": "asked", "base": "basic", "dates": "remove", "text": "remove"}
    key, _, value = SPELLED[option].partition(": ")
    return "\n".join(f"{name}: {given}" for name, given in {**lines, key: value}.items())


def asked(option: str) -> Profile:
    """Return that profile."""
    return Profile.from_yaml(asked_text(option))


if __name__ == "__main__":
    write()
