"""Objects that are not CT slices: three of 200 MB, and two thousand of 5 kB, received beside Orthanc and DCMTK."""

# ruff: noqa: RUF001 - the tables are for people: signs of multiplication, ranges with a dash

import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.inputs import multi_frame_series, small_series
from benchmarks.measure import ratio, spread
from benchmarks.receive import DISK, OURS, Sample, disk_sample, sample
from benchmarks.receivers import RECEIVERS, Receiver, is_installed
from benchmarks.report import NOTHING, Section, Table

__all__ = ["measure"]

_LARGE_WARM_UP = 1
_SMALL_WARM_UP = 40
_WINDOW = 32
"""Requests unanswered at once, where a sender and ours agree on an Asynchronous Operations Window."""

_CONDITIONS = (
    "Conditions as above. With a window, the answer to one request does not delay the next: our receiver commits what "
    "has arrived together, each object synced before its own Success; DCMTK and Orthanc do not negotiate one, so they "
    "are compared with one association."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One way to send: how many associations, and how many requests may wait for their answers on each."""

    associations: int
    window: int = 1

    @property
    def title(self) -> str:
        plural = "association" if self.associations == 1 else "associations"
        return f"{self.associations} {plural}" + (f", window of {self.window}" if self.window > 1 else "")


_SMALL_WAYS = (_Way(associations=1), _Way(associations=4), _Way(associations=1, window=_WINDOW))

Samples = dict[tuple[str, str], list[Sample]]


def measure(
    work: Path, *, repeats: int, megabytes: int, large: int, small: int, step: Callable[[str], None]
) -> Section:
    """Measure every installed receiver with few large and with many small objects, in turns."""
    receivers = [receiver for receiver in RECEIVERS if is_installed(receiver)]
    large_files = multi_frame_series(work / f"large-{megabytes}", large + _LARGE_WARM_UP, megabytes=megabytes)
    small_files = small_series(work / f"small-{small}", small + _SMALL_WARM_UP)
    runs = work / "small-runs"
    shutil.rmtree(runs, ignore_errors=True)
    larges: Samples = defaultdict(list)
    smalls: Samples = defaultdict(list)
    for repeat in range(repeats):
        for receiver in receivers:
            step(f"sizes {repeat + 1}/{repeats}: {receiver.name}, {large} × {megabytes} MB")
            run = sample(receiver, work / "receive", large_files[0].parent, large, 1, warm_up=_LARGE_WARM_UP)
            larges["", receiver.name].append(run)
        step(f"sizes {repeat + 1}/{repeats}: {DISK}, {large} × {megabytes} MB")
        larges["", DISK].append(disk_sample(work, large_files[_LARGE_WARM_UP:]))
        for way in _SMALL_WAYS:
            for receiver in receivers:
                if way.window > 1 and receiver.name != OURS:
                    continue  # DCMTK and Orthanc take no window
                step(f"sizes {repeat + 1}/{repeats}: {receiver.name}, {small} small, {way.title}")
                run = sample(
                    receiver,
                    runs / f"{repeat}-{way.associations}-{way.window}-{receiver.name.replace(' ', '')}",
                    small_files[0].parent,
                    small,
                    way.associations,
                    window=way.window,
                    warm_up=_SMALL_WARM_UP,
                    keep=True,
                )
                smalls[way.title, receiver.name].append(run)
    shutil.rmtree(runs)
    size_mb, size_kb = large_files[0].stat().st_size / 1e6, small_files[0].stat().st_size / 1e3
    return Section(
        name="sizes",
        title="Receiving large and small objects",
        tables=[
            _large_table(larges, receivers, size_mb, f"multi-frame of {size_mb:.0f} MB × {large}, n = {repeats}"),
            _small_table(smalls, receivers, f"objects of {size_kb:.1f} kB × {small}, n = {repeats}"),
        ],
        notes=[_CONDITIONS],
        data={
            f"{way} {name}".strip(): [asdict(run) for run in runs] for (way, name), runs in (larges | smalls).items()
        },
    )


def _large_table(samples: Samples, receivers: list[Receiver], size_mb: float, title: str) -> Table:
    ours = samples["", OURS]
    titles = {receiver.name: f"{receiver.name}, {receiver.promise}" for receiver in receivers} | {DISK: DISK}
    rows = []
    for name, shown in titles.items():
        runs = samples["", name]
        rate = ratio([one.objects_per_s for one in ours], [one.objects_per_s for one in runs])
        rows.append(
            [
                shown,
                NOTHING if name == OURS else rate.text(2),
                spread([one.objects_per_s * size_mb for one in runs]).text(),
                spread([one.cpu_ms for one in runs]).text(),
                NOTHING if name == DISK else f"{max(one.peak_rss_mb for one in runs):.0f}",
            ]
        )
    columns = ("receiver", "our rate ÷ its", "MB/s", "CPU ms/object", "RSS MB a process")
    return Table(title=title, columns=columns, rows=rows)


def _small_table(samples: Samples, receivers: list[Receiver], title: str) -> Table:
    rows = []
    for way in _SMALL_WAYS:
        ours = samples[way.title, OURS]
        for receiver in receivers:
            # A window of ours stands against what the peer makes of one association.
            of_peer = way.title if receiver.name == OURS or way.window == 1 else _SMALL_WAYS[0].title
            runs = samples[of_peer, receiver.name]
            rate = ratio([one.objects_per_s for one in ours], [one.objects_per_s for one in runs])
            rows.append(
                [
                    way.title,
                    f"{receiver.name}, {receiver.promise}",
                    NOTHING if receiver.name == OURS else rate.text(2),
                    spread([one.objects_per_s for one in runs]).text(),
                    spread([one.cpu_ms for one in runs]).text(2),
                ]
            )
    columns = ("how", "receiver", "our rate ÷ its", "objects/s", "CPU ms/object")
    return Table(title=title, columns=columns, rows=rows)
