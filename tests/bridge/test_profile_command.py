"""``casebridge profile``: what it prints, its exit statuses, and every fault with the name of the file."""

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from bridge.__main__ import main
from deidentify.profile import Profile
from deidentify.profile_schema import schema

MINE = """\
name: mine
description: For the teaching file of our department.
base: teaching
vocabulary: [kneifenberg]
sop_classes: {hold: [MR Image Storage]}
hold: [{name: dental, reason: A tooth names its owner., when: {keyword: BodyPartExamined, is: JAW}}]
rules:
  - {keyword: DeviceSerialNumber, action: K, reason: '[red]We[/red] compare.', only: {modality: [MR]}}
  - {tag: "(0018,9xxx)", action: X, reason: Not needed., inside: []}
  - {private: {creator: "SIEMENS MR HEADER"}, action: X, reason: Not needed.}
"""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the site's profiles; the working folder is another one."""
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    monkeypatch.setenv("CASEBRIDGE_PROFILES_DIR", str(profiles))
    monkeypatch.chdir(tmp_path)
    return profiles


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["profile", *arguments])


def answer(*arguments: str):
    done = run(*arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def put(folder: Path, text: str = MINE, name: str = "mine") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# -- list -------------------------------------------------------------------------------------------------------------


def test_list_tells_names_revisions_and_bases(folder):
    put(folder)
    rows = {row["name"]: row for row in answer("list")}
    assert set(rows) >= {"mine", "teaching", "strict", "research-dates"}
    assert rows["mine"]["base"] == "teaching"
    assert rows["strict"]["base"] == "basic"
    assert len(rows["mine"]["revision"]) == 16
    done = run("list")
    assert done.exit_code == 0
    assert "For the teaching file of our department." in done.stdout


def test_list_tells_of_a_profile_that_is_refused_and_ends_with_two(folder):
    path = put(folder, "name: mine\nbase: basic\ndates: soon\n")
    (folder / "odd.yaml").write_bytes(b"\xff\xfe")
    done = run("list", "--json")
    assert done.exit_code == 2
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["mine"]["revision"] == rows["odd"]["revision"] == "refused"
    assert rows["mine"]["description"].startswith(f"{path}: line 3: dates is 'soon'")
    assert "cannot be read" in rows["odd"]["description"]
    assert rows["teaching"]["revision"] != "refused"


# -- check ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["teaching", "strict", "research-dates"])
def test_check_accepts_what_is_shipped(folder, name):
    done = run("check", name)
    assert (done.exit_code, done.stderr) == (0, "")
    assert name in done.stdout


def test_check_tells_what_a_profile_says_and_loosens(folder):
    found = answer("check", str(put(folder)))
    assert found["name"] == "mine"
    assert found["base"] == ["teaching"]
    assert found["held"] == ["1.2.840.10008.5.1.4.1.1.4"]
    assert found["hold"] == [{"name": "dental", "reason": "A tooth names its owner.", "where": "line 6"}]
    assert [rule["where"] for rule in found["rules"]][-3:] == ["line 8", "line 9", "line 10"]
    assert found["rules"][0]["where"].startswith("teaching, line ")
    assert found["rules"][-3]["only_for"] == "MR"
    assert found["rules"][-2]["only_for"] == "top level"
    assert {one["place"] for one in found["loosened"]} >= {"line 8", "vocabulary"}
    done = run("check", "mine")
    assert done.exit_code == 0
    assert "[red]We[/red] compare." in done.stdout
    assert "DeviceSerialNumber" in done.stdout


def test_check_says_so_where_nothing_is_loosened(folder):
    assert "Nothing is kept that options and Table E.1-1 would not keep." in run("check", "strict").stdout


def test_check_tells_what_goes_on_by_an_option_apart_from_what_is_held(folder):
    put(folder, "name: mine\nbase: basic\noptions: [clean-graphics]\nsop_classes: {drop: [video]}\n")
    found = answer("check", "mine")
    assert found["dropped"] == ["video"]
    assert found["kept"] == ["presentation-state"]
    assert "presentation-state" not in found["held"]
    put(folder, "name: mine\nbase: basic\noptions: [clean-graphics]\nsop_classes: {hold: [presentation-state]}\n")
    assert "presentation-state" in answer("check", "mine")["held"]


def test_every_fault_stands_on_standard_error_with_the_name_of_the_file(folder):
    path = put(
        folder, "name: mine\nbase: basic\ndates: soon\nrules:\n  - {keyword: Rows, action: K, reason: r}\n  - {}\n"
    )
    done = run("check", str(path))
    assert (done.exit_code, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert [line.split(": ")[1] for line in lines] == ["line 3", "line 5", "line 6"]
    assert all(line.startswith(f"{path}: ") for line in lines)
    by_name = run("check", "mine", "--json")
    assert by_name.exit_code == 2
    assert by_name.stderr.startswith("mine: line 3: ")


def test_a_fault_of_a_base_has_the_lines_of_the_base(folder):
    put(folder, "name: site\nbase: basic\ndates: soon\n", "site")
    path = put(folder, "# one\n# two\nname: mine\nbase: site\n")
    assert run("check", str(path)).stderr.startswith(f"{path}: site, line 3: dates is 'soon'")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nobody", "there is no profile 'nobody'; name one of: "),
        ("none.yaml", "none.yaml: cannot be read (FileNotFoundError)"),
        ("odd.yaml", "odd.yaml: cannot be read (UnicodeDecodeError)"),
        ("zero.yaml", "line 1: this is not YAML"),
        ("bomb.yaml", "line 1: anchors and aliases"),
        ("mine.yaml", "circle by way of 'mine'"),
    ],
)
def test_what_cannot_be_read_ends_with_two_and_a_sentence(folder, source, sentence):
    Path("odd.yaml").write_bytes(b"name: \xe4\n")
    Path("zero.yaml").write_bytes(b"\0\1\2")
    Path("bomb.yaml").write_text("a: &a [x]\nb: [*a, *a]\n", encoding="utf-8")
    Path("mine.yaml").write_text("name: mine\nbase: mine\n", encoding="utf-8")
    for command in ("check", "explain"):
        done = run(command, source)
        assert (done.exit_code, done.stdout) == (2, "")
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


# -- explain ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["DeviceSerialNumber", "(0018,1000)"])
def test_explain_names_the_line_that_won_and_what_wins_in_some_instances(folder, attribute):
    put(folder)
    (one,) = answer("explain", "mine", attribute)
    assert (one["tag"], one["code"], one["by"]) == ("(0018,1000)", "X/Z/D", "Basic Profile")
    (rule,) = one["in_some_instances"]
    assert (rule["where"], rule["action"]) == ("line 8", "K")
    shown = run("explain", "mine", attribute).stdout
    assert "In instances of: MR" in shown
    assert "by:      rule: line 8" in shown
    assert "reason:  [red]We[/red] compare." in shown


def test_explain_lets_no_rule_win_that_stands_before_the_winner(folder):
    rules = "  - {keyword: KVP, action: Z, reason: r, only: {modality: MR}}\n  - {keyword: KVP, action: X, reason: r}\n"
    put(folder, f"name: mine\nbase: basic\nrules:\n{rules}")
    assert "In instances of" not in run("explain", "mine", "KVP").stdout
    put(folder, f"name: mine\nbase: basic\nrules:\n{''.join(reversed(rules.splitlines(keepends=True)))}")
    assert "by:      rule: line 5" in run("explain", "mine", "KVP").stdout


def test_explain_knows_paths_and_classes(folder):
    rule = "{keyword: KVP, action: X, reason: r, inside: [AcquisitionContextSequence]}"
    put(folder, f"name: mine\nbase: basic\nrules:\n  - {rule}\n")
    assert answer("explain", "mine", "KVP")[0]["by"] == "outside the table"
    inside = answer("explain", "mine", "KVP", "--inside", "AcquisitionContextSequence", "--inside", "(0040,0555)")[0]
    assert (inside["by"], inside["inside"]) == ("rule", ["(0040,0555)", "(0040,0555)"])
    assert answer("explain", "mine", "StudyDate", "--sop-class", "1.2.840.10008.5.1.4.1.1.4")[0]["tag"] == "(0008,0020)"
    assert answer("explain", "mine", "StudyDate", "--sop-class", "MR Image Storage")


def test_explain_without_an_attribute_tells_of_all_that_table_and_rules_name(folder):
    put(folder)
    found = answer("explain", "mine")
    assert len(found) > 640
    assert [one["tag"] for one in found] == sorted(one["tag"] for one in found)
    done = run("explain", "mine")
    assert done.exit_code == 0
    assert "which line won" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "teaching", "devicenumber"),
        ("explain", "teaching", "(0018,10xx)"),
        ("explain", "teaching", "(0018,100)"),
        ("explain", "teaching", "KVP", "--inside", "nowhere"),
        ("explain", "teaching", "KVP", "--sop-class", "Picture"),
        ("check",),
        ("translate", "none.script"),
        ("fly",),
    ],
)
def test_wrong_usage_ends_with_two(folder, arguments):
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage:" in done.stderr


# -- show and schema --------------------------------------------------------------------------------------------------


def test_show_prints_a_text_that_means_the_same(folder):
    put(folder)
    done = run("show", "mine")
    assert (done.exit_code, done.stderr) == (0, "")
    shown = Profile.from_yaml(done.stdout)
    assert shown.bases == ("teaching",)
    whole = put(folder, done.stdout, "whole")
    again = answer("check", str(whole))
    assert again["loosened"] == answer("check", "mine")["loosened"]


def test_show_of_what_is_not_there_ends_with_two_and_a_sentence(folder):
    done = run("show", "nobody")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is no profile 'nobody'" in done.stderr


def test_schema_prints_the_schema(folder):
    done = run("schema")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == schema()
    Draft202012Validator(schema()).validate(yaml.safe_load(MINE))


# -- translate --------------------------------------------------------------------------------------------------------

SCRIPT = """<script>
<p t="DATEINC">-3210</p>
<e en="T" t="00080020" n="StudyDate">@incrementdate(this,@DATEINC)</e>
<e en="T" t="00081010" n="StationName">@remove()</e>
<e en="T" t="00080018" n="SOPInstanceUID">@hashuid(@UIDROOT,this)</e>
<e en="T" t="00181000" n="DeviceSerialNumber">@dance()</e>
<e en="T" t="00181030" n="ProtocolName">@remove()</e>
<r en="T" t="overlays">Remove overlays</r>
</script>
"""
RECIPE = "FORMAT dicom\n%header\nREMOVE StationName\nBLANK ProtocolName\nKEEP DeviceSerialNumber\nDANCE KVP\n"


@pytest.mark.parametrize(("text", "arguments"), [(SCRIPT, ()), (RECIPE.replace("DANCE KVP\n", ""), ("--name", "ours"))])
def test_translate_prints_a_profile_that_check_accepts(folder, text, arguments):
    Path("script").write_text(text, encoding="utf-8")
    done = run("translate", "script", *arguments)
    assert done.exit_code == 0, done.stderr
    assert "not translated. Read the profile before it is used." in done.stderr
    written = put(folder, done.stdout, "translated")
    assert answer("check", str(written))["rules"]
    if arguments:
        assert answer("check", str(written))["name"] == "ours"


def test_translate_writes_what_became_of_each_line(folder):
    Path("script").write_text(SCRIPT, encoding="utf-8")
    done = run("translate", "script", "--report", "report.json")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert [line["number"] for line in lines] == sorted(line["number"] for line in lines)
    assert any("dance" in line["source"] and line["outcome"] == "not-translated" for line in lines)


def test_a_recipe_loosens_only_with_a_reason(folder):
    Path("recipe").write_text(RECIPE.replace("DANCE KVP\n", ""), encoding="utf-8")
    plain, loosened = run("translate", "recipe"), run("translate", "recipe", "--allow-loosening", "We compare devices.")
    assert plain.exit_code == loosened.exit_code == 0
    assert Profile.from_yaml(plain.stdout).code(0x00181000) != "K"
    assert Profile.from_yaml(loosened.stdout).code(0x00181000) == "K"
    Path("script").write_text(SCRIPT, encoding="utf-8")
    refused = run("translate", "script", "--allow-loosening", "why")
    assert refused.exit_code == 2
    assert "--allow-loosening is for deid recipes" in refused.stderr


@pytest.mark.parametrize("content", [b"<script><e", b"\xff\xfe", b""])
def test_a_script_that_is_none_ends_with_a_sentence(folder, content):
    Path("script").write_bytes(content)
    done = run("translate", "script")
    assert done.exit_code in {1, 2}
    assert done.stdout == ""
    assert "script: " in done.stderr
    assert "Traceback" not in done.stderr


# -- a recipe beside a profile ----------------------------------------------------------------------------------------

BESIDE = "name: room\nbase: teaching\nrecipe: ct-room.recipe\n"
ROOM = "FORMAT dicom\n%header\n# ours\nREMOVE StationName\nBLANK ProtocolName\nKEEP DeviceSerialNumber\nDANCE KVP\n"


def put_beside(folder: Path, named: str = "ct-room.recipe", recipe: str = ROOM) -> Path:
    (folder / "ct-room.recipe").write_text(recipe, encoding="utf-8")
    return put(folder, BESIDE.replace("ct-room.recipe", named), "room")


def test_check_lists_every_line_of_a_recipe_that_does_nothing(folder):
    put_beside(folder)
    shown = run("check", "room").stdout
    not_taken, changes_nothing = shown.partition("Recipe ct-room.recipe: lines that were not taken")[2].split("Recipe ")
    assert re.findall(r"^(\d+) ", not_taken, re.MULTILINE) == ["6", "7"]
    assert "not applied, since it would loosen the profile: DeviceSerialNumber" in not_taken
    assert changes_nothing.startswith("ct-room.recipe: lines that change nothing, since the profile does as much")
    assert re.findall(r"^(\d+) ", changes_nothing, re.MULTILINE) == ["4"]
    (recipe,) = answer("check", "room")["recipes"]
    assert [line["number"] for line in recipe["lines"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [line["outcome"] for line in recipe["lines"]][3:] == ["same", "rule", "not-translated", "not-translated"]
    put_beside(folder, recipe="%header\nREMOVE ProtocolName\n")
    assert "Recipe ct-room.recipe: every line was taken." in run("check", "room").stdout


def test_what_a_recipe_loosens_stands_with_its_line_and_reason(folder):
    put_beside(folder, "{file: ct-room.recipe, allow_loosening: We compare devices.}")
    found = answer("check", "room")
    (one,) = [one for one in found["loosened"] if one["place"] == "ct-room.recipe, line 6"]
    assert (one["subject"], one["reason"]) == ("(0018,1000) DeviceSerialNumber", "We compare devices.")
    assert "by:      rule: ct-room.recipe, line 6" in run("explain", "room", "DeviceSerialNumber").stdout


def test_what_show_prints_is_the_same_profile_anywhere(folder, tmp_path):
    put_beside(folder)
    shown = run("show", "room")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = put(elsewhere, shown.stdout, "room")
    assert answer("check", str(path)) == answer("check", "room")
    assert run("show", str(path)).stdout == shown.stdout


@pytest.mark.parametrize(
    ("named", "recipe", "fault"),
    [
        ("other.recipe", ROOM, "room.yaml: line 3: the recipe 'other.recipe' is not there; lay it beside"),
        ("ct-room.recipe", "nothing", "room.yaml: ct-room.recipe, line 1: no line begins a section"),
        ("../ct-room.recipe", ROOM, "room.yaml: line 3: the recipe lies beside the profile"),
    ],
)
def test_a_fault_of_a_recipe_names_it_and_its_line(folder, named, recipe, fault):
    done = run("check", str(put_beside(folder, named, recipe)))
    assert (done.exit_code, done.stdout) == (2, "")
    assert fault in done.stderr


def test_a_recipe_that_is_no_text_ends_with_two_and_its_name(folder):
    path = put_beside(folder)
    (folder / "ct-room.recipe").write_bytes(b"%header\n\xff")
    done = run("check", str(path))
    assert done.exit_code == 2
    assert f"Recipe {folder}/ct-room.recipe, which line 3 of the profile names: cannot be read" in done.stderr
    assert run("list", "--json").exit_code == 2
