"""The text detector under several runtimes, one thread each: time, and whether they find the same boxes.

``python -m benchmarks.detector_runtimes --repeats 9``. OpenVINO is no dependency of ours; where it cannot be imported
that is said. Runtimes take turns on the same pictures, so that a busy machine slows all of them.
"""

# ruff: noqa: RUF001 - the tables are for people: signs of multiplication, ranges with a dash

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from benchmarks.burned_in.generate import Form, Kind, made
from benchmarks.burned_in.run import TUNING_SEED
from benchmarks.measure import ratio, spread
from deidentify.pixels.decode import Frame
from deidentify.pixels.detector import Candidate, TextDetector
from deidentify.pixels.views import views_of

__all__ = ["Session", "main", "pictures", "runtimes", "same_boxes"]

Map = NDArray[np.float32]
Run = Callable[[Map], Map]

_SAME_PX = 2.0
_INPUT = "x"


class Session:
    """A runtime in the shape of an ONNX Runtime session, so that our own detector works on it; keeps its last map."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.name = _INPUT
        self.last: Map = np.zeros((1, 1, 1, 1), dtype=np.float32)

    def get_inputs(self) -> list["Session"]:
        return [self]

    def run(self, _outputs: None, feed: dict[str, Map]) -> list[Map]:
        self.last = self._run(feed[_INPUT])
        return [self.last]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One picture read by one runtime."""

    wall_s: float
    cpu_s: float
    boxes: list[Candidate]
    map: Map


def _onnxruntime(model: Path, providers: list[Any]) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(model), options, providers=providers)
    name = session.get_inputs()[0].name
    return lambda blob: np.asarray(session.run(None, {name: blob})[0])


def _openvino(model: Path, precision: str) -> Run:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
    request = openvino.Core().compile_model(str(model), "CPU", settings).create_infer_request()
    return lambda blob: np.asarray(next(iter(request.infer([blob]).values())))


def _opencv(model: Path, engine: int) -> Run:
    net = cv2.dnn.readNetFromONNX(str(model), engine)

    def run(blob: Map) -> Map:
        net.setInput(blob)
        return np.asarray(net.forward())

    return run


def runtimes(model: Path) -> tuple[dict[str, Run], list[str]]:
    """Return the runtimes that load the model, ours first, and a sentence on each that does not."""
    ways: dict[str, Callable[[], Run]] = {
        "ONNX Runtime": lambda: _onnxruntime(model, ["CPUExecutionProvider"]),
        "OpenVINO, float32": lambda: _openvino(model, "f32"),
        "OpenVINO, bfloat16": lambda: _openvino(model, "bf16"),
        "OpenCV DNN, classic engine": lambda: _opencv(model, cv2.dnn.ENGINE_CLASSIC),
        "OpenCV DNN, new engine": lambda: _opencv(model, cv2.dnn.ENGINE_NEW),
    }
    if "OpenVINOExecutionProvider" in _providers():
        settings = {"device_type": "CPU", "num_of_threads": "1", "precision": "FP32"}
        ways["ONNX Runtime's OpenVINO provider"] = lambda: _onnxruntime(
            model, [("OpenVINOExecutionProvider", settings)]
        )
    there, absent = {}, []
    for name, make in ways.items():
        try:
            there[name] = make()
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is not measured, and that is said
            absent.append(f"{name} was not measured: {type(fault).__name__}.")
    return there, absent


def _providers() -> list[str]:
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def pictures(side: int, count: int) -> list[NDArray[np.uint8]]:
    """Return pictures with text on them, the first view of each, brought to so many pixels a side."""
    found: list[NDArray[np.uint8]] = []
    number = 0
    while len(found) < count:
        image = made(TUNING_SEED, number)
        number += 1
        if image.kind is Kind.IDENTITY and image.form is Form.GREY:
            frame = Frame(index=0, words=image.frames[0], bits_stored=16, shift=0, is_palette=False)
            view = views_of(frame, Dataset())[0]
            found.append(np.asarray(cv2.resize(view, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8))
    return found


def same_boxes(ours: list[Candidate], theirs: list[Candidate]) -> bool:
    """Say whether each box of one has one of the other with its corners at the same place."""
    if len(ours) != len(theirs):
        return False
    left = [one.corners() for one in theirs]
    for box in ours:
        # The corners of an equal rectangle may be counted from another one.
        far = [
            min(float(np.abs(np.roll(other, turn, axis=0) - box.corners()).max()) for turn in range(4))
            for other in left
        ]
        if not far or min(far) > _SAME_PX:
            return False
        left.pop(int(np.argmin(far)))
    return True


def _turn(session: Session, detector: TextDetector, picture: NDArray[np.uint8]) -> Turn:
    wall, cpu = time.perf_counter(), time.process_time()
    boxes = detector.find(picture)
    return Turn(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu, boxes=boxes, map=session.last)


def _measured(ways: dict[str, Run], shown: list[NDArray[np.uint8]], repeats: int) -> dict[str, list[Turn]]:
    sessions = {name: Session(run) for name, run in ways.items()}
    detectors = {name: TextDetector(session) for name, session in sessions.items()}
    for name, detector in detectors.items():
        _turn(sessions[name], detector, shown[0])
    turns: dict[str, list[Turn]] = {name: [] for name in ways}
    for _ in range(repeats):
        for picture in shown:
            for name, detector in detectors.items():
                turns[name].append(_turn(sessions[name], detector, picture))
    return turns


def _different(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return cuts of one picture, no two of a size, as frames without their empty borders are."""
    rows, columns = picture.shape
    return [picture[: rows - 32 * step, : columns - 64 * (step % 4)] for step in range(9)]


def _report(turns: dict[str, list[Turn]], title: str) -> None:
    ours = next(iter(turns.values()))
    print(f"\n{title}\n")
    print("| runtime | ms, wall | ms, CPU | ours ÷ its, CPU | boxes as ours | largest difference of the map |")
    print("|---|---|---|---|---|---|")
    for name, theirs in turns.items():
        pairs = list(zip(ours, theirs, strict=True))
        same = sum(same_boxes(one.boxes, other.boxes) for one, other in pairs)
        apart = max(float(np.abs(one.map - other.map).max()) for one, other in pairs)
        times = ratio([one.cpu_s for one in ours], [one.cpu_s for one in theirs])
        wall, cpu = spread([1000 * one.wall_s for one in theirs]), spread([1000 * one.cpu_s for one in theirs])
        print(f"| {name} | {wall.text()} | {cpu.text()} | {times.text(2)} | {same} of {len(pairs)} | {apart:.1e} |")


@click.command(help=__doc__)
@click.option("--repeats", default=9, show_default=True)
@click.option("--count", default=4, show_default=True, help="Pictures of each size.")
@click.option("--side", "sides", multiple=True, default=(512, 768), show_default=True, help="Pixels a side.")
@click.option(
    "--model",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path(str(resources.files("deidentify.pixels"))) / "models" / "ch_PP-OCRv4_det_infer.onnx",
    help="The detector; ours by default.",
)
def main(repeats: int, count: int, sides: tuple[int, ...], model: Path) -> None:
    cv2.setNumThreads(1)
    ways, absent = runtimes(model)
    for side in sides:
        _report(_measured(ways, pictures(side, count), repeats), f"{side} × {side}")
    first_time = _measured(ways, _different(pictures(544, 1)[0]), 1)
    _report({name: turns[1:] for name, turns in first_time.items()}, "Each size for the first time")
    print(*absent, sep="\n")


if __name__ == "__main__":
    main()
