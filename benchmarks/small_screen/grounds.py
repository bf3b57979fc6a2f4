"""Pictures without text, made in batches: cuts of stored frames, and phantoms drawn on the spot."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Stored", "blurred", "cuts", "phantoms", "uniform", "unpacked"]

_ELLIPSES, _SMALL, _CURVES = 12, 8, 4


def uniform(shape: tuple[int, ...], low: float, high: float, device: str) -> Tensor:
    """Return numbers drawn evenly between two."""
    return torch.rand(shape, device=device) * (high - low) + low


def unpacked(file: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Return the pictures of a file that ``prepare`` wrote, and what else it says."""
    with np.load(file) as content:
        data, shapes = content["bytes"], content["shapes"]
        more = {name: content[name] for name in content.files if name not in {"bytes", "shapes"}}
    ends = np.cumsum(shapes.prod(axis=1))
    starts = np.concatenate([[0], ends[:-1]])
    return [data[a:b].reshape(shape) for a, b, shape in zip(starts, ends, shapes, strict=True)], more


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Pictures of different sizes in one block of bytes, and their sizes (rows, columns)."""

    block: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, pictures: list[np.ndarray], device: str) -> "Stored":
        """Put pictures at the top left of equal places."""
        tall, wide = (max(one.shape[axis] for one in pictures) for axis in (0, 1))
        block = np.zeros((len(pictures), tall, wide), dtype=np.uint8)
        for number, one in enumerate(pictures):
            block[number, : one.shape[0], : one.shape[1]] = one
        sizes = torch.tensor([one.shape for one in pictures], dtype=torch.float32)
        return cls(block=torch.from_numpy(block).to(device), sizes=sizes.to(device))

    def drawn(self, count: int, *, skew: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return pictures drawn at random, (count, 1, rows, columns) from 0 to 1, and their sizes.

        With a larger ``skew`` those at the beginning come more often.
        """
        drawn = torch.rand(count, device=self.block.device) ** skew
        which = (drawn * len(self.block)).long().clamp(max=len(self.block) - 1)
        return self.block[which].float().div_(255).unsqueeze(1), self.sizes[which]


def blurred(pictures: Tensor, sigma: tuple[float, float]) -> Tensor:
    """Blur down and across."""
    for axis, width in enumerate(sigma):
        if width <= 0:
            continue
        reach = max(1, math.ceil(3 * width))
        steps = torch.arange(-reach, reach + 1, device=pictures.device)
        kernel = torch.exp(-(steps**2) / (2 * width**2))
        kernel = (kernel / kernel.sum()).reshape((-1, 1) if axis == 0 else (1, -1))[None, None]
        pads = (0, 0, reach, reach) if axis == 0 else (reach, reach, 0, 0)
        pictures = functional.conv2d(functional.pad(pictures, pads, mode="reflect"), kernel)
    return pictures


def cuts(stored: Stored, count: int, side: int) -> Tensor:
    """Return square cuts of stored frames: larger, smaller, turned, mirrored, darker, brighter, inverted."""
    device = str(stored.block.device)
    frames, sizes = stored.drawn(count)
    scale = torch.exp(uniform((count,), math.log(0.6), math.log(1.9), device))
    # A cut of the frame's own pixels as often as a resampled one: resampling smooths the noise.
    scale = torch.where(torch.rand(count, device=device) < 0.4, torch.ones_like(scale), scale)
    quarter = torch.randint(4, (count,), device=device).float() * (math.pi / 2)
    cos, sin = torch.cos(quarter), torch.sin(quarter)
    mirror = torch.where(torch.rand(count, device=device) < 0.5, 1.0, -1.0)
    room = (sizes - side / scale[:, None]).clamp(min=0)
    middle = (sizes / 2 + (torch.rand(count, 2, device=device) - 0.5) * (room + 24)).floor()
    steps = torch.arange(side, device=device, dtype=torch.float32) - (side - 1) / 2
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    across_b, down_b = across[None] * mirror[:, None, None], down[None]
    x = (cos[:, None, None] * across_b - sin[:, None, None] * down_b) / scale[:, None, None] + middle[:, 1, None, None]
    y = (sin[:, None, None] * across_b + cos[:, None, None] * down_b) / scale[:, None, None] + middle[:, 0, None, None]
    tall, wide = frames.shape[2:]
    places = torch.stack([2 * x / (wide - 1) - 1, 2 * y / (tall - 1) - 1], dim=3)
    found = functional.grid_sample(frames, places, mode="bilinear", padding_mode="zeros", align_corners=True)
    found = found.clamp(0, 1) ** torch.exp(uniform((count, 1, 1, 1), -0.5, 0.5, device))
    other = found.roll(1, dims=0)
    is_mixed = torch.rand(count, 1, 1, 1, device=device) < 0.2
    mixed = torch.where(
        torch.rand(count, 1, 1, 1, device=device) < 0.5, (found + other) / 2, torch.maximum(found, other)
    )
    found = torch.where(is_mixed, mixed, found)
    return torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.15, 1 - found, found)


def phantoms(count: int, side: int, device: str) -> Tensor:
    """Return pictures in the manner of CT, MR, radiographs and ultrasound, a quarter of each."""
    parts = [_ct, _mr, _radiograph, _ultrasound]
    shares = [count // 4] * 3 + [count - 3 * (count // 4)]
    made = torch.cat([part(share, side, device) for part, share in zip(parts, shares, strict=True) if share])
    return made[torch.randperm(count, device=device)]


def _places(count: int, side: int, device: str) -> tuple[Tensor, Tensor]:
    """Return row and column of each pixel, from -1 to 1 on a whole picture; a cut shows a part of it."""
    steps = torch.linspace(-1, 1, side, device=device)
    down, across = torch.meshgrid(steps, steps, indexing="ij")
    part = uniform((count, 1, 1), 0.45, 1.0, device)
    shift = (1 - part) * uniform((2, count, 1, 1), -1, 1, device)
    return down[None] * part + shift[0], across[None] * part + shift[1]


def _soft(distance: Tensor, width: Tensor) -> Tensor:
    return torch.sigmoid((1 - distance) / width)


def _ellipses(y: Tensor, x: Tensor, count: int, low: float, high: float) -> Tensor:
    """Return a body of ellipses, each over those before it, in levels between two."""
    pictures, device = len(y), str(y.device)
    picture = _soft((y / 0.85) ** 2 + (x / 0.9) ** 2, torch.full_like(y, 0.01)) * (low + high) / 2
    for number in range(count + _SMALL):
        is_small = number >= count
        row, column = uniform((2, pictures, 1, 1), -0.6, 0.6, device)
        tall, wide = uniform((2, pictures, 1, 1), *((0.01, 0.06) if is_small else (0.05, 0.45)), device)
        turned = uniform((pictures, 1, 1), 0, math.pi, device)
        u = (x - column) * torch.cos(turned) + (y - row) * torch.sin(turned)
        v = (y - row) * torch.cos(turned) - (x - column) * torch.sin(turned)
        is_there = (torch.rand(pictures, 1, 1, device=device) < (0.4 if is_small else 0.8)).float()
        level = uniform((pictures, 1, 1), low, high * (1.5 if is_small else 1), device)
        share = _soft((v / tall) ** 2 + (u / wide) ** 2, torch.full_like(tall, 0.03)) * is_there
        picture = picture + (level - picture) * share
    for _ in range(_CURVES):
        # Vessels, catheters and edges of couches are lines too.
        row, column = uniform((2, pictures, 1, 1), -0.8, 0.8, device)
        radius = torch.exp(uniform((pictures, 1, 1), math.log(0.05), math.log(4), device))
        width = uniform((pictures, 1, 1), 0.004, 0.03, device)
        is_there = (torch.rand(pictures, 1, 1, device=device) < 0.25).float()
        away = (torch.hypot(y - row, x - column) - radius).abs() / width
        level = uniform((pictures, 1, 1), low, high, device)
        picture = picture + (level - picture) * torch.exp(-(away**2)) * is_there
    return picture[:, None]


def _ranged(pictures: Tensor) -> Tensor:
    low, high = pictures.amin(dim=(1, 2, 3), keepdim=True), pictures.amax(dim=(1, 2, 3), keepdim=True)
    return (pictures - low) / (high - low).clamp(min=1e-6)


def _noise(like: Tensor, low: float, high: float) -> Tensor:
    grain = torch.randn_like(like)
    coarse = blurred(grain, (0.8, 0.8)) * 2.6
    is_coarse = (torch.rand(len(like), 1, 1, 1, device=like.device) < 0.4).float()
    level = torch.exp(uniform((len(like), 1, 1, 1), math.log(low), math.log(high), str(like.device)))
    return (grain * (1 - is_coarse) + coarse * is_coarse) * level


def _ct(count: int, side: int, device: str) -> Tensor:
    y, x = _places(count, side, device)
    smooth = blurred(_ellipses(y, x, _ELLIPSES, 0.1, 0.5), (0.9, 0.9))
    return _ranged(smooth + _noise(smooth, 0.002, 0.03)).clamp(0, 1)


def _mr(count: int, side: int, device: str) -> Tensor:
    y, x = _places(count, side, device)
    slopes = uniform((2, count, 1, 1), -0.4, 0.4, device)
    smooth = blurred(_ellipses(y, x, _ELLIPSES, 0.1, 0.9), (1.2, 1.2)) * (1 + slopes[0] * x + slopes[1] * y)[:, None]
    return _ranged(torch.hypot(smooth + _noise(smooth, 0.004, 0.06), _noise(smooth, 0.004, 0.06)))


def _radiograph(count: int, side: int, device: str) -> Tensor:
    y, x = _places(count, side, device)
    bends = uniform((4, count, 1, 1), -1, 1, device)
    picture = 0.65 - 0.2 * x**2 * (1 + bends[0]) - 0.12 * y * bends[1]
    picture = picture - 0.25 * _ellipses(y, x, 6, 0, 0.9)[:, 0]
    for number in range(9):
        middle = -0.8 + number * 0.22 + 0.35 * x**2 * bends[2]
        rib = torch.exp(-(((y - middle) / 0.05) ** 2)) * (x.abs() > 0.12)
        picture = picture + 0.07 * rib * (torch.rand(count, 1, 1, device=device) < 0.7)
    picture = picture + 0.17 * torch.exp(-((x / 0.1) ** 2))
    smooth = blurred(picture[:, None], (2, 2))
    smooth = torch.where((x.abs() > uniform((count, 1, 1), 0.85, 1.4, device))[:, None], 0.02, smooth)
    return _ranged(smooth + _noise(smooth, 0.002, 0.015)).clamp(0, 1)


def _ultrasound(count: int, side: int, device: str) -> Tensor:
    y, x = _places(count, side, device)
    depth, turned = torch.hypot(y + 1.05, x), torch.atan2(x, y + 1.05)
    last = uniform((count, 1, 1), 1.6, 2.1, device)
    inside = (depth > 0.15) & (depth < last) & (turned.abs() < uniform((count, 1, 1), 0.5, 0.9, device))
    tissue = _ellipses(y, x, 9, 0.1, 0.5) + 0.1
    size = 0.7 + 1.6 * float(torch.rand(1))
    grains = [blurred(torch.randn_like(tissue), (size * 0.6, size)) for _ in range(2)]
    speckle = torch.hypot(*grains)
    fade = torch.exp(-uniform((count, 1, 1), 0, 0.6, device) * depth)[:, None]
    gain = uniform((count, 1, 1, 1), 1, 4, device) * size
    return torch.where(inside[:, None], (tissue * speckle * gain * fade).clamp(0, 1), 0.0)
