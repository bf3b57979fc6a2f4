"""The benchmarks import, and what they generate and send is DICOM; nothing is timed here."""

import io
import json
import os
import threading
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import pytest
from click.testing import CliRunner
from pydicom import dcmread

from benchmarks import blast, inputs, measure, report
from benchmarks.false_holds import NAMES as PATIENTS
from benchmarks.false_holds import count_holds, generated
from benchmarks.run import NAMES, PAGE, SIZES, main
from deidentify.deidentifier import Deidentifier, HeaderPlan
from deidentify.errors import ResidualIdentifierError
from scp.peers import PeerRules, write_peer_rules
from scp.server import Receiver, ReceiverSettings
from scp.spool import Spool
from tests.deidentify.support import profile

MODULES = sorted(file.stem for file in Path(inputs.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_every_script_imports(name: str) -> None:
    assert import_module(f"benchmarks.{name}").__doc__


def test_every_sub_benchmark_has_its_sizes_and_its_function() -> None:
    assert set(SIZES) == set(NAMES)
    assert all(callable(import_module(f"benchmarks.{name}").measure) for name in NAMES)


def test_the_command_explains_itself() -> None:
    answer = CliRunner().invoke(main, ["--help"])
    assert answer.exit_code == 0
    assert all(name in answer.output for name in NAMES)


def test_a_series_is_one_study_of_whole_files_as_long_as_a_scanner_s(tmp_path: Path) -> None:
    files = inputs.ct_series(tmp_path, 3, size=32)
    slices = [dcmread(file) for file in files]
    assert [one.InstanceNumber for one in slices] == [1, 2, 3]
    assert len({one.SOPInstanceUID for one in slices}) == 3
    assert len({one.StudyInstanceUID for one in slices}) == 1
    assert all(250 <= inputs.element_count(one) <= 290 for one in slices)
    assert all(one.pixel_array.shape == (32, 32) for one in slices)
    assert len({one.PixelData for one in slices}) == 3


def test_the_same_arguments_give_the_same_bytes() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for target in (first, second):
        inputs.ct_slice(2, size=32).save_as(target, enforce_file_format=True)
    assert first.getvalue() == second.getvalue()


def test_a_series_that_is_there_is_taken_as_it_is(tmp_path: Path) -> None:
    (file,) = inputs.ct_series(tmp_path, 1, size=32)
    before = file.stat().st_mtime_ns
    inputs.ct_series(tmp_path, 1, size=32)
    assert file.stat().st_mtime_ns == before


def test_the_sender_s_objects_arrive_whole_over_several_associations(tmp_path: Path) -> None:
    files = inputs.ct_series(tmp_path / "in", 5, size=64)
    spool = Spool(tmp_path / "spool", name_key=bytes(32), reserve_bytes=0)
    spool.prepare()
    write_peer_rules(spool.peer_rules_path, PeerRules(rules=(), is_open=True, called_aes=()))
    with Receiver(ReceiverSettings(host="127.0.0.1", port=0), spool) as receiver:
        senders = blast.blast(receiver.port, files, 2)
        threads = [threading.Thread(target=sender.send) for sender in senders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        for sender in senders:
            sender.release()
    assert sum(sender.stored for sender in senders) == 5
    arrivals, _ = spool.scan()
    received = {
        blast.split_file(spool.path(one.study_key, one.sop_key, one.arrival_id).read_bytes()) for one in arrivals
    }
    assert received == {blast.split_file(file.read_bytes()) for file in files}


def test_the_cpu_time_of_a_tree_grows_and_has_this_process() -> None:
    assert os.getpid() in measure.tree(os.getpid())
    assert measure.cpu_seconds(os.getpid()) > 0


def test_ratios_are_those_of_repeats_side_by_side() -> None:
    assert measure.ratio([2, 9], [1, 3]).text(1) == "2.5 (2.0–3.0)"  # noqa: RUF001 - a range


def test_a_page_keeps_what_stands_around_the_tables(tmp_path: Path) -> None:
    section = report.Section(
        name="a",
        title="A",
        tables=[report.Table(title="T", columns=("x", "y"), rows=[("one", "2")])],
        data={"one": [2]},
    )
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.begin('a')}\nold\n{report.end('a')}\nafter\n")
    report.put_between_markers(page, "a", report.markdown(section, {"cores": "2"}))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| one | 2 |" in text
    assert "old" not in text
    report.write_json(tmp_path / "a.json", section, {"cores": "2"})
    assert json.loads((tmp_path / "a.json").read_text())["repeats"] == {"one": [2]}


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_each_table_between_its_markers(name: str) -> None:
    _, begin, rest = PAGE.read_text().partition(report.begin(name))
    assert begin
    assert "| " in rest.partition(report.end(name))[0]


@pytest.mark.filterwarnings("ignore")
def test_no_common_name_holds_what_the_scanner_says_by_itself(tmp_path: Path) -> None:
    count = count_holds(Deidentifier(profile()), generated(tmp_path), PATIENTS[::4])
    assert count.instances > 150
    assert count.held == {}


@pytest.mark.filterwarnings("ignore")
def test_a_hold_is_counted_with_its_reason(tmp_path: Path) -> None:
    class Careless(Deidentifier):
        def verify(self, plan: HeaderPlan, target: BinaryIO) -> None:
            del plan, target
            raise ResidualIdentifierError("an identifier of the original was found in (0008,103E)")

    count = count_holds(Careless(profile()), generated(tmp_path)[:1], PATIENTS[:2])
    assert count.held == {"residual-identifier: an identifier of the original was found in (0008,103E)": 2}
