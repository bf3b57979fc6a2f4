"""Train the network on what ``prepare`` wrote, on a GPU where there is one.

``python -m small_screen.train --data FOLDER --out FOLDER --minutes 7`` with ``benchmarks`` on the path, in an
environment with torch and onnx. It needs nothing of the repository beside this folder. A GPU of 2024 shows the network
about half a million pictures in seven minutes; a CPU takes days for as many.
"""

import argparse
import copy
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from small_screen.compose import Batch, batch
from small_screen.grounds import Stored, unpacked
from small_screen.network import SmallScreenNet, as_onnx

__all__ = ["highest", "loss", "main"]

_STRIDES = (8, 16)
_MARGIN = 2.0
_FEW = 4
_LOW = -30.0
_POSITIVE_WEIGHT = 3.0
_WARM_UP, _PEAK, _LAST = 0.04, 4e-3, 2e-5
_KEPT = 0.998
"""Of the slow average of the weights that is written, at each step."""


def highest(maps: tuple[Tensor, Tensor], where: tuple[Tensor, Tensor], few: int) -> Tensor:
    """Return the mean of the highest logits of both maps in the cells asked for, one for each picture."""
    cells = [torch.where(there > 0, one, _LOW).flatten(1) for one, there in zip(maps, where, strict=True)]
    return torch.cat(cells, dim=1).topk(few, dim=1).values.mean(dim=1)


def _cells(truth: Tensor) -> tuple[Tensor, Tensor]:
    fine, coarse = (functional.max_pool2d(truth, stride) for stride in _STRIDES)
    return fine, coarse


def loss(maps: tuple[Tensor, Tensor], truth: Batch) -> Tensor:
    """Ask for a high cell on each line and none on what is clean, and for every cell to be right, less urgently."""
    unclean = _cells(1 - truth.clean)
    clean = (1 - unclean[0], 1 - unclean[1])
    on_lines = []
    for line in range(truth.ink.shape[1]):
        score = highest(maps, _cells(truth.ink[:, line : line + 1]), 1)
        on_lines.append((functional.softplus(_MARGIN - score) * truth.counts[:, line]).sum())
    lines = torch.stack(on_lines).sum() / truth.counts.sum().clamp(min=1)
    nothing = functional.softplus(_MARGIN + highest(maps, clean, _FEW)).mean()
    every = torch.zeros((), device=truth.clean.device)
    inks = _cells(truth.ink.amax(dim=1, keepdim=True))
    for one, ink, none in zip(maps, inks, clean, strict=True):
        sure = torch.sigmoid(one.detach())
        every = every + (functional.softplus(-one) * ink * (1 - sure)).sum() / ink.sum().clamp(min=1)
        every = every + (functional.softplus(one) * none * sure).sum() / none.sum().clamp(min=1)
    return _POSITIVE_WEIGHT * lines + nothing + every


def _rate(done: float) -> float:
    if done < _WARM_UP:
        return _PEAK * (done / _WARM_UP + 0.01)
    rest = (done - _WARM_UP) / (1 - _WARM_UP)
    return _LAST + (_PEAK - _LAST) * (1 - rest) ** 1.5


@torch.no_grad()
def _curve(net: SmallScreenNet, grounds: Stored, masks: Stored, *, count: int, rounds: int, side: int) -> str:
    """Return what share of clean pictures passes where so many lines of fresh pictures are missed."""
    net.eval()
    found, clean, contrast = [], [], []
    for _ in range(rounds):
        for with_text in (0.0, 1.0):
            truth = batch(grounds, masks, count=count, side=side, with_text=with_text)
            maps = tuple(one.float() for one in net(truth.pictures))
            if with_text == 0:
                clean.append(highest(maps, _cells(torch.ones_like(truth.clean)), 1))
            else:
                score = highest(maps, _cells(torch.ones_like(truth.clean)), 1)
                is_one = truth.counts.any(dim=1)
                strongest = (truth.contrast * truth.counts).amax(dim=1)
                found.append(score[is_one])
                contrast.append(strongest[is_one])
    scores, negatives, levels = torch.cat(found), torch.cat(clean), torch.cat(contrast)
    lines = [f"  {len(scores)} pictures with text, {len(negatives)} without"]
    for missed in (0.0, 0.0005, 0.001, 0.003, 0.01, 0.03):
        cut = scores.sort().values[int(missed * len(scores))]
        strong = scores[levels >= 0.3]
        lines.append(
            f"  missed {missed:.2%} at {float(cut):6.2f}: clean passed {float((negatives >= cut).float().mean()):.2%},"
            f" missed of contrast 0.3 {float((strong < cut).float().mean()):.3%}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=7)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40, help="Batches of each kind for the curve at the end.")
    parser.add_argument("--start", type=Path, help="Weights to begin with, written by an earlier run.")
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.benchmark = True
    grounds = Stored.of(unpacked(given.data / "grounds.npz")[0], device)
    masks = Stored.of(sorted(unpacked(given.data / "masks.npz")[0], key=len), device)
    net = SmallScreenNet().to(device, memory_format=torch.channels_last)
    if given.start is not None:
        net.load_state_dict(torch.load(given.start, map_location=device))
    slow = copy.deepcopy(net).eval()
    optimizer = torch.optim.AdamW(net.parameters(), lr=_PEAK, weight_decay=1e-4)
    print(f"{sum(one.numel() for one in net.parameters())} parameters, {device}", flush=True)
    begin, said, step, shown = time.monotonic(), 0.0, 0, 0.0
    while (spent := time.monotonic() - begin) < 60 * given.minutes:
        done = spent / (60 * given.minutes)
        for group in optimizer.param_groups:
            group["lr"] = _rate(done) * (0.4 if given.start else 1)
        truth = batch(grounds, masks, count=given.batch, side=given.side)
        net.train()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            fine, coarse = net(truth.pictures.contiguous(memory_format=torch.channels_last))
        worth = loss((fine.float(), coarse.float()), truth)
        optimizer.zero_grad(set_to_none=True)
        worth.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        step += 1
        kept = min(_KEPT, step / (step + 20))
        with torch.no_grad():
            for one, other in zip(slow.state_dict().values(), net.state_dict().values(), strict=True):
                if one.dtype.is_floating_point:
                    one.lerp_(other, 1 - kept)
                else:
                    one.copy_(other)
        if spent - said > min(60, 12 * given.minutes):
            said = spent
            shown = float(worth.detach())
            print(f"{spent:5.0f} s, step {step}, loss {shown:.4f}", flush=True)
            print(_curve(slow, grounds, masks, count=given.batch, rounds=4, side=given.side), flush=True)
            given.out.mkdir(parents=True, exist_ok=True)
            torch.save(slow.state_dict(), given.out / "small_screen.pt")
            (given.out / "small_screen.onnx").write_bytes(as_onnx(slow))
    given.out.mkdir(parents=True, exist_ok=True)
    torch.save(slow.state_dict(), given.out / "small_screen.pt")
    (given.out / "small_screen.onnx").write_bytes(as_onnx(slow))
    print(f"{step} steps of {given.batch} pictures", flush=True)
    print(_curve(slow, grounds, masks, count=given.batch, rounds=given.rounds, side=given.side), flush=True)


if __name__ == "__main__":
    main()
