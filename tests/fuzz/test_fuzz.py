"""No crash, no hang, no growth: what was too much once, the same mutations each time, and a little of what is new."""

import importlib.util
import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from tests.fuzz import targets as module
from tests.fuzz.campaign import campaign
from tests.fuzz.targets import FILES, TARGETS, WIRE, chosen, clean, joined, left_over, regressions
from tests.tools import missing

SECONDS = 20
MUTATIONS = 1500
GROWTH_MB = 24
STRIKING = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xfe\xff\xdd\xe0")


@pytest.fixture(autouse=True, scope="module")
def _cleaned():
    yield
    clean()


@pytest.mark.parametrize("name", TARGETS)
def test_every_example_and_what_was_too_much_once_is_read(name: str) -> None:
    target = TARGETS[name]
    examples = [*target.seeds(), *(path.read_bytes() for path in regressions(name))]
    assert examples
    for data in [*examples, b""]:
        target.read(data)


def mutated(seeds: list[bytes], chance: random.Random) -> bytes:
    """Return an example with a few bytes changed, cut out, doubled or put in from elsewhere."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 2, 4, 8, 64)))
        match chance.randrange(5):
            case 0:
                data[start:end] = chance.randbytes(end - start)
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = data[start:end]
            case 3:
                other = chance.choice(seeds)
                place = chance.randrange(len(other) + 1)
                data[start:end] = other[place : place + 64]
            case 4:
                data[start:end] = chance.choice(STRIKING)
    return bytes(data)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_examples_are_read_without_growth(name: str) -> None:
    target, chance = TARGETS[name], random.Random(f"casebridge {name}")
    seeds = target.seeds()
    for _ in range(MUTATIONS // 3):
        target.read(mutated(seeds, chance))
    threads, files, memory = threading.active_count(), open_files(), resident_mb()
    for _ in range(MUTATIONS):
        target.read(mutated(seeds, chance))
    assert threading.active_count() == threads
    assert open_files() <= files
    assert resident_mb() - memory < GROWTH_MB
    assert not left_over()


@pytest.mark.parametrize("name", TARGETS)
def test_arbitrary_bytes_are_read(name: str) -> None:
    target = TARGETS[name]

    @limits(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(st.binary(max_size=400) | st.sampled_from(target.seeds()).flatmap(_with_a_piece_replaced))
    def read(data: bytes) -> None:
        target.read(data)

    read()


def _with_a_piece_replaced(data: bytes) -> st.SearchStrategy[bytes]:
    place = st.integers(0, max(0, min(len(data), 4000) - 1))
    return st.builds(lambda at, piece: data[:at] + piece + data[at + len(piece) :], place, st.binary(max_size=12))


@pytest.mark.slow
def test_a_short_campaign_guided_by_coverage_finds_nothing() -> None:
    if importlib.util.find_spec("atheris") is None:
        missing("atheris has no package for this platform or Python")
    for found in campaign([WIRE, FILES], seconds=SECONDS):
        assert not found.failure, f"kept as {found.kept}:\n{found.failure}"
        assert found.inputs > 200


def test_every_target_is_in_a_campaign() -> None:
    assert sorted([*WIRE, *FILES]) == sorted(TARGETS)


def test_a_reader_that_raises_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "parse_command", lambda data: data[10_000])
    with pytest.raises(IndexError):
        TARGETS["command"].read(b"x")


def test_an_object_left_half_arrived_is_noticed() -> None:
    half = module._spool().root / "incoming" / "half.part"
    half.write_bytes(b"")
    assert left_over() == 1
    with pytest.raises(AssertionError, match="left behind"):
        TARGETS["pdata"].read(TARGETS["pdata"].seeds()[-1])
    half.unlink()


def test_a_success_without_its_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "rglob", lambda *_: iter(()))
    with pytest.raises(AssertionError, match="do not match"):
        TARGETS["pdata"].read(TARGETS["pdata"].seeds()[-1])


def test_a_campaign_keeps_what_it_finds() -> None:
    names = ("command", "identity")
    data = joined(names, "identity", b"abc")
    assert chosen(names, data) == ("identity", b"abc")
    assert chosen(("command",), b"abc") == ("command", b"abc")
