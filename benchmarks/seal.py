"""What sealing the spool costs: receiving with and without a spool key in turns, and sealing alone."""

# ruff: noqa: RUF001 - the tables are for people: signs of multiplication, ranges with a dash

import io
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.inputs import ct_series
from benchmarks.measure import ratio, spread
from benchmarks.receive import OURS, Sample, sample
from benchmarks.receivers import RECEIVERS
from benchmarks.report import NOTHING, Section, Table
from scp.sealing import SealedName, SealingWriter, SpoolKeys, open_sealed, seal

__all__ = ["measure"]

PLAIN, SEALED = "plain", "sealed"
_WARM_UP = 12
_KEY = "5c" * 32
_NAME = SealedName(name=b"an arrival", study=b"a study")
_ALONE_BYTES = 192 * 1024 * 1024
_FRAGMENT_BYTES = 128 * 1024


def measure(work: Path, *, repeats: int, objects: int, step: Callable[[str], None]) -> Section:
    """Measure the receiver with one and with four associations, plain and sealed in turns; and the cipher alone."""
    files = ct_series(work / f"ct-{objects + _WARM_UP}", objects + _WARM_UP)
    ours = next(receiver for receiver in RECEIVERS if receiver.name == OURS)
    receivers = {PLAIN: ours, SEALED: replace(ours, settings=(("SPOOL_KEY_COMMAND", f"echo {_KEY}"),))}
    samples: dict[tuple[int, str], list[Sample]] = defaultdict(list)
    alone: dict[str, list[float]] = defaultdict(list)
    for repeat in range(repeats):
        for associations in (1, 4):
            for how, receiver in receivers.items():
                step(f"seal {repeat + 1}/{repeats}: {how}, {associations} association(s)")
                samples[associations, how].append(
                    sample(receiver, work / "receive", files[0].parent, objects, associations)
                )
        step(f"seal {repeat + 1}/{repeats}: the cipher alone")
        for what, rate in _alone().items():
            alone[what].append(rate)
    what = f"CT of {files[0].stat().st_size / 1e6:.2f} MB × {objects}, n = {repeats}"
    return Section(
        name="seal",
        title="Sealing the spool",
        tables=[*(_table(samples, associations, what) for associations in (1, 4)), _alone_table(alone)],
        notes=["The same receiver, on one disk, synced before each Success; with a spool key and without in turns."],
        data={
            **{
                f"{associations} {how}": [{"objects_per_s": one.objects_per_s, "cpu_ms": one.cpu_ms} for one in runs]
                for (associations, how), runs in samples.items()
            },
            **{f"alone {what} MB per CPU second": rates for what, rates in alone.items()},
        },
    )


def _alone() -> dict[str, float]:
    """Return MB for each second of CPU: sealing fragments as they come from a socket, and reading the result."""
    keys = SpoolKeys(keys=(bytes.fromhex(_KEY),))
    fragment = bytes(_FRAGMENT_BYTES)
    begin = time.process_time()
    writer = SealingWriter(keys, _NAME.name, len)  # a sink that keeps nothing: memory would cost more than the cipher
    for _ in range(_ALONE_BYTES // _FRAGMENT_BYTES):
        writer.write(fragment)
    writer.finish(_NAME.study)
    middle = time.process_time()
    file = open_sealed(io.BytesIO(seal(keys, _NAME, bytes(_ALONE_BYTES))), keys, _NAME)
    start = time.process_time()
    read = 0
    while piece := file.read(1 << 20):
        read += len(piece)
    end = time.process_time()
    if read != _ALONE_BYTES:
        raise RuntimeError("what was sealed is not what was read")
    return {"sealing": _ALONE_BYTES / 1e6 / (middle - begin), "opening": _ALONE_BYTES / 1e6 / (end - start)}


def _table(samples: dict[tuple[int, str], list[Sample]], associations: int, input_text: str) -> Table:
    plain = samples[associations, PLAIN]
    rows = []
    for how in (PLAIN, SEALED):
        runs = samples[associations, how]
        rate = ratio([one.objects_per_s for one in runs], [one.objects_per_s for one in plain])
        cpu = ratio([one.cpu_ms for one in runs], [one.cpu_ms for one in plain])
        rows.append(
            [
                how,
                NOTHING if how == PLAIN else rate.text(2),
                NOTHING if how == PLAIN else cpu.text(2),
                spread([one.objects_per_s for one in runs]).text(),
                spread([one.cpu_ms for one in runs]).text(2),
                f"{max(one.peak_rss_mb for one in runs):.0f}",
            ]
        )
    plural = "association" if associations == 1 else "associations"
    return Table(
        title=f"{associations} {plural}; {input_text}",
        columns=("spool", "rate ÷ plain", "CPU ÷ plain", "objects/s", "CPU ms/object", "RSS MB"),
        rows=rows,
    )


def _alone_table(alone: dict[str, list[float]]) -> Table:
    return Table(
        title=f"AES-256-GCM in chunks of 64 KiB, in memory, one thread; {_ALONE_BYTES / 1e6:.0f} MB",
        columns=("what", "MB per CPU second"),
        rows=[[what, spread(rates).text()] for what, rates in alone.items()],
    )
