"""The vendored models, checked and loaded once for each process."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Protocol

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from deidentify.errors import DetectorUnavailableError
from deidentify.pixels.detector import Detector, Image, TextDetector
from deidentify.pixels.recognizer import Recognizer, TextRecognizer
from deidentify.pixels.small_screen import load_small_screen

_SILENT = 4  # ONNX Runtime's severity "fatal": its warnings go to stderr, past our logs
_GROUND_PX = 32


class Glance(Protocol):
    """Tells views that hold no text from those that may."""

    def may_hold_text(self, view: Image) -> bool:
        """Say whether a view has to be read."""

    def warmth(self, view: Image) -> NDArray[np.float32]:
        """Return how much each cell of 8 pixels a side looks like text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrEngine:
    """What finds and reads text, and its name for the report."""

    name: str
    detector: Detector
    recognizer: Recognizer
    close_reader: Recognizer | None = None
    """Reads the renderings of a line; None where the recogniser does."""
    glance: Glance | None = None
    """Looks at a view before the others do; None where there is nothing that does."""

    def warmth_alone(self, part: Image) -> float:
        """Return how much a part looks like text where nothing else is shown: what lies close by warms it too.

        It is surrounded by its own ground, the middle of its values. Infinite where nothing looks ahead.
        """
        if self.glance is None:
            return float("inf")
        ground = np.median(part.reshape(part.shape[0] * part.shape[1], -1), axis=0).tolist()
        px = _GROUND_PX
        alone = cv2.copyMakeBorder(part, px, px, px, px, cv2.BORDER_CONSTANT, value=ground)
        return float(self.glance.warmth(np.asarray(alone, dtype=np.uint8)).max())


class EngineSource(Protocol):
    """Gives the engine when the first frame has to be read."""

    def __call__(self) -> OcrEngine:
        """Return the engine, or raise DetectorUnavailableError."""


@cache
def load_engine() -> OcrEngine:
    """Load the vendored models on one thread: the work is spread over processes, one for each core.

    Raises
    ------
    DetectorUnavailableError
        A model file is absent, differs from its recorded sha256, or cannot be loaded.
    """
    cv2.setNumThreads(1)
    try:
        folder = resources.files("deidentify.pixels") / "models"
        origin = json.loads((folder / "models.json").read_text(encoding="utf-8"))
        sessions = {}
        for part in ("detector", "recognizer"):
            content = (folder / origin[part]["file"]).read_bytes()
            sessions[part] = _session(_checked(content, origin[part]["sha256"]))
        characters = sessions["recognizer"].get_modelmeta().custom_metadata_map["character"].splitlines()
    except DetectorUnavailableError:
        raise
    except Exception as fault:
        raise DetectorUnavailableError("The models of the pixel screen cannot be loaded.") from fault
    return OcrEngine(
        name=origin["name"],
        detector=TextDetector(sessions["detector"]),
        recognizer=TextRecognizer(sessions["recognizer"], characters),
        close_reader=TextRecognizer(sessions["recognizer"], characters, is_close=True),
        glance=load_small_screen(),
    )


def _checked(content: bytes, sha256: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DetectorUnavailableError("A model file of the pixel screen is not the recorded one.")
    return content


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
