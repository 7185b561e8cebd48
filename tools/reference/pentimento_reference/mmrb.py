"""The mixed multi-path residual block (MMRB), usable in any network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import ConfigError, MmrbConfig, PathConfig


def _path(path: PathConfig, c_in: int, c_out: int) -> nn.Conv2d:
    if c_in % path.groups or c_out % path.groups:
        raise ConfigError(
            f"mmrb: `groups` {path.groups} must divide the path's {c_in} input "
            f"and {c_out} output channels"
        )
    padding = path.dilation * (path.kernel // 2)
    return nn.Conv2d(
        c_in, c_out, path.kernel, padding=padding, dilation=path.dilation, groups=path.groups
    )


class Mmrb(nn.Module):
    """[N, c_in, H, W] → [N, c_out, H, W].

    Two stages of parallel paths with a mix between them, a 1×1 fusion and a skip:

        s1_p = lrelu(conv_p(x));  m = mix(s1);  s2_p = lrelu(conv'_p(m_p))
        y = conv1x1(concat(s2_1 … s2_P)) + skip(x),  then lrelu(y) with `fuse_activation`
    """

    def __init__(self, config: MmrbConfig, c_in: int, c_out: int, path_channels: int) -> None:
        super().__init__()
        self.mix = config.mix
        self.slope = config.slope
        self.fuse_activation = config.fuse_activation
        mixed = path_channels * (len(config.paths) if config.mix == "concat" else 1)
        self.stage1 = nn.ModuleList(_path(p, c_in, path_channels) for p in config.paths)
        self.stage2 = nn.ModuleList(_path(p, mixed, path_channels) for p in config.paths)
        self.fuse = nn.Conv2d(path_channels * len(config.paths), c_out, 1)
        self.skip = nn.Conv2d(c_in, c_out, 1, bias=False) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        first = [F.leaky_relu(conv(x), self.slope) for conv in self.stage1]
        mixed: list[Tensor]
        if self.mix == "concat":
            mixed = [torch.cat(first, 1)] * len(first)
        elif self.mix == "sum":
            mixed = [torch.stack(first).sum(0)] * len(first)
        else:
            mixed = first
        second = [
            F.leaky_relu(conv(m), self.slope) for conv, m in zip(self.stage2, mixed, strict=True)
        ]
        y = self.fuse(torch.cat(second, 1)) + self.skip(x)
        return F.leaky_relu(y, self.slope) if self.fuse_activation else y
