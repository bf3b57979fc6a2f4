"""What the network passes on and what it misses, on images of the generator that it was not trained on.

``python -m benchmarks.small_screen.score MODEL --corpus CORPUS --images 6200 --out FILE`` makes images of an unseen
seed on the held-out side of the corpus and on phantoms, and prints the curve. ``--screen-below`` runs the whole pixel
screen on the images with text whose score lies below a threshold: what it would flag there is a miss.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import onnxruntime

from benchmarks.burned_in.generate import Image, Kind, made, part10
from benchmarks.burned_in.score import screened
from benchmarks.small_screen.split import write_corpus
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.small_screen import THRESHOLD, SmallScreen
from deidentify.pixels.source import locate
from deidentify.pixels.views import views_of

__all__ = ["FrameScore", "loaded", "main", "scores_of"]

LOW = -99.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """The highest logit of one frame of one image, over its views."""

    number: int
    kind: str
    form: str
    origin: str
    score: float
    contrast: float
    """Of the strongest line; 0 where nothing is planted."""
    height: int
    turn: str
    script: str


def loaded(model: Path) -> SmallScreen:
    """Load a network on one thread, the vendored one or another."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return SmallScreen(onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"]))


def scores_of(network: SmallScreen, image: Image) -> Iterator[FrameScore]:
    """Yield the scores of the frame with text, or of every frame where nothing is planted."""
    source = locate(part10(image.data))
    wanted = {one.frame for one in image.planted}
    strongest = max(image.planted, key=lambda one: one.contrast, default=None)
    for frame in iter_frames(source, read_format(source)):
        if wanted and frame.index not in wanted:
            continue
        yield FrameScore(
            number=image.number,
            kind=image.kind.value,
            form=image.form.value,
            origin=image.origin,
            score=max(
                (logit for view in views_of(frame, source.attributes) for logit in network.logits(view)), default=LOW
            ),
            contrast=strongest.contrast if strongest else 0,
            height=strongest.style.height if strongest else 0,
            turn=strongest.style.turn.value if strongest else "",
            script=strongest.line.script if strongest else "",
        )


def _curve(found: list[FrameScore]) -> None:
    texted = np.array([one.score for one in found if one.kind == Kind.IDENTITY.value])
    clean = np.array([one.score for one in found if one.kind == Kind.NOTHING.value])
    real = np.array(["real" in one.origin for one in found if one.kind == Kind.NOTHING.value])
    print(f"{len(texted)} frames with identifying text, {len(clean)} clean, {int(real.sum())} of these real")
    below = int((texted < THRESHOLD).sum())
    print(f"At the threshold {THRESHOLD}: {below} missed, {float(np.mean(clean >= THRESHOLD)):.1%} of the clean passed")
    ordered = np.sort(texted)
    for missed in (0, 1, 2, 3, 5, 10, 20, 30, 60):
        if missed < len(ordered):
            passed = clean >= ordered[missed]
            parts = [float(np.mean(part)) if len(part) else 0.0 for part in (passed, passed[real], passed[~real])]
            print(
                f"  {missed:3d} missed, threshold {ordered[missed]:6.2f}: clean passed {parts[0]:.1%}"
                f" (real {parts[1]:.1%}, phantoms {parts[2]:.1%})"
            )


@click.command(help=__doc__)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--learned", is_flag=True, help="The side of the corpus that was learned from: for tuning.")
@click.option("--seed", default=20261130, show_default=True)
@click.option("--images", default=6200, show_default=True, help="About half of them name somebody.")
@click.option("--first", default=0, show_default=True)
@click.option("--screen-below", type=float, help="Run the whole screen where the score of text is lower.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(  # noqa: PLR0917 - options of a command
    model: Path,
    corpus: Path | None,
    learned: bool,
    seed: int,
    images: int,
    first: int,
    screen_below: float | None,
    out: Path,
) -> None:
    cv2.setNumThreads(1)
    network = loaded(model)
    found: list[FrameScore] = []
    with tempfile.TemporaryDirectory() as folder:
        if corpus is not None:
            write_corpus(corpus, Path(folder), held_out=not learned)
            os.environ["CASEBRIDGE_CORPUS"] = folder
        for number in range(first, first + images):
            image = made(seed, number)
            if image.kind in {Kind.IDENTITY, Kind.NOTHING}:
                found += scores_of(network, image)
        out.write_text("\n".join(json.dumps(asdict(one)) for one in found))
        _curve(found)
        if screen_below is not None:
            for one in found:
                if one.kind == Kind.IDENTITY.value and one.score < screen_below:
                    outcome = screened(seed, one.number)
                    print(f"{'MISSED' if outcome.is_held else 'neither finds it'}: {one}", flush=True)


if __name__ == "__main__":
    main()
