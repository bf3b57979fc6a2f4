"""The generator plants what its key says, the score sees careless tools, and our engine reaches its targets."""

import random
import shutil
import warnings
from pathlib import Path

import pytest
from pydicom import dcmread

from benchmarks.midib import score as scoring
from benchmarks.midib.bases import chosen, own_studies
from benchmarks.midib.checks import Uids, passes
from benchmarks.midib.closed import found_secrets
from benchmarks.midib.drawn import generate_drawn
from benchmarks.midib.key import Action, Case
from benchmarks.midib.people import CULTURES, Kind, made_up_person
from benchmarks.midib.score import OURS, Score
from benchmarks.midib.studies import generate
from tests.tools import missing

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Case]]:
    folder = tmp_path_factory.mktemp("midib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return folder, generate(folder, own_studies(tmp_path_factory.mktemp("bases")), 5)


def scored(folder: Path, cases: list[Case], out: Path, outcomes: dict[str, str] | None = None) -> Score:
    result = Score("a tool")
    every = {instance.file: "delivered" for case in cases for instance in case.instances}
    scoring.score(result, cases, folder, out, {**every, **(outcomes or {})})
    return result


def rewritten(folder: Path, out: Path, change) -> Path:
    for file in folder.rglob("*.dcm"):
        target = out / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        data = dcmread(file)
        change(data)
        data.save_as(target)
    return out


@pytest.mark.parametrize("culture", list(CULTURES))
def test_everybody_has_names_that_can_be_written_and_are_looked_for(culture):
    person = made_up_person(random.Random(7), "", culture)
    kinds = {secret.kind for secret in person.secrets}
    assert kinds >= set(Kind) - {Kind.UID}
    for secret in person.secrets:
        assert secret.text.strip() == secret.text != ""


def test_nobody_gets_a_name_that_stands_in_the_files():
    avoid = " ".join(CULTURES["greek"].families).lower()
    for seed in range(5):
        assert made_up_person(random.Random(seed), avoid, "greek").culture != "greek"


def test_the_same_seed_gives_the_same_files_and_another_does_not(tmp_path, generated):
    folder, cases = generated
    bases = own_studies(tmp_path / "bases")[:1]
    one = generate(tmp_path / "one", bases, 5)[0]
    other = generate(tmp_path / "other", bases, 6)[0]
    first = cases[0].instances[0].file
    assert (tmp_path / "one" / first).read_bytes() == (folder / first).read_bytes()
    assert (tmp_path / "other" / first).read_bytes() != (folder / first).read_bytes()
    assert one.instances[0].answers == cases[0].instances[0].answers
    assert other.person != one.person


def test_what_is_planted_is_in_the_file_and_every_action_is_asked_for(generated):
    folder, cases = generated
    actions = {answer.action for case in cases for one in case.instances for answer in one.answers}
    assert actions == set(Action) - {Action.PIXELS_HIDDEN}
    for case in cases:
        for instance in case.instances:
            content = (folder / instance.file).read_bytes()
            planted = found_secrets(content, dcmread(folder / instance.file), case.secrets, frozenset())
            assert len({secret.kind for secret in planted}) >= 4
    assert {instance.study for instance in cases[0].instances} == {0, 1}


def test_a_tool_that_copies_keeps_everything_and_removes_nothing(generated, tmp_path):
    folder, cases = generated
    shutil.copytree(folder, tmp_path / "out")
    result = scored(folder, cases, tmp_path / "out")
    assert result.share((scoring.SCAN,)) == 0
    assert result.share((Action.TEXT_REMOVED,)) < 0.05
    assert result.share((Action.UID_CHANGED, Action.DATE_SHIFTED)) == 0
    assert result.share((Action.TEXT_RETAINED, scoring.WORDS, scoring.SEALED_WORDS, scoring.PRIVATE)) == 1
    assert result.share((Action.TAG_RETAINED, Action.TEXT_NOTNULL, Action.PIXELS_RETAINED)) == 1
    assert result.share((scoring.INTERVALS, scoring.REFERENCES)) == 1
    assert result.share((scoring.MARKERS,)) < 0.5


def test_a_tool_that_empties_everything_removes_all_and_keeps_nothing(generated, tmp_path):
    def empty(data):
        for element in list(data):
            if element.keyword not in {"SOPClassUID", "SOPInstanceUID"}:
                del data[element.tag]
        data.SOPInstanceUID = "2.25.1"
        data.preamble = bytes(128)
        data.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
        for keyword in ("SourceApplicationEntityTitle", "PrivateInformation", "PrivateInformationCreatorUID"):
            data.file_meta.pop(keyword, None)

    folder, cases = generated
    result = scored(folder, cases, rewritten(folder, tmp_path / "out", empty))
    assert result.share((scoring.SCAN, Action.TEXT_REMOVED)) == 1
    assert result.share((Action.TEXT_RETAINED, scoring.WORDS, Action.PIXELS_RETAINED)) == 0
    assert result.share((scoring.INTERVALS, Action.PATID_CONSISTENT)) == 0
    assert result.share((Action.UID_CONSISTENT,)) == 0
    assert result.share((scoring.TYPES,)) < 0.3


def test_one_forgotten_comment_is_seen(generated, tmp_path):
    folder, cases = generated
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = scoring.apply(OURS, folder, tmp_path / "out")
    before = scored(folder, cases, tmp_path / "out", answer["outcomes"])
    assert before.share((scoring.SCAN,)) == 1
    victim = cases[0].instances[0]
    data = dcmread(tmp_path / "out" / victim.file)
    data.private_block(0x0029, "ACME", create=True).add_new(1, "LO", cases[0].person.record)
    data.save_as(tmp_path / "out" / victim.file)
    after = scored(folder, cases, tmp_path / "out", answer["outcomes"])
    assert after.asked[scoring.SCAN] - after.passed[scoring.SCAN] == 1


def test_what_is_held_is_asked_nothing_and_counted(generated, tmp_path):
    folder, cases = generated
    shutil.copytree(folder, tmp_path / "out")
    held = {one.file: "held: reason: detail" for case in cases for one in case.instances}
    result = scored(folder, cases, tmp_path / "out", held)
    assert result.outcomes == {"held": len(held)}
    assert result.delivered() == 0
    assert sum(result.asked.values()) == 0
    assert result.share((Action.TEXT_REMOVED,)) is None


@pytest.mark.timeout(600)
def test_our_engine_reaches_its_targets_on_files_of_the_corpus(tmp_path):
    bases = chosen(random.Random(11), 8)
    if not bases:
        missing("the corpus of real DICOM files is not here (set CASEBRIDGE_CORPUS)")
    cases = generate(tmp_path / "in", bases, 11)
    answer = scoring.apply(OURS, tmp_path / "in", tmp_path / "out")
    result = scored(tmp_path / "in", cases, tmp_path / "out", answer["outcomes"])
    print(result.outcomes, *(f"{count} {what}" for what, count in result.misses.items()), sep="\n")
    assert result.share((*scoring.REMOVALS, scoring.SCAN)) == 1
    assert result.share(scoring.RELATIONS) == 1
    assert result.share((Action.PIXELS_RETAINED,)) == 1
    assert result.share((scoring.MARKERS,)) == 1
    assert result.share(scoring.VALUES) >= 0.99
    assert result.delivered() >= 0.97


def test_what_is_drawn_into_pixels_is_seen_until_it_is_blanked(tmp_path):
    import numpy as np

    cases = generate_drawn(tmp_path, 6, 1)
    answers = {case.name: case.instances[0].answers[0] for case in cases}
    assert [answer.action is Action.PIXELS_HIDDEN for answer in answers.values()].count(True) == 4
    for name, answer in answers.items():
        data = dcmread(tmp_path / name / "study0" / "000.dcm")
        judged = passes(data, answer, Uids())
        assert judged is not None
        assert judged.passed is (answer.action is Action.PIXELS_RETAINED)
        if not judged.passed:
            data.PixelData = np.zeros((data.Rows, data.Columns), dtype="<u2").tobytes()
            judged = passes(data, answer, Uids())
            assert judged is not None
            assert judged.passed
