"""What is asked of the renderer. Light: the renderer itself, with pydicom and its decoders, is loaded on demand."""

import threading
from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of PS3.3 §C.11.2.1.2 in output units of the modality transform, for example HU."""

    center: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What is asked for: ``frame`` counts from 0; the sizes are limits in pixels, and an image is never enlarged."""

    frame: int = 0
    window: Window | None = None
    max_width: int | None = None
    max_height: int | None = None


class Renderer(Protocol):
    """Draws frames."""

    def png(self, source: BinaryIO, rendering: Rendering) -> bytes:
        """Return one frame of a filed Part 10 file as a PNG."""


class RendererOnDemand:
    """The renderer, loaded with its first frame, so that the API answers a second sooner after a start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._renderer: Renderer | None = None

    def png(self, source: BinaryIO, rendering: Rendering) -> bytes:
        """Render one frame; see ``api.render.Renderer.png``."""
        with self._lock:
            if self._renderer is None:
                from api.render import Renderer as Loaded  # noqa: PLC0415 - see the class

                self._renderer = Loaded()
        return self._renderer.png(source, rendering)
