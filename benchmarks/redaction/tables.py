"""What the tools made of the images, as tables: beside each other, and what a second engine reads afterwards."""

# ruff: noqa: RUF001 - the tables are for people: ranges with a dash, signs of comparison

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from benchmarks.burned_in.generate import Kind
from benchmarks.burned_in.tables import interval
from benchmarks.measure import spread
from benchmarks.redaction.reader import LEAST_RATIO, MODES, SCALES
from benchmarks.redaction.score import GONE, ImageOutcome, ToolOutcome, tools_of
from benchmarks.report import NOTHING, Section, Table

__all__ = ["section"]

_MOST_LISTED = 30


def _of(outcomes: Sequence[ImageOutcome], tool: str, kind: Kind) -> list[tuple[ImageOutcome, ToolOutcome]]:
    return [(one, one.tools[tool]) for one in outcomes if one.kind is kind and tool in one.tools]


def _share(count: int, of: int) -> str:
    if not of:
        return NOTHING
    low, high = interval(count, of)
    return f"{count} of {of} ({100 * low:.1f}–{100 * high:.1f} %)"


def _named_row(outcomes: Sequence[ImageOutcome], tool: str, version: str) -> list[str]:
    named = _of(outcomes, tool, Kind.IDENTITY)
    written = [(one, made) for one, made in named if made.outcome == "written"]
    all_gone = sum(made.gone == one.lines for one, made in written)
    lines = sum(one.lines for one, _ in written)
    return [
        f"{tool} {version}",
        _share(all_gone, len(named)),
        _share(sum(made.outcome == "held" for _, made in named), len(named)),
        _share(sum(made.outcome.startswith("refused") for _, made in named), len(named)),
        _share(len(written) - all_gone, len(named)),
        _share(sum(made.gone for _, made in written), lines),
    ]


def _harmless_row(outcomes: Sequence[ImageOutcome], tool: str) -> list[str]:
    row = [tool]
    for kind in (Kind.NOTHING, Kind.SAFE, Kind.SIDE):
        found = _of(outcomes, tool, kind)
        row += [
            _share(sum(made.is_altered for _, made in found), len(found)),
            f"{sum(made.outcome == 'held' for _, made in found)} of {len(found)}",
        ]
    cpu = [one.tools[tool].cpu_s for one in outcomes if tool in one.tools]
    return [*row, spread(cpu).text(2)]


def _read_rows(outcomes: Sequence[ImageOutcome]) -> list[list[str]]:
    """Return what the second engine reads: in the originals, and in what each tool wrote."""
    looked = [one for one in outcomes if one.is_read]
    tokens = sum(len(one.tokens) for one in looked)
    rows = [
        [
            "the originals",
            str(len(looked)),
            _share(sum(bool(one.read) for one in looked), len(looked)),
            f"{sum(len(one.read) for one in looked)} of {tokens}",
            NOTHING,
        ]
    ]
    for tool in tools_of(outcomes):
        written = [(one, one.tools[tool]) for one in looked if tool in one.tools and one.tools[tool].is_read]
        with_one = [one.number for one, made in written if made.read]
        listed = ", ".join(map(str, with_one[:_MOST_LISTED])) + (" …" if len(with_one) > _MOST_LISTED else "")
        rows.append(
            [
                f"written by {tool}",
                str(len(written)),
                _share(len(with_one), len(written)),
                f"{sum(len(made.read) for _, made in written)} of {sum(len(one.tokens) for one, _ in written)}",
                listed or NOTHING,
            ]
        )
    return rows


def _notes(outcomes: Sequence[ImageOutcome], seed: int) -> list[str]:
    kinds = {kind: sum(one.kind is kind for one in outcomes) for kind in Kind}
    listed = ", ".join(f"{count} {kind.value}" for kind, count in kinds.items())
    how = (
        f"{len(outcomes)} images, seed {seed}: {listed}. The tools take turns on each image. A line is gone when "
        f"{100 * GONE:.0f} % of its ink lie in what was filled. What is left to a person (`held`) is not written; "
        "`deid` leaves images that its list of kinds to refuse names, Presidio none. CPU is that of one thread, "
        "programs that a tool starts included; median over the images, range in parentheses."
    )
    engine = (
        f"The second engine is Tesseract for English, at scales {' and '.join(f'×{scale}' for scale in SCALES)}, page "
        f"segmentation {', '.join(map(str, MODES))}, vertical text turned upright. A planted token of four letters or "
        f"more is read when a word is alike by {LEAST_RATIO} of 100. It finds only what it can read in the originals."
    )
    return [how, engine]


def section(outcomes: Sequence[ImageOutcome], versions: Mapping[str, str], seed: int) -> Section:
    """Return all tables."""
    tools = tools_of(outcomes)
    return Section(
        name="redaction",
        title="Redaction beside peers",
        tables=[
            Table(
                title="Images that name somebody",
                columns=(
                    "tool",
                    "nothing left",
                    "left to a person",
                    "refused",
                    "**passed, some of a line left**",
                    "lines gone",
                ),
                rows=[_named_row(outcomes, tool, versions[tool]) for tool in tools],
            ),
            Table(
                title="Images that name nobody, and what it costs",
                columns=(
                    *("tool", "no text: changed", "held", "safe text: changed", "held"),
                    *("one L or R: changed", "held", "CPU s/image"),
                ),
                rows=[_harmless_row(outcomes, tool) for tool in tools],
            ),
            Table(
                title="What Tesseract reads",
                columns=("in", "images", "with a planted token", "tokens", "images with one"),
                rows=_read_rows(outcomes),
            ),
        ],
        notes=_notes(outcomes, seed),
        data={"versions": dict(versions), "outcomes": [asdict(one) for one in outcomes]},
    )
