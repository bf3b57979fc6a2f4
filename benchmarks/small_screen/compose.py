"""Text drawn on pictures in batches, with what is ink, what is clean, and what counts for neither."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from small_screen.grounds import Stored, blurred, cuts, phantoms, uniform

__all__ = ["Batch", "batch"]

_LINES = 3
_LEAST = 0.1
_LEAST_SHARE = 0.75
"""A line counts where so much of its ink has so much contrast, as in the generator that the score is made with."""
_AROUND_PX = 12
_BLOCK = 8
_SKEW = 1.5
"""Masks are kept by height, and low ones are the hard ones."""
_ENLARGED_SHARE, _ENLARGED = 0.3, 1.5
_LEFT_SHARE = 0.5
"""A line that the border of an enlarged picture cuts counts as long as so much of its ink is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Pictures (n, 1, side, side) from 0 to 1 and their truth."""

    pictures: Tensor
    ink: Tensor
    """(n, lines, side, side): the ink of each line that counts."""
    clean: Tensor
    """(n, 1, side, side): far from all that was drawn."""
    counts: Tensor
    """(n, lines): whether there is such a line."""
    contrast: Tensor
    """(n, lines): aimed at, as a share of the range."""


def batch(grounds: Stored, masks: Stored, *, count: int, side: int, with_text: float = 0.6) -> Batch:
    """Draw pictures, and text on a share of them."""
    device = str(grounds.block.device)
    real = round(count * 0.5)
    pictures = torch.cat([cuts(grounds, real, side), phantoms(count - real, side, device)])
    pictures = _clipped(_distracted(pictures))
    drawn = torch.zeros_like(pictures)
    is_texted = torch.rand(count, device=device) < with_text
    several = torch.rand(count, device=device) < 0.35
    inks, counts, contrasts = [], [], []
    for number in range(_LINES):
        wanted = is_texted & (several | (number == 0))
        pictures, ink, around, is_line, contrast = _line(pictures, masks, wanted)
        drawn = torch.maximum(drawn, around)
        inks.append(ink)
        counts.append(is_line)
        contrasts.append(contrast)
    reach = 2 * _AROUND_PX + 1
    near = functional.max_pool2d(drawn, reach, 1, _AROUND_PX)
    made = Batch(
        pictures=_worn(pictures),
        ink=torch.cat(inks, dim=1),
        clean=1 - near,
        counts=torch.stack(counts, dim=1),
        contrast=torch.stack(contrasts, dim=1),
    )
    return _enlarged(made) if float(torch.rand(1)) < _ENLARGED_SHARE else made


def _enlarged(made: Batch) -> Batch:
    """Show a part of each picture larger, as the screen shows small frames to its models."""
    side = made.pictures.shape[-1]
    top, left = (int(one) for one in torch.randint(int(side * (_ENLARGED - 1)) + 1, (2,)))

    def part(maps: Tensor, mode: str) -> Tensor:
        larger = functional.interpolate(maps, scale_factor=_ENLARGED, mode=mode)
        return larger[..., top : top + side, left : left + side]

    ink = part(made.ink, "nearest")
    left_of_it = ink.sum(dim=(2, 3)) / (made.ink.sum(dim=(2, 3)).clamp(min=1) * _ENLARGED**2)
    counts = made.counts & (left_of_it >= _LEFT_SHARE)
    pictures = (part(made.pictures, "bicubic").clamp(0, 1) * 255).round() / 255
    ink = ink * counts[:, :, None, None]
    return Batch(pictures=pictures, ink=ink, clean=part(made.clean, "nearest"), counts=counts, contrast=made.contrast)


def _clipped(pictures: Tensor) -> Tensor:
    """Stretch some as the percentile view does."""
    count, device = len(pictures), str(pictures.device)
    low, high = uniform((count, 1, 1, 1), 0, 0.25, device), uniform((count, 1, 1, 1), 0.4, 1, device)
    is_view = torch.rand(count, 1, 1, 1, device=device) < 0.2
    return torch.where(is_view, ((pictures - low) / (high - low)).clamp(0, 1), pictures)


def _distracted(pictures: Tensor) -> Tensor:
    """Draw rectangles and filled boxes on some: devices draw more than text."""
    count, device, side = len(pictures), str(pictures.device), pictures.shape[-1]
    steps = torch.arange(side, device=device, dtype=torch.float32)
    y, x = steps[None, :, None], steps[None, None, :]
    for _ in range(2):
        top, left = uniform((2, count, 1, 1), -20, side, device).floor()
        tall, wide = torch.exp(uniform((2, count, 1, 1), math.log(3), math.log(side), device)).floor()
        away = torch.maximum((y - top - tall / 2).abs() - tall / 2, (x - left - wide / 2).abs() - wide / 2)
        thick = uniform((count, 1, 1), 1, 4, device).floor()
        is_filled = torch.rand(count, 1, 1, device=device) < 0.4
        shape = (away <= 0) & (is_filled | (away > -thick))
        is_there = torch.rand(count, 1, 1, device=device) < 0.12
        level = uniform((count, 1, 1, 1), 0, 1, device).round(decimals=1)
        pictures = torch.where((shape & is_there)[:, None], level, pictures)
    return pictures


def _line(pictures: Tensor, masks: Stored, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Draw one line on the pictures that want one; return them, its ink, all it covers, whether it counts."""
    count, device, side = len(pictures), str(pictures.device), pictures.shape[-1]
    letters, sizes = masks.drawn(count, skew=_SKEW)
    u, v = _on_line(sizes, count, side, device)
    tall, wide = letters.shape[2:]
    places = torch.stack([2 * u / (wide - 1) - 1, 2 * v / (tall - 1) - 1], dim=3)
    mask = functional.grid_sample(letters, places, mode="bilinear", padding_mode="zeros", align_corners=True)
    soft = blurred(mask, (0.7, 0.7))
    is_soft = torch.rand(count, 1, 1, 1, device=device) < 0.15
    mask = torch.where(is_soft, soft, mask) * wanted[:, None, None, None]
    rows, columns = sizes[:, 0, None, None], sizes[:, 1, None, None]

    def area(pad: Tensor) -> Tensor:
        inside = (u > -pad) & (u < columns - 1 + pad) & (v > -pad) & (v < rows - 1 + pad)
        return (inside & wanted[:, None, None])[:, None].float()

    within = area(torch.zeros_like(rows))
    ground = (pictures * within).sum(dim=(1, 2, 3), keepdim=True) / within.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    contrast = torch.where(
        torch.rand(count, device=device) < 0.5,
        uniform((count,), _LEAST, 0.3, device),
        uniform((count,), _LEAST, 1, device),
    )
    step = contrast[:, None, None, None]
    look = torch.rand(count, 1, 1, 1, device=device)
    is_bright = torch.rand(count, 1, 1, 1, device=device) < 0.75
    is_boxed = look < 0.15
    box = area((rows / 5).clamp(min=2).round())
    ground = torch.where(is_boxed, torch.where(is_bright, 0.0, 1.0), ground)
    before = torch.where(is_boxed & (box > 0), ground, pictures)
    has_room = torch.where(is_bright, 1 - ground >= step, ground < step)
    ink = (ground + torch.where(has_room, step, -step)).clamp(0, 1)
    is_outlined = (look > 0.85) & (mask.amax(dim=(1, 2, 3), keepdim=True) > 0)
    edge = (ground - torch.sign(ink - ground) * step).clamp(0, 1)
    ring = functional.max_pool2d(mask, 3, 1, 1)
    before = torch.where(is_outlined, before + (edge - before) * ring, before)
    is_ink = (mask >= 0.5 * mask.amax(dim=(1, 2, 3), keepdim=True)) & (mask > 0.1)
    against = torch.where(is_boxed | is_outlined, before, pictures)
    strong = (((against - ink).abs() >= _LEAST - 1e-4) & is_ink).sum(dim=(1, 2, 3))
    total = is_ink.sum(dim=(1, 2, 3))
    is_line = wanted & (total > 12) & (strong >= _LEAST_SHARE * total)
    drawn = before + (ink - before) * mask
    truth = is_ink.float() * is_line[:, None, None, None]
    return drawn, truth, torch.maximum(box, ring), is_line, contrast


def _on_line(sizes: Tensor, count: int, side: int, device: str) -> tuple[Tensor, Tensor]:
    """Return for each pixel where it lies on the line's mask: level, vertical, slanted, anywhere or at a border."""
    kind = torch.rand(count, device=device)
    turned = torch.zeros(count, device=device)
    turned = torch.where(kind < 0.2, math.pi / 2, turned)
    turned = torch.where(kind < 0.1, -math.pi / 2, turned)
    turned = torch.where(kind > 0.9, -math.pi / 4, turned)
    turned = torch.where(kind > 0.97, uniform((count,), -math.pi, math.pi, device), turned)
    cos, sin = torch.cos(turned), torch.sin(turned)
    half = torch.stack([sizes[:, 1], sizes[:, 0]], dim=1) / 2
    reach = torch.stack(
        [half[:, 0] * cos.abs() + half[:, 1] * sin.abs(), half[:, 0] * sin.abs() + half[:, 1] * cos.abs()], dim=1
    )
    room = (side / 2 - reach - 5).clamp(min=0)
    where = uniform((count, 2), -1, 1, device)
    at_border = torch.rand(count, 2, device=device) < 0.35
    where = torch.where(at_border, torch.sign(where) * uniform((count, 2), 0.93, 1, device), where)
    middle = (side / 2 + where * room).floor()
    steps = torch.arange(side, device=device, dtype=torch.float32)
    y, x = steps[None, :, None] - middle[:, 1, None, None], steps[None, None, :] - middle[:, 0, None, None]
    c, s = cos[:, None, None], sin[:, None, None]
    u = x * c + y * s + half[:, 0].floor()[:, None, None]
    v = y * c - x * s + half[:, 1].floor()[:, None, None]
    # Quarter turns fall between pixels by rounding errors only.
    straight = (kind <= 0.9)[:, None, None]
    return torch.where(straight, u.round(), u), torch.where(straight, v.round(), v)


def _worn(pictures: Tensor) -> Tensor:
    """Add the noise, blur and losses of the way to us, to some; round to 8 bits."""
    count, device = len(pictures), str(pictures.device)

    def some(share: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, device=device) < share

    pictures = torch.where(some(0.07), blurred(pictures, (0.6, 0.6)), pictures)
    level = uniform((count, 1, 1, 1), 0, 0.03, device)
    pictures = torch.where(some(0.2), pictures + torch.randn_like(pictures) * level, pictures)
    pictures = torch.where(some(0.15), _lossy(pictures), pictures)
    return (pictures.clamp(0, 1) * 255).round() / 255


def _lossy(pictures: Tensor) -> Tensor:
    """Round the cosine transform of blocks of 8 pixels, coarser for fine detail, as JPEG does."""
    count, _, side, _ = pictures.shape
    device = str(pictures.device)
    order = torch.arange(_BLOCK, device=device, dtype=torch.float32)
    transform = torch.cos(math.pi * (2 * order[None] + 1) * order[:, None] / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    transform[0] /= math.sqrt(2)
    blocks = pictures.reshape(count, side // _BLOCK, _BLOCK, side // _BLOCK, _BLOCK).transpose(2, 3)
    coarse = (16 + 12 * (order[None] + order[:, None])) / 255
    coarse = coarse * torch.exp(uniform((count, 1, 1, 1, 1), math.log(0.2), math.log(1.5), device))
    values = transform @ blocks @ transform.T
    values = (values / coarse).round() * coarse
    return (transform.T @ values @ transform).transpose(2, 3).reshape(pictures.shape)
