"""A deid recipe beside a profile: it only tightens, the profile's own rules win over it, and no line is silent."""

import io
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidentify.decisions import Decisions
from deidentify.deidentifier import Deidentifier
from deidentify.dictionary import vr_table
from deidentify.errors import DeidentificationError, ProfileError
from deidentify.explain import explained, loosened
from deidentify.profile import Profile
from deidentify.recipe import translate_recipe
from deidentify.tables import iod_types
from deidentify.translation import Outcome
from tests.deidentify.made_profiles import ATTRIBUTES, Made, profiles
from tests.deidentify.support import profile as shipped
from tests.deidentify.support import shipped_text
from tests.deidentify.test_profile_language import STORAGE, facts, instances, scope
from tests.deidentify.test_recipe import ALL, SHIPPED

WHY = "The board has allowed it."
HEAD = "name: mine\nbase: basic\n"


def text_of(head: str, recipe: str, *, why: str = "", behind: str = "") -> str:
    """Return a profile with a recipe, and behind it texts that it is built on."""
    named = f"recipe: {{file: ct.recipe, allow_loosening: {why!r}}}\n" if why else "recipe: ct.recipe\n"
    lines = "".join(f"  {line}\n" for line in recipe.rstrip("\n").split("\n"))
    return f"{head.rstrip()}\n{named}---\nrecipe_file: ct.recipe\nrecipe_text: |2\n{lines}" + (
        f"---\n{behind}" if behind else ""
    )


def read(recipe: str, head: str = HEAD, *, why: str = "", behind: str = "") -> Profile:
    lines = recipe if recipe.startswith(("%", "FORMAT")) else f"%header\n{recipe}"
    return Profile.from_yaml(text_of(head, lines, why=why, behind=behind))


def became(profile: Profile) -> dict[int, tuple[str, str]]:
    return {line.number: (line.outcome.value, line.became) for one in profile.recipes for line in one.lines}


def faults_of(text: str) -> list[str]:
    with pytest.raises(ProfileError) as caught:
        Profile.from_yaml(text)
    return str(caught.value).splitlines()


# Where its rules stand


def test_the_rules_of_a_recipe_stand_between_those_of_the_base_and_the_profiles_own():
    head = "name: mine\nbase: teaching\nrules:\n  - {keyword: StudyDescription, action: C, reason: Needed.}\n"
    recipe = "REMOVE StudyDescription\nREMOVE SeriesDescription\nREMOVE ReferencedImageSequence"
    found = read(recipe, head, behind=shipped_text("teaching"))
    places = [rule.place for rule in found.rules]
    assert places[-4:] == ["ct.recipe, line 2", "ct.recipe, line 3", "ct.recipe, line 4", "line 4"]
    assert all(place.startswith("teaching, line ") for place in places[:-4])
    assert found.code(0x00081030) == "C"
    assert found.code(0x0008103E) == found.code(0x00081140) == "X"


def test_explain_names_the_line_of_the_recipe_that_won():
    found = explained(read("# first\nREMOVE StudyDescription"), 0x00081030)
    assert (found.by, found.source) == ("rule", "ct.recipe, line 3")


def test_the_recipe_of_a_base_is_read_under_what_is_built_on_it():
    below = text_of("name: below\nbase: basic", "%header\nREMOVE DeviceSerialNumber\nREMOVE StudyDescription\n")
    assert became(Profile.from_yaml(below))[2][0] == "same"
    found = Profile.from_yaml(f"name: mine\nbase: below\noptions: [retain-device-identity]\n---\n{below}")
    assert found.code(0x00181000) == "X"
    assert became(found)[2][0] == "rule"
    assert explained(found, 0x00081030).source == "below, ct.recipe, line 3"


def test_what_its_filters_hold_is_held_with_the_profiles_own():
    head = f"{HEAD}hold:\n  - {{reason: r, when: {{keyword: Rows, is: 1}}}}\n"
    found = read("%filter graylist\nLABEL Camera\ncontains Modality XC", head)
    assert [(one.place, one.name) for one in found.doubts] == [("ct.recipe, line 2", "camera"), ("line 4", "")]
    (condition,) = found.doubts[0].conditions
    assert (condition.tag, condition.kind, condition.values) == (0x00080060, "contains", ("xc",))


# Loosening


@pytest.mark.parametrize(
    ("head", "attribute", "instead_of"),
    [
        (HEAD, "StudyDescription", "C"),
        (HEAD, "DeviceSerialNumber", "X/Z/D"),
        (f"{HEAD}rules: []\n", "BodyPartExamined", "stays where it looks like a term and is not this patient's"),
    ],
)
def test_what_would_loosen_needs_a_reason_and_stands_among_what_is_loosened(head, attribute, instead_of):
    plain, loose = read(f"KEEP {attribute}", head), read(f"KEEP {attribute}", head, why=WHY)
    assert plain.rules == ()
    assert loosened(plain) == ()
    assert became(plain)[2] == ("not-translated", f"not applied, since it would loosen the profile: {attribute}")
    assert [line.number for line in plain.recipes[0].not_taken] == [2]
    (one,) = loosened(loose)
    assert (one.place, one.action, one.reason) == ("ct.recipe, line 2", "K", WHY)
    assert one.subject.endswith(attribute)
    if instead_of in {"C", "X/Z/D"}:
        assert one.instead_of == instead_of
    assert loose.recipes[0].loosened == (2,)


def test_what_undoes_a_rule_of_the_base_is_loosening_too():
    below = "name: below\nbase: basic\nrules:\n  - {keyword: SliceThickness, action: X, reason: r}\n"
    assert read("KEEP SliceThickness").recipes[0].lines[-1].outcome is Outcome.SAME
    plain = read("KEEP SliceThickness", "name: mine\nbase: below\n", behind=below)
    assert plain.code(0x00180050) == "X"
    assert became(plain)[2][0] == "not-translated"
    loose = read("KEEP SliceThickness", "name: mine\nbase: below\n", why=WHY, behind=below)
    (one,) = loosened(loose)
    assert (one.place, one.instead_of, one.reason) == ("ct.recipe, line 2", "X", WHY)


@pytest.mark.parametrize(
    ("keyword", "sentence"),
    [
        ("PatientName", "it names a person or a patient, and no rule keeps that"),
        ("PatientID", "it names a person or a patient"),
        ("StudyInstanceUID", "a UID that is kept while its references are replaced"),
        ("StudyDate", "one date that is kept beside moved ones"),
        ("PatientAge", "an age needs the option"),
    ],
)
def test_what_no_reason_keeps_is_contained_with_a_sentence(keyword, sentence):
    found = read(f"KEEP {keyword}", why=WHY)
    assert found.rules == ()
    (line,) = found.recipes[0].not_taken
    assert sentence in line.became


def test_what_an_option_keeps_needs_no_reason():
    head = f"{HEAD}options: [retain-uids, retain-device-identity]\ndates: keep\n"
    found = read("KEEP StudyInstanceUID\nKEEP DeviceSerialNumber\nKEEP StudyDate", head)
    assert found.rules == ()
    assert found.recipes[0].not_taken == ()
    assert [line.number for line in found.recipes[0].without_effect] == [2, 3, 4]


def test_a_line_that_is_taken_in_part_is_listed():
    found = read("KEEP contains:StationName|OperatorsName", why=WHY)
    (line,) = found.recipes[0].not_taken
    assert line.outcome is Outcome.RULE
    assert "not applied to" in line.became
    assert "K for" in line.became


# Private elements and policies


def test_private_elements_are_the_profiles_to_keep():
    keep, remove = 'KEEP (0019,"Agfa ADC NX",F5)', 'REMOVE (0019,"Agfa ADC NX",07)'
    assert read(keep, why=WHY).rules == ()
    assert "choose 'private: safe'" in became(read(keep, why=WHY))[2][1]
    safe = f"{HEAD}private: safe\n"
    found = read(f"{keep}\n{remove}", safe, why=WHY)
    assert [(rule.subject, rule.action) for rule in found.rules] == [
        ('(0019,"Agfa ADC NX",F5)', "K"),
        ('(0019,"Agfa ADC NX",07)', "X"),
    ]
    assert [one.place for one in loosened(found)] == ["ct.recipe, line 2"]
    assert read(keep, safe).rules == ()
    assert became(read(keep, safe))[2][0] == "not-translated"
    listed = read('KEEP (2001,"Philips Imaging DD 001",01)', safe)
    assert became(listed)[2][0] == "same"


def test_private_groups_that_stay_are_not_said_to_go():
    found = read("REMOVE select:group:2001", f"{HEAD}private: safe\n")
    assert became(found)[2][0] == "not-translated"
    assert "'private: safe' decides" in became(found)[2][1]
    assert "private elements are not meant" in became(read("REMOVE ALL", f"{HEAD}private: safe\n"))[2][1]


def test_a_date_that_the_profile_keeps_is_not_said_to_be_moved_nor_saved_from_removal():
    head = f"{HEAD}dates: keep\n"
    found = read("REMOVE StudyDate\nJITTER StudyDate 3", head)
    assert found.code(0x00080020) == "X"
    assert became(found)[3] == (
        "not-translated",
        "not applied to StudyDate: 'dates: keep' leaves dates; only 'dates: shift' moves them",
    )
    assert became(read("JITTER StudyDate 3", f"{HEAD}dates: remove\n"))[2][0] == "same"


def test_uids_that_the_profile_keeps_are_kept_whatever_the_recipe_says():
    found = read("REMOVE FrameOfReferenceUID", f"{HEAD}options: [retain-uids]\n")
    assert found.rules == ()
    assert "the option retain-uids keeps UIDs" in became(found)[2][1]
    assert became(found)[2][0] == "not-translated"


@pytest.mark.parametrize("limit", ["only: {modality: MR}", "inside: [RequestAttributesSequence]", "inside: []"])
def test_what_the_base_removes_somewhere_does_not_come_back_there(limit):
    below = f"name: below\nbase: basic\nrules:\n  - {{keyword: StudyDescription, action: X, reason: r, {limit}}}\n"
    found = read("REPLACE StudyDescription Teaching", "name: mine\nbase: below\n", behind=below)
    assert found.rules[-1].action == "X"
    assert "where it is removed or emptied" in became(found)[2][1]


# Faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{HEAD}recipe: ct.recipe\n", "line 3: the recipe 'ct.recipe' is not there; lay it beside"),
        (text_of(HEAD, "nothing"), "ct.recipe, line 1: no line begins a section"),
        (text_of(HEAD, "%header\n" + "REMOVE contains:a\n" * 101), "ct.recipe, line 102: more than 100 fields"),
        (text_of(HEAD, "FORMAT nifti\n%header"), "ct.recipe, line 1: the format of the recipe is not"),
        (text_of(HEAD, "%header\nREMOVE contains:e"), "ct.recipe, line 1: the recipe becomes "),
        (text_of(HEAD, "%header", why=" "), "line 3: allow_loosening is empty"),
        (text_of(HEAD, "%header", why="x" * 201), "line 3: allow_loosening has more than 200 characters"),
        (text_of(HEAD, "%header").replace("recipe: ct", "recipe: ../ct"), "line 3: the recipe lies beside the profile"),
        (text_of(HEAD, "%header").replace("recipe: ct.recipe", "recipe: {}"), "line 3: the recipe has no file"),
        (text_of(HEAD, "%header").replace("recipe: ct.recipe", "recipe: {a: b}"), "line 3: unknown key 'a'"),
        (text_of(HEAD, "%header").replace("recipe: ct.recipe", "recipe: [a]"), "line 3: the key 'recipe' must be keys"),
        (
            text_of(HEAD, "%header").replace("recipe: ct.recipe\n", ""),
            "line 4: the profile before this recipe does not",
        ),
        (text_of(HEAD, "%header").replace("recipe_file: ct", "recipe_file: mr"), "line 5: the profile before this"),
        (text_of(HEAD, "%header").replace("recipe_file: ct.recipe\n", ""), "line 5: the recipe's document has no"),
        (text_of(HEAD, "%header").replace("recipe_text", "text"), "line 6: unknown key 'text' in the recipe's"),
        (text_of(HEAD, "%header") + "---\nrecipe_text: a\n", "line 9: a profile has one recipe"),
        ("recipe_file: ct.recipe\nrecipe_text: a\n", "line 1: here stands the text of a recipe; the profile"),
        (
            "name: mine\nbase: below\n---\n" + text_of("name: below\nbase: basic", "nothing"),
            "below, ct.recipe, line 1: no",
        ),
    ],
    ids=range(18),
)
def test_a_fault_names_the_line_of_the_profile_or_the_recipe_and_its_line(text, fault):
    assert any(one.startswith(fault) for one in faults_of(text)), faults_of(text)


def test_too_many_regular_expressions_are_a_fault_of_the_label():
    labels = "\n".join(f"LABEL l{n}\ncontains Manufacturer a{n}+" for n in range(201))
    (fault,) = faults_of(text_of(HEAD, f"%filter graylist\n{labels}"))
    assert fault.startswith("ct.recipe, line 402: there are more than 200 regular expressions")


def test_the_rules_of_base_and_recipe_are_counted_together():
    rules = "".join(f"  - {{tag: '(0018,{n:04X})', action: Z, reason: r}}\n" for n in range(1, 1991))
    below = f"name: below\nbase: basic\nrules:\n{rules}"
    recipe = "\n".join(f"REMOVE (0008,{n:04X})" for n in (0x1030, 0x103E, 0x0070, 0x0008, 0x2111, 0x2142, 0x2143))
    assert read(recipe, "name: mine\nbase: below\n", behind=below).rules
    (fault,) = faults_of(text_of("name: mine\nbase: below\n", "%header\nREMOVE ALL", behind=below))
    assert "ct.recipe, line 1: the recipe becomes" in fault
    assert "behind 1,990 of the base" in fault


def test_faults_of_recipe_and_profile_are_told_together():
    faults = faults_of(text_of(f"{HEAD}dates: soon\n", "nothing"))
    assert len(faults) == 2


# Agreement, and what is never more


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
@pytest.mark.parametrize("why", ["", WHY])
def test_a_recipe_beside_a_profile_does_what_its_translation_does(path, why):
    translated = Profile.from_yaml(translate_recipe(path.read_text(), name="mine", allow_loosening=why).profile_yaml)
    private = "safe" if "retain_safe_private" in translated.options else "remove"
    beside = read(path.read_text(), f"{HEAD}private: {private}\n", why=why)
    assert beside.options == translated.options
    for tag in vr_table():
        assert beside.code(tag) == translated.code(tag)
    assert [(one.conditions, one.name) for one in beside.doubts] == [
        (one.conditions, one.name) for one in translated.doubts
    ]
    assert [(rule.subject, rule.inside, rule.action) for rule in beside.rules] == [
        (rule.subject, rule.inside, rule.action) for rule in translated.rules
    ]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
@pytest.mark.parametrize("base", ["teaching", "strict"])
def test_every_line_of_a_recipe_that_is_shipped_is_accounted_for_beside_a_profile(path, base):
    found = read(path.read_text(), f"name: mine\nbase: {base}\n", behind=shipped_text(base))
    (use,) = found.recipes
    lines = [number for number, line in enumerate(path.read_text().splitlines(), 1) if line.strip()]
    assert [line.number for line in use.lines] == lines
    told = {line.number for line in (*use.not_taken, *use.without_effect)}
    for line in use.lines:
        is_idle = line.outcome is not Outcome.RULE and not line.source.startswith(("%", "#", "FORMAT"))
        assert (line.number in told) >= is_idle, line
    assert {one.place for one in loosened(found)} == {f"{base}, {one.place}" for one in loosened(shipped(base))}
    if path in SHIPPED:
        assert found.doubts


FIELDS = (
    *(field for field in ATTRIBUTES if field != "Rows"),
    *("all", "contains:Date", "contains:Name|Description", "endswith:UID", "startswith:Referenced", "select:VR:LO"),
    *("select:VR:DA", "select:VR:CS", "select:group:2001", "except:Patient", "fields:mine", "PatientsName"),
    *('(2001,"Philips Imaging DD 001",25)', '(2001,"Philips Imaging DD 001",01)', '(0009,"TESTPERSON 01",25)'),
    *("RequestAttributesSequence__SeriesDescription", "AcquisitionContextSequence__DeviceSerialNumber", "PatientName"),
)


@st.composite
def recipes(draw: st.DrawFn) -> str:
    lines = ["FORMAT dicom", "%header"]
    for field in draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=12)):
        action = draw(st.sampled_from(["KEEP", "KEEP", "REMOVE", "BLANK", "REPLACE", "JITTER", "ADD"]))
        value = {"REPLACE": draw(st.sampled_from([" a", " deid_func:jitter days=3", " func:mine"])), "JITTER": " 3"}
        lines.append(f"{action} {field}{value.get(action, ' a' if action == 'ADD' else '')}")
    return "\n".join([*lines, "%fields mine", "FIELD StationName", "FIELD contains:Protocol"])


def beside(made: Made, recipe: str, *, why: str = "") -> Profile:
    """Return a profile that has nothing but a recipe, on one that was made."""
    base = made.text.replace("name: made", "name: below")
    return read(recipe, "name: mine\nbase: below\n" + policies_of(made), why=why, behind=base)


def policies_of(made: Made) -> str:
    return "".join(f"{line}\n" for line in made.head if line.startswith(("dates:", "text:", "private:", "age:")))


def kept(profile: Profile, part10: bytes) -> set[tuple[tuple[int, ...], int, bytes | str]] | None:
    """Return what is written as it stood; None where it is held."""
    engine = Deidentifier(profile)
    received = engine.read(io.BytesIO(part10))
    try:
        plan = engine.plan(received, scope())
    except DeidentificationError:
        return None
    before: dict[tuple[tuple[int, ...], int], set[bytes | str]] = {}
    for place, value in facts(received.identified_elements):
        before.setdefault(place, set()).add(value)
    return {(*place, value) for place, value in facts(plan.elements) if value in before.get(place, ())}


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=80, deadline=None, derandomize=True)
@given(profiles(most=8), recipes(), instances())
def test_without_a_reason_a_recipe_keeps_nothing_that_the_profile_would_not_keep(made, recipe, part10):
    with_it = beside(made, recipe)
    assert with_it.recipes[0].loosened == ()
    before, after = kept(made.profile, part10), kept(with_it, part10)
    if before is not None and after is not None:
        assert not after - before


RANKS = {
    "gone": 0,
    "X": 0,
    "Z": 0,
    "X/Z": 0,
    "D": 1,
    "Z/D": 1,
    "X/D": 1,
    "X/Z/D": 1,
    "U": 1,
    "X/Z/U*": 1,
    "C": 2,
    "K": 3,
}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(profiles(most=8), recipes())
def test_no_rule_of_a_recipe_without_a_reason_keeps_more_for_any_attribute(made, recipe):
    with_it = beside(made, recipe)
    assert {one.place for one in loosened(with_it) if one.place.startswith("ct.recipe") and one.action in "KC"} == set()
    types, paths = iod_types(STORAGE + "2"), ((), (0x00400275,), (0x00400555,))
    first, second = Decisions(made.profile, types), Decisions(with_it, types)
    for tag, vr in vr_table().items():
        for path in paths:
            assert first.keeps(tag, vr, path) >= second.keeps(tag, vr, path), (hex(tag), path)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(profiles(most=8), recipes())
def test_with_a_reason_everything_that_is_kept_beyond_the_profile_is_listed_by_its_line(made, recipe):
    loose = beside(made, recipe, why=WHY)
    listed = {one.place: one for one in loosened(loose)}
    keeping = {rule.place for rule in loose.rules if rule.place.startswith("ct.recipe") and rule.action == "K"}
    assert keeping <= set(listed)
    assert {int(re.sub(r"\D", "", place)) for place in keeping} == set(loose.recipes[0].loosened)
    assert all(listed[place].reason == WHY for place in keeping)


def lines_of_words() -> Iterator[str]:
    yield from (
        "%filter graylist",
        "%values mine",
        "%nothing",
        "LABEL a",
        "contains Modality CT",
        "+ empty KVP",
        "FIELD a",
    )
    yield from ("REMOVE", "remove KVP", "REPLACE KVP", "coordinates 1,2,3,4", "|| equals Rows 1", "%header", "ADD a b")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(sorted(lines_of_words())) | recipes(), max_size=6), st.booleans())
def test_whatever_stands_in_a_recipe_no_line_is_lost(parts, has_reason):
    recipe = "\n".join(["%header", *parts])
    found = read(recipe, why=WHY if has_reason else "")
    numbers = [number for number, line in enumerate(recipe.splitlines(), 1) if line.strip()]
    assert [line.number for line in found.recipes[0].lines] == numbers
    assert all(line.became for line in found.recipes[0].lines)
