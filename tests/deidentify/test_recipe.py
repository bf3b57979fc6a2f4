"""Recipes of the package `deid`: read as it reads them, and translated into what only tightens."""

import json
import random
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from pydicom._dicom_dict import DicomDictionary

from deidentify.dictionary import vr_table
from deidentify.errors import ProfileError
from deidentify.recipe import HOLD_KEY, translate_recipe
from deidentify.recipe_base import NEEDED, basic_floor
from deidentify.recipe_fields import NAMING_VRS, fields_of
from deidentify.recipe_text import Label, Recipe, read_recipe
from deidentify.translation import Outcome, Translation
from tests.tools import CHECKOUT, require_peer

RECIPES = Path(__file__).parents[1] / "data" / "recipes"
SHIPPED = sorted(RECIPES.glob("deid.dicom*"))
ALL = [*SHIPPED, *sorted(RECIPES.glob("*.recipe"))]
WHY = "The ethics board has allowed it."


def header(*lines: str, loosen: str = "") -> Translation:
    return translate_recipe("FORMAT dicom\n%header\n" + "\n".join(lines), allow_loosening=loosen)


def filtered(*lines: str, group: str = "graylist") -> Translation:
    return translate_recipe(f"FORMAT dicom\n%filter {group}\n" + "\n".join(lines))


def rules(translation: Translation) -> dict[str, str]:
    """Return keyword, tag, or what else a rule is about → action."""
    found = yaml.safe_load(translation.profile_yaml).get("rules") or []
    return {
        str(rule.get("keyword") or rule.get("tag") or rule.get("private") or rule["vr"]): rule["action"]
        for rule in found
    }


def holds(translation: Translation) -> list[list[dict[str, object]]]:
    return [entry["when"] for entry in yaml.safe_load(translation.profile_yaml).get(HOLD_KEY, [])]


def last(translation: Translation) -> tuple[str, str]:
    return translation.lines[-1].outcome.value, translation.lines[-1].became


# Actions


@pytest.mark.parametrize(
    ("line", "rule", "outcome"),
    [
        ("REMOVE StudyDescription", {"StudyDescription": "X"}, "rule"),
        ("REMOVE studydescription", {"StudyDescription": "X"}, "rule"),
        ("REMOVE (0008,1030)", {"StudyDescription": "X"}, "rule"),
        ("REMOVE 00081030", {"StudyDescription": "X"}, "rule"),
        ("REMOVE StudyDescription # a comment", {"StudyDescription": "X"}, "rule"),
        ("REMOVE StudyDescription func:is_name", {"StudyDescription": "X"}, "rule"),
        ("REMOVE SliceThickness", {"SliceThickness": "X"}, "rule"),
        ("REMOVE SOPInstanceUID", {"SOPInstanceUID": "X/Z/U*"}, "rule"),
        ("REMOVE InstitutionName", {}, "same"),
        ("REMOVE PatientID", {}, "same"),
        ("REMOVE Rows", {}, "not-translated"),
        ("REMOVE PixelData", {}, "not-translated"),
        ("REMOVE OverlayData", {}, "same"),
        ("REMOVE PatientsName", {}, "not-translated"),
        ("BLANK StudyDescription", {"StudyDescription": "Z"}, "rule"),
        ("BLANK PatientName", {}, "same"),
        ("BLANK InstitutionName", {}, "same"),
        ("REPLACE StudyDescription Teaching", {"StudyDescription": "Z/D"}, "rule"),
        ("REPLACE StudyDescription var:text", {"StudyDescription": "Z/D"}, "rule"),
        ("REPLACE StudyDescription func:text", {"StudyDescription": "Z/D"}, "rule"),
        ("REPLACE SOPInstanceUID func:uid", {}, "same"),
        ("REPLACE PatientID cookie-monster", {}, "same"),
        ("REPLACE StudyDate deid_func:jitter days=3", {}, "policy"),
        ("JITTER StudyDate 31", {}, "policy"),
        ("JITTER StudyDate var:days", {}, "policy"),
        ("JITTER PatientBirthDate -31", {}, "same"),
        ("JITTER StudyDescription 31", {}, "not-translated"),
        ("ADD PatientIdentityRemoved YES", {}, "not-translated"),
        ("ADD PatientID var:id", {}, "not-translated"),
        ("LABEL StudyDescription", {}, "not-translated"),
        ("remove StudyDescription", {}, "not-translated"),
        ("PROTECT StudyDescription", {}, "not-translated"),
        ("REMOVE", {}, "not-translated"),
        ("REPLACE StudyDescription", {}, "not-translated"),
    ],
)
def test_an_action_becomes(line, rule, outcome):
    translation = header(line)
    assert rules(translation) == rule
    assert last(translation)[0] == outcome


def test_no_literal_of_a_recipe_is_written_by_a_rule():
    translation = header("REPLACE StudyDescription Jones^Mary", "ADD PatientComments Jones^Mary")
    assert "Jones" not in translation.profile_yaml
    assert "the new value is not written" in translation.lines[-2].became


def test_dates_are_moved_by_the_days_of_the_case():
    translation = header("JITTER StudyDate 31")
    assert "dates: shift" in translation.profile_yaml
    assert last(translation) == ("policy", "'dates: shift' moves StudyDate by the days of the case, not by 31")


def test_the_strictest_of_what_is_asked_becomes_the_rule():
    assert rules(header("REPLACE StudyDescription a", "BLANK StudyDescription")) == {"StudyDescription": "Z"}
    assert rules(header("BLANK StudyDescription", "BLANK StudyDescription")) == {"StudyDescription": "Z"}


def test_replace_and_jitter_win_over_remove_wherever_they_stand():
    translation = header("REMOVE endswith:Date", "JITTER StudyDate 3")
    assert "StudyDate" not in rules(translation)
    assert rules(translation)["SeriesDate"] == "X"
    assert rules(header("REMOVE ProtocolName", "REPLACE ProtocolName a")) == {"ProtocolName": "Z/D"}


def test_what_no_line_does_does_not_win():
    assert rules(header("REMOVE contains:StudyDesc", "REPLACE ALL func:mine")) == {"StudyDescription": "X"}


def test_a_nested_field_is_a_rule_inside_its_sequences():
    translation = header("BLANK RequestAttributesSequence__ScheduledProcedureStepDescription")
    (rule,) = yaml.safe_load(translation.profile_yaml)["rules"]
    assert (rule["keyword"], rule["inside"]) == ("ScheduledProcedureStepDescription", ["RequestAttributesSequence"])


def test_what_holds_an_object_together_is_in_no_rule_for_a_kind_of_value():
    assert 0x00080060 in NEEDED
    found = rules(header("REMOVE select:VR:CS"))
    assert "Modality" not in found
    assert "['CS']" not in found
    assert "['US']" in rules(header("REMOVE select:VR:US"))
    assert found["BodyPartExamined"] == "X"


@pytest.mark.parametrize("field", ["CodeMeaning", "CodeValue", "LongCodeValue", "CodingSchemeDesignator"])
def test_a_part_of_a_code_stays_in_its_item_and_is_taken_out(field):
    assert rules(header(f"REMOVE {field}")) == {field: "X"}


def test_a_field_inside_what_is_no_sequence_is_listed():
    translation = header("REMOVE StudyDate__ProtocolName")
    assert rules(translation) == {}
    assert last(translation) == ("not-translated", "not for ProtocolName: (0008,0020) is no sequence")


def test_what_is_asked_for_everywhere_is_not_undone_inside_a_sequence():
    inside = "RequestAttributesSequence__ProtocolName"
    for lines in ([f"REPLACE {inside} a", "BLANK ProtocolName"], ["BLANK ProtocolName", f"REPLACE {inside} a"]):
        found = yaml.safe_load(header(*lines).profile_yaml)["rules"]
        assert [(rule["action"], "inside" in rule) for rule in found] == [("Z", False)]
    lines = [f"REMOVE {inside.replace('ProtocolName', 'StudyDescription')}", "BLANK StudyDescription"]
    found = yaml.safe_load(header(*lines).profile_yaml)["rules"]
    assert [(rule["action"], "inside" in rule) for rule in found] == [("Z", False), ("X", True)]


# Keeping


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("PatientName", "names a person"),
        ("PatientID", "names a person"),
        ("OperatorsName", "names a person"),
        ("OtherPatientIDs", "names a person"),
        ("SOPInstanceUID", "breaks them"),
        ("StudyDate", "gives the others away"),
        ("PatientAge", "retain-patient-characteristics"),
        ("(0400,0561)", "whatever a profile says"),
        ("(0009,1001)", "whatever a profile says"),
        ("ICCProfile", "nobody here reads"),
        ("PatientsName", "no attribute"),
        ("allfields", "keeps nothing"),
        ("fields:mine", "there is no section"),
        ("values:mine", "cannot be a rule"),
    ],
)
def test_what_no_reason_keeps(field, sentence):
    translation = header(f"KEEP {field}", loosen=WHY)
    assert rules(translation) == {}
    assert last(translation)[0] == "not-translated"
    assert sentence in last(translation)[1]
    assert "LOOSENED" not in translation.profile_yaml


@pytest.mark.parametrize("field", ["Modality", "PixelData", "Rows", "SliceThickness", "StudyTime", "select:group:0028"])
def test_what_stays_anyway_needs_no_reason(field):
    assert "stays anyway" in last(header(f"KEEP {field}"))[1]
    assert rules(header(f"KEEP {field}")) == {}


def test_what_would_loosen_needs_a_reason():
    line = "KEEP StudyDescription"
    assert rules(header(line)) == {}
    assert last(header(line)) == (
        "not-translated",
        "not applied, since it would loosen the Basic Profile: StudyDescription",
    )
    loosened = header(line, loosen=WHY)
    assert rules(loosened) == {"StudyDescription": "K"}
    assert last(loosened) == ("rule", f"LOOSENED, K for StudyDescription: {WHY}")
    assert f"# LOOSENED by the lines 3 of the recipe: {WHY}" in loosened.profile_yaml.splitlines()


def test_what_a_keep_names_is_left_to_the_base():
    translation = header("REMOVE contains:Description", "KEEP StudyDescription")
    assert "StudyDescription" not in rules(translation)
    assert rules(translation)["SeriesDescription"] == "X"
    assert "which a KEEP of the recipe names: the base decides" in translation.lines[-2].became


def test_private_elements_are_kept_by_creator_and_with_a_reason_only():
    line = 'KEEP (0019,"Agfa ADC NX",F5)'
    assert "private: remove" in header(line).profile_yaml
    assert rules(header(line)) == {}
    loosened = header(line, 'REMOVE (0019,"Agfa ADC NX",07)', loosen=WHY)
    assert "private: safe" in loosened.profile_yaml
    assert rules(loosened) == {
        "{'creator': 'Agfa ADC NX', 'element': '(0019,xxF5)'}": "K",
        "{'creator': 'Agfa ADC NX', 'element': '(0019,xx07)'}": "X",
    }
    assert last(header('REMOVE (0019,"Agfa ADC NX",07)')) == ("same", "private elements go, whoever named them")


# Expanders and lists


@pytest.mark.parametrize(
    ("field", "among", "not_among"),
    [
        ("contains:Date", 0x00080020, 0x00080030),
        ("contains:study|series", 0x0008103E, 0x00080060),
        ("contains:patient's name", 0x00100010, 0x00100020),
        ("contains:(0010,0010)", 0x00100010, 0x00100020),
        ("contains:00100010", 0x00100010, 0x00100020),
        ("startswith:Patient", 0x00100020, 0x00101001),
        ("endswith:Name", 0x00081070, 0x00100020),
        ("ENDSWITH:name", 0x00081070, 0x00100020),
        ("except:StudyDescription|Series", 0x00080080, 0x00081030),
        ("all", 0x00081030, 0x00180050),
        ("ALL", 0x00081030, 0x00180050),
        ("allfields", 0x00081030, 0x00180050),
        ("select:VR:TM", 0x00080030, 0x00080020),
        ("select:group:0018", 0x00180050, 0x00080020),
        ("select:group:18", 0x00180050, 0x00080020),
        ("fields:mine", 0x00081030, 0x00080020),
    ],
)
def test_a_field_stands_for(field, among, not_among):
    lists = read_recipe("%fields mine\nFIELD StudyDescription\nFIELD nothing\nFIELD startswith:Patient").fields
    tags = fields_of(field, lists).tags
    assert among in tags
    assert not_among not in tags


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("contains:(a+)+", "more than words"),
        ("contains:", "more than words"),
        ("except:.*", "more than words"),
        ("contains:Homer", "no attribute of the Standard fits"),
        ("matches:Name", "no such expander"),
        ("select:VM:1", "select takes VR or group"),
        ("select:VR:QQ", "no attribute of this VR"),
        ("select:group:7FF0", "no attribute of this group"),
        ("select", "no attribute of the Standard"),
        ("fields:others", "there is no section"),
        ("fields:circle", "no entry"),
        ('except:(0019,"Agfa ADC NX",F5)', "named by itself"),
    ],
)
def test_a_field_that_stands_for_nothing(field, sentence):
    found = fields_of(field, read_recipe("%fields circle\nFIELD fields:circle").fields)
    assert not found.tags
    assert sentence in found.why_none


def test_all_fields_of_a_kind_are_one_rule_and_the_pseudonym_stays():
    translation = header("REMOVE ALL")
    found = yaml.safe_load(translation.profile_yaml)["rules"]
    assert {"LO", "PN", "DA", "UT"} <= set(found[0]["vr"])
    assert found[0]["action"] == "X"
    assert [rule["action"] for rule in found[1:3]] == ["Z", "Z"]
    assert "are not meant" in last(translation)[1]
    kept = rules(header("REMOVE ALL", "KEEP StudyDescription"))
    assert "LO" not in next(iter(kept))
    assert "StudyDescription" not in kept


@pytest.mark.parametrize("line", ["REMOVE ALL func:mine", "REPLACE all func:mine", r"REMOVE ALL contains:(\d{7,0})"])
def test_what_a_program_decides_for_every_field_is_listed(line):
    assert rules(header(line)) == {}
    assert last(header(line))[0] == "not-translated"


def test_values_of_a_file_are_listed():
    listed = '%values mine\nSPLIT PatientName by="^";minlength=4\nFIELD PatientID\n'
    translation = translate_recipe(listed + "%header\nREMOVE values:mine\nREMOVE ALL values:mine")
    assert rules(translation) == {}
    assert [line.outcome.value for line in translation.lines] == ["disabled", "not-translated", "not-translated"] * 2


def test_entries_of_a_list_say_where_they_are_used():
    text = "%fields mine\nFIELD StudyID\n%fields other\nFIELD StudyDate\n%header\nREMOVE fields:mine\n"
    lines = translate_recipe(text).lines
    assert lines[1].became == "what becomes of the list stands at line 6"
    assert lines[3].became == "no action names this list"


# Filters


@pytest.mark.parametrize(
    ("criterion", "condition"),
    [
        ("contains Modality CT", {"keyword": "Modality", "contains": "CT"}),
        ("contains Modality CT|MR", {"keyword": "Modality", "contains": ["CT", "MR"]}),
        ("contains Modality CT # comment", {"keyword": "Modality", "contains": ["CT # comment", "CT"]}),
        ("contains 0x00080060 CT", {"tag": "(0008,0060)", "contains": "CT"}),
        ("notcontains Manufacturer GE", {"keyword": "Manufacturer", "contains": "GE", "not": True}),
        ("equals Rows 512", {"keyword": "Rows", "is": "512"}),
        ("equals Modality CT|MR", {"keyword": "Modality", "is": ["CT|MR", "CT", "MR"]}),
        ("notequals Modality CT", {"keyword": "Modality", "is": "CT", "not": True}),
        ("missing Manufacturer", {"keyword": "Manufacturer", "present": False}),
        ("present Manufacturer", {"keyword": "Manufacturer", "present": True}),
        ("contains StationName AS+", {"keyword": "StationName", "matches": "as+"}),
        ("notcontains StationName ^A", {"keyword": "StationName", "matches": "^a", "not": True}),
        ("contains ImageType SAVE+", {"keyword": "ImageType", "matches": "save+"}),
    ],
)
def test_a_criterion_becomes_a_condition(criterion, condition):
    translation = filtered("LABEL one", criterion)
    assert holds(translation) == [[condition]]
    assert last(translation)[0] == "rule"


@pytest.mark.parametrize(
    "criterion",
    [
        "contains Manfacturer GE",
        "contains ImageType A.*B",
        "contains ImageType A', 'B",
        "notequals ImageType A",
        r"contains Manufacturer (?=a)b",
        r"contains Manufacturer (a)\1",
        "contains Manufacturer a**",
        "contains Manufacturer (a",
        "equals RequestAttributesSequence CT",
        "contains PixelData CT",
        "equals Manufacturer \u0301",
        "contains Manufacturer " + "a." * 300,
    ],
)
def test_what_cannot_be_said_is_taken_as_fulfilled(criterion):
    translation = filtered("LABEL one", criterion, "+ contains Modality CT")
    assert holds(translation) == [[{"keyword": "Modality", "contains": "CT"}]]
    assert "so that more is held" in translation.lines[-2].became
    alone = filtered("LABEL one", criterion, "|| contains Modality CT")
    assert holds(alone) == [[{"keyword": "Modality", "contains": "CT"}]]
    assert "nothing is held for this alone" in alone.lines[-2].became
    assert holds(filtered("LABEL one", criterion, "coordinates all")) == []


def test_empty_is_a_condition_beside_others_only():
    both = filtered("LABEL one", "contains Modality CT", "+ empty ImageType")
    assert len(holds(both)[0]) == 2
    alone = filtered("LABEL one", "contains Modality CT", "|| empty ImageType")
    assert holds(alone) == [[{"keyword": "Modality", "contains": "CT"}]]
    assert last(alone) == (
        "not-translated",
        "not held for this alone: it would hold every image that lacks the attribute",
    )
    assert holds(filtered("LABEL one", "empty ImageType")) == []


def test_and_and_or_are_read_from_left_to_right_and_lines_as_brackets():
    a, b, c = ({"keyword": f"{name}", "contains": "x"} for name in ("Manufacturer", "Modality", "StationName"))
    first, second, third = (f"contains {one['keyword']} x" for one in (a, b, c))
    assert holds(filtered("LABEL one", first, "+ " + second, "|| " + third)) == [[a, b], [c]]
    assert holds(filtered("LABEL one", first, "|| " + second, "+ " + third)) == [[a, c], [b, c]]
    assert holds(filtered("LABEL one", first, f"+ {second} || {third}")) == [[a, b], [a, c]]
    assert holds(filtered("LABEL one", f"{first} + {second}")) == [[a, b]]
    assert holds(filtered("LABEL one", first, second)) == [[a], [b]]


def test_regions_are_not_blanked_and_the_image_is_held():
    translation = filtered("LABEL one", "contains Modality CT", "coordinates 0,0,1,1", "keepcoordinates from:Regions")
    assert last(translation) == ("not-translated", "not blanked: the image is held for a person")
    nothing = filtered("LABEL Blank Image", "coordinates all")
    assert holds(nothing) == []
    assert "nothing is held for it" in last(nothing)[1]


@pytest.mark.parametrize("group", ["whitelist", "White List", "allow-list"])
def test_a_list_of_images_that_pass_is_not_believed(group):
    translation = filtered("LABEL clean", "contains BurnedInAnnotation No", "coordinates all", group=group)
    assert holds(translation) == []
    assert {line.outcome for line in translation.lines[2:]} == {Outcome.NOT_TRANSLATED}
    assert "not believed" in last(translation)[1]


def test_names_of_what_is_held_are_different():
    translation = filtered(
        "LABEL Ä / b", "contains Modality a", "LABEL ä / B", "contains Modality b", "LABEL #", "contains Modality c"
    )
    names = [entry["name"] for entry in yaml.safe_load(translation.profile_yaml)[HOLD_KEY]]
    assert names == ["b", "b-2", "without-a-name"]


def test_the_same_case_is_held_once():
    translation = filtered("LABEL one", "contains Modality a", "LABEL two", "contains Modality a")
    assert len(holds(translation)) == 1
    assert "by another label" in translation.lines[-2].became


# Everything


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
@pytest.mark.parametrize("loosen", ["", WHY])
def test_every_line_is_accounted_for(path, loosen):
    text = path.read_text(encoding="utf-8")
    translation = translate_recipe(text, allow_loosening=loosen)
    numbers = [number for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    assert [line.number for line in translation.lines] == numbers
    assert all(line.became for line in translation.lines)
    unsaid = [
        line.source for line in translation.lines if line.became == "a comment" and not line.source.startswith("#")
    ]
    assert not unsaid


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_what_the_shipped_recipes_leave_untranslated(path):
    left = [line for line in translate_recipe(path.read_text()).lines if line.outcome is Outcome.NOT_TRANSLATED]
    expected = re.compile("coordinates|ADD |REMOVE jitter|REMOVE PatientsName|LABEL|contains|[|+] |present")
    assert all(expected.search(line.source) for line in left)
    headers = {line.source for line in left if line.source.startswith("REMOVE")}
    assert headers <= {"REMOVE jitter", "REMOVE PatientsName"}


def test_the_page_says_what_the_shipped_recipes_become():
    page = (CHECKOUT / "docs" / "deid-recipes.md").read_text()
    for path in SHIPPED:
        translation = translate_recipe(path.read_text())
        outcomes = [line.outcome for line in translation.lines]
        profile = yaml.safe_load(translation.profile_yaml)
        counts = [len(outcomes), *(outcomes.count(one) for one in (Outcome.RULE, Outcome.SAME, Outcome.NOT_TRANSLATED))]
        counts += [len(profile.get("rules") or []), len(profile[HOLD_KEY])]
        assert f"| `{path.name}` | {' | '.join(str(count) for count in counts)} |" in page


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_without_a_reason_a_recipe_only_tightens(path):
    rank = ["K", "C", "U", "D", "Z/D", "Z", "X/Z/U*", "X"]
    lists = read_recipe(path.read_text()).fields
    found = yaml.safe_load(translate_recipe(path.read_text()).profile_yaml)
    for rule in found.get("rules") or []:
        assert rule["action"] in {"X", "Z", "Z/D", "X/Z/U*"}
        if "vr" in rule:
            continue
        (tag,) = fields_of(rule.get("keyword") or rule["tag"], lists).tags
        (base,) = basic_floor().codes(tag)
        assert tag not in NEEDED
        assert base in {"stays", rule["action"]} or rank.index(rule["action"]) > rank.index(base)
    assert found["dates"] == "shift"
    assert found["private"] == "remove"


# Read as the package reads

_PEER = """
import io, json, sys, tempfile, contextlib
from deid.config.utils import load_deid
read = []
for text in json.load(sys.stdin):
    with tempfile.NamedTemporaryFile("w", suffix=".dicom") as file, contextlib.redirect_stdout(io.StringIO()):
        file.write(text)
        file.flush()
        try:
            read.append(load_deid(file.name))
        except (SystemExit, Exception):
            read.append(None)
print("READ" + json.dumps(read))
"""
BROKEN = [
    "%header\nREMOVE",
    "%header\nADD PatientID",
    "%surprise\nREMOVE PatientID",
    "%filter\nLABEL a",
    "%fields\nFIELD a",
    "%fields one\nSPLIT a",
    "%values one\nFIELD",
    "REMOVE PatientID\n%labels",
    "%filter one\nREMOVE PatientID",
    "%filter one\nLABEL one\ncontains Modality",
    "%filter one\nLABEL one\ncontainsnot Modality a",
    "%filter one\nLABEL one\ncontains A AS+ || contains B c",
    "%filter one\nLABEL one\ncontains A x+empty",
]
ODD = [
    "FORMAT   dicom\n%header\nREMOVE 'a b' c",
    '%HEADER # comment\nREMOVE contains:"a b:c" d\nremove PatientID\nREMOVED PatientName\n  BLANK\tStudyID\nnothing\n',
    '%header\nREPLACE PatientID a  b # c\nREMOVE PatientID # c\nREMOVE (0033,"MITRA OBJECT 1.0",1E) var:a',
    "%filter a b\nLABEL one\n\n# comment\ncontains Model AS+\n+ Equals Rows 5 + missing A || present B",
    "%filter a\nLABEL label one # two\n|| # comment\nnonsense\nkeepcoordinates all\nctpcoordinates 1,2,3,4\n",
    "%filter a\nLABEL two\n%filter a\nLABEL three\n%labels\nADD A b c # d\nKEEP e",
    "%filter a\nnothing\nLABEL one\ncontains A present+tense\n",
    "%values v\nSPLIT PatientName splitval='^';minlength=4 # c\nFIELD startswith:Other\nfield A\n",
    "%fields f\nFIELD A B C",
    "%header\nREMOVE A\n%filter a\nLABEL one\ncontains B c\n%header\nREMOVE D\r\nBLANK E\n",
]


def as_the_package(recipe: Recipe) -> dict[str, object]:
    """Return what was read in the structure of the package."""
    found: dict[str, object] = {}
    for line in recipe.lines:
        section = re.sub(r"%|\s.*", "", line).lower()
        if line.startswith("%"):
            found.setdefault(section, _section(recipe, section))
        elif line[:6].upper() == "FORMAT":
            found["format"] = "dicom"
    return found


def _section(recipe: Recipe, name: str) -> object:
    if name in {"header", "labels"}:
        return [_entry(line) for line in getattr(recipe, name)]
    if name in {"fields", "values"}:
        return {key: [_entry(line) for line in lines] for key, lines in getattr(recipe, name).items()}
    return {key: [_label(label) for label in labels] for key, labels in recipe.filters.items()}


def _entry(line):
    value = {} if line.value is None else {"value": line.value}
    return {"action": line.action, "field": line.field, **value}


def _label(label: Label) -> dict[str, object]:
    filters = [
        {
            "action": [one.kind for one in line.criteria],
            "field": [one.field for one in line.criteria],
            "operator": line.operator or None,
            "InnerOperators": list(line.between),
            "value": [one.value for one in line.criteria if one.kind not in {"missing", "present", "empty"}],
        }
        for line in label.criteria
    ]
    regions = [[int("keep" in line.kind), _region(line.kind, line.region)] for line in label.coordinates]
    return {"name": label.name, "filters": filters, "coordinates": regions}


def _region(kind: str, region: str) -> str:
    if not kind.startswith("ctp") or region == "all":
        return region
    left, top, width, height = (int(part) for part in region.split(",") if part)
    return f"{left},{top},{left + width},{top + height}"


def test_recipes_are_read_as_the_package_reads_them():
    texts = [path.read_text() for path in ALL] + ODD
    ours = [as_the_package(read_recipe(text)) for text in texts]
    done = subprocess.run(
        [require_peer(), "-c", _PEER], input=json.dumps(texts + BROKEN), capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout.partition("READ")[2])
    assert len(theirs) == len(texts) + len(BROKEN)
    for text, mine, its in zip(texts, ours, theirs, strict=False):
        assert json.loads(json.dumps(mine)) == its, text
    assert theirs[len(texts) :] == [None] * len(BROKEN)


_EXPANDING = """
import json, sys
from pydicom import FileDataset
from pydicom.dataelem import DataElement
from deid.dicom.fields import expand_field_expression, get_fields_with_lookup
data = FileDataset(None, {})
for tag, vr in json.load(sys.stdin)["tags"].items():
    data.add(DataElement(int(tag), vr, [] if vr == "SQ" else None))
every = get_fields_with_lookup(data)
found = {}
for field in sys.argv[1:]:
    found[field] = [int(one.element.tag) for one in expand_field_expression(field, data, every).values()]
print("READ" + json.dumps(found))
"""
EXPANDERS = (
    *("contains:Date", "contains:patient|physician", "contains:0008,00", "contains:(0010,0010)", "contains:Patient's"),
    *("startswith:Patient", "startswith:0018|Study", "endswith:ID", "endswith:time|Name"),
    *("select:VR:tm", "select:group:0028", "select:group:18", "except:Study|Series", "except:0008"),
    *("PatientID", "patientid", "(0010,0020)", "00100020", "Nobody", "Rows"),
)


def test_expanders_stand_for_what_the_package_takes():
    known = {
        tag: vr for tag, vr in vr_table().items() if tag in DicomDictionary and tag >> 16 > 2 and not tag >> 16 & 1
    }
    command = [require_peer(), "-c", _EXPANDING, *EXPANDERS]
    given = json.dumps({"tags": known})
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    for field, tags in json.loads(done.stdout.partition("READ")[2]).items():
        theirs = {tag for tag in tags if not field.startswith("except") or vr_table()[tag] in NAMING_VRS}
        ours = {tag for tag in fields_of(field, {}).tags if tag in known}
        if field.startswith("except"):
            ours = {tag for tag in ours if vr_table()[tag] in NAMING_VRS}
        assert ours == theirs, field


_FLAGGING = """
import contextlib, io, json, sys, tempfile
from pydicom import FileDataset
from deid.config import DeidRecipe
from deid.dicom import has_burned_pixels
given = json.load(sys.stdin)
found = []
with contextlib.redirect_stdout(io.StringIO()):
    for path in given["recipes"]:
        recipe = DeidRecipe(path)
        for image in given["images"]:
            data = FileDataset(None, {})
            for keyword, value in image.items():
                setattr(data, keyword, value)
            flagged = has_burned_pixels(data, deid=recipe)["results"]
            found.append(any(one["group"] != "whitelist" for one in flagged))
print("READ" + json.dumps(found))
"""
IMAGES = {
    "Modality": ["CT", "US", "OT", "RF", ""],
    "Manufacturer": ["GE MEDICAL", "Philips", "Siemens", "ATL", "ACUSON"],
    "ManufacturerModelName": ["LightSpeed VCT", "iU22", "SOMATOM Definition AS+", "HDI 5000", "Sequoia"],
    "ImageType": [["ORIGINAL", "PRIMARY"], ["DERIVED", "SECONDARY", "SCREEN SAVE"], ["REPORTDATA"], "SAVE"],
    "SeriesDescription": ["Dose Report", "Thorax nativ", "Localizers", "AW electronic field", "KNEE", ""],
    "StudyDescription": ["CT KNEE", "SAVE"],
    "BurnedInAnnotation": ["YES", "NO"],
    "Rows": [480, 512, 600, 860],
    "Columns": [640, 512],
    "PatientSex": ["M", "F"],
    "OperatorsName": ["bold bread", "Muster^Hanna"],
    "StationName": ["AS", "B"],
}


def is_held(image: dict[str, object], when: list[dict[str, object]]) -> bool:
    """Read conditions as the profile language defines them, independently of the engine."""
    return all(_fits(image, condition) is not condition.get("not", False) for condition in when)


def _fits(image: dict[str, object], condition: dict[str, object]) -> bool:
    keyword = condition.get("keyword") or {"(0008,1030)": "StudyDescription"}[str(condition["tag"])]
    found = image.get(str(keyword), "")
    values = [str(value).lower() for value in (found if isinstance(found, list) else [found]) if value != ""]
    if "present" in condition:
        return bool(values) is condition["present"]
    (kind,) = {"is", "contains", "matches"} & set(condition)
    wanted = condition[kind] if isinstance(condition[kind], list) else [condition[kind]]
    tests = {"is": str.__eq__, "contains": str.__contains__, "matches": lambda value, one: bool(re.search(one, value))}
    return any(tests[kind](value, str(one).lower()) for value in values for one in wanted)


def test_what_the_package_flags_is_held():
    choose = random.Random(7)
    recipes = [*SHIPPED, RECIPES / "own-filters.recipe"]
    images = [
        {name: choose.choice(values) for name, values in IMAGES.items() if choose.random() < 0.8} for _ in range(150)
    ]
    given = json.dumps({"recipes": [str(path) for path in recipes], "images": images})
    command = [require_peer(), "-c", _FLAGGING]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    flagged = json.loads(done.stdout.partition("READ")[2])
    held = []
    for path in recipes:
        # The label without any criterion flags whatever there is; nobody can hold everything.
        entries = holds(translate_recipe(path.read_text()))
        held += [any(is_held(image, when) for when in entries) or path.suffix == ".ultrasound" for image in images]
    assert len(held) == len(flagged)
    assert sum(flagged) > 100
    assert not [number for number, (ours, theirs) in enumerate(zip(held, flagged, strict=True)) if theirs and not ours]


@pytest.mark.parametrize("text", BROKEN)
def test_where_the_package_ends_the_line_is_named(text):
    recipe = read_recipe(text)
    assert recipe.faults
    assert not recipe.header
    assert any("package" in sentence for sentence in recipe.faults.values())
    assert rules(translate_recipe(text)) == {}


# Bad input


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no deid recipe"),
        ("name: mine\nbase: basic\n", "no deid recipe"),
        ("FORMAT nifti\n%header\n", "FORMAT dicom"),
        ("format dicom\n%header\n", "FORMAT dicom"),
        ("FORMAT dicom\n%header\nREMOVE StudyDate\nFORMAT nifti\n", "line 4"),
        ("%header\n" + "\n" * 6000, "at most 5,000 lines"),
        ("%header\n" + "#" * 500_001, "characters"),
        ("%header\n" + "REMOVE contains:a\n" * 101, "line 102: more than 100"),
        ("%fields f\n" + "FIELD contains:a\n" * 101 + "%header\nREMOVE fields:f", "more than 100"),
        ("%header\nREMOVE contains:e", "a profile has at most"),
        ("%filter a\nLABEL b\n" + "".join(f"contains Modality {i}\n" for i in range(2001)), "cases"),
        ("%filter a\n" + "".join(f"LABEL b\ncontains Modality {i}\n" for i in range(2100)), "reasons to hold"),
    ],
)
def test_what_no_profile_can_be_made_of_is_refused(text, sentence):
    with pytest.raises(ProfileError, match=re.escape(sentence)):
        translate_recipe(text)


@pytest.mark.parametrize(
    "line",
    [
        "REMOVE " + "\\" * 900,
        'REMOVE "' + '\\"' * 450,
        "REMOVE " + "a__" * 300,
        "REMOVE contains:" + "a|" * 400,
        "REMOVE contains:" + "(a" * 400,
        "REMOVE (" + "9" * 900,
        "REMOVE select:group:" + "f" * 900,
        "REMOVE " + "x" * 3000,
        "REMOVE \u2028\x00\x1b[31m StudyDate",
        "REPLACE StudyDescription \ud800",
        "KEEP 'Study\"Date",
    ],
)
def test_a_hostile_line_is_contained(line):
    translation = header(line, "REMOVE StudyID", loosen="a: b\n- \x00c")
    assert rules(translation)["StudyID"] == "X"
    assert len(translation.lines) == 4
    assert all(character.isprintable() for line in translation.lines for character in line.source + line.became)


def test_ands_of_ors_do_not_multiply_without_end():
    line = "+ " + " || ".join(f"contains Modality {n}" for n in range(20))
    translation = filtered("LABEL one", *[line] * 40)
    assert len(holds(translation)) <= 64
    several = filtered(
        "LABEL one", *[line.replace("Modality", name) for name in ("Modality", "Manufacturer", "StationName")]
    )
    assert len(holds(several)) <= 64
    assert "more than 64 cases" in last(several)[1]


def test_names_in_a_recipe_reach_the_profile_quoted():
    translation = filtered("LABEL 'a\": {b} # c", "contains Modality x: y, 'z' & w !u # \"")
    assert holds(translation)[0][0] == {
        "keyword": "Modality",
        "contains": ["x: y, 'z' & w !u # \"", "x: y, 'z' & w !u"],
    }
    assert translate_recipe("%header\nREMOVE StudyDate\n", name="yes").profile_yaml.splitlines()[1] == 'name: "yes"'
