"""An enlarger with MMRBs in place of convolutions: the PyTorch side of `examples/custom_network.rs`.

    python -m pentimento_reference.custom_network MODEL CHECK [--seconds 60]

trains it for a minute on drawn pictures, writes its tensors to MODEL and one picture with its
result to CHECK, both as safetensors.
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from .config import MmrbConfig, PathConfig
from .mmrb import Mmrb

SLOPE = 0.1
FACTOR = 2


class Enlarger(nn.Module):
    """[N, 3, H, W] → [N, 3, factor·H, factor·W], values in [0, 1].

    SRVGGNetCompact, but for its body: an MMRB takes the place of a 3×3 convolution and its
    activation, as it has the same shapes at both ends.
    """

    def __init__(self, channels: int = 24, blocks: int = 4, factor: int = FACTOR) -> None:
        super().__init__()
        self.factor = factor
        config = MmrbConfig(
            paths=(PathConfig(3, 1, 1), PathConfig(3, 2, 1)),
            mix="concat",
            path_channels=channels // 2,
            slope=SLOPE,
            fuse_activation=True,
        )
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(Mmrb(config, channels, channels, channels // 2) for _ in range(blocks))
        )
        self.last = nn.Conv2d(channels, 3 * factor * factor, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.last(self.blocks(F.leaky_relu(self.first(x), SLOPE)))
        return F.pixel_shuffle(y, self.factor) + F.interpolate(x, scale_factor=self.factor)


def drawn(count: int, side: int, generator: torch.Generator) -> Tensor:
    """[count, 3, side, side]: discs and stripes of random colours, so that there are edges."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    pictures = torch.rand(count, 3, 1, 1, generator=generator).expand(-1, -1, side, side).clone()
    for picture in pictures:
        for _ in range(6):
            cx, cy, r, angle, width = torch.rand(5, generator=generator).tolist()
            colour = torch.rand(3, 1, generator=generator)
            disc = (x - cx * side) ** 2 + (y - cy * side) ** 2 < (r * side / 3) ** 2
            along = x * torch.cos(torch.tensor(6.3 * angle)) + y * torch.sin(
                torch.tensor(6.3 * angle)
            )
            stripes = (along / (2 + 6 * width)).floor() % 2 == 0
            picture[:, disc & stripes] = colour
    return pictures


def train(seconds: float) -> tuple[Enlarger, float, float]:
    """The network after so many seconds, and the L1 loss of its first and last 20 steps."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net = Enlarger()
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    losses: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(losses) < 2:
        large = drawn(8, 48, generator)
        small = F.interpolate(large, scale_factor=1 / FACTOR, mode="area")
        loss = F.l1_loss(net(small), large)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    few = min(20, len(losses) // 2)
    return net.eval(), sum(losses[:few]) / few, sum(losses[-few:]) / few


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("check")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    net, before, after = train(arguments.seconds)
    print(f"L1 loss {before:.4f} -> {after:.4f}")
    save_file(net.state_dict(), arguments.model)
    picture = drawn(1, 64, torch.Generator().manual_seed(1))
    with torch.no_grad():
        save_file({"input": picture, "output": net(picture)}, arguments.check)


if __name__ == "__main__":
    main()
