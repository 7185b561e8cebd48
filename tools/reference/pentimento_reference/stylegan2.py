"""StyleGAN2 synthesis with equalised learning rates, in the FIR and in the bilinear family."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import Upsample

SLOPE = 0.2
GAIN = math.sqrt(2.0)


def fused_leaky_relu(x: Tensor) -> Tensor:
    """√2 · lrelu(x, 0.2)."""
    return F.leaky_relu(x, SLOPE) * GAIN


def bilinear2(x: Tensor) -> Tensor:
    """Bilinear ×2 with half-pixel centres and clamped edges: [N, C, H, W] → [N, C, 2H, 2W]."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _fir(x: Tensor) -> Tensor:
    """Correlates every channel with 4·outer([1,3,3,1]/8, [1,3,3,1]/8); no padding.

    The kernel is symmetric, so correlation and convolution agree. [N, C, H, W] → [N, C, H-3, W-3].
    """
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 4.0
    channels = x.shape[1]
    kernel = torch.outer(taps, taps).expand(channels, 1, 4, 4)
    return F.conv2d(x, kernel, groups=channels)


def fir_after_transposed(x: Tensor) -> Tensor:
    """The blur behind a stride-2 transposed 3×3 convolution: [N, C, 2n+1, 2n+1] → [N, C, 2n, 2n]."""
    return _fir(F.pad(x, (1, 1, 1, 1)))


def fir_up2(x: Tensor) -> Tensor:
    """upfirdn2d with up 2 and pad (2, 1), for the RGB skip: [N, C, n, n] → [N, C, 2n, 2n]."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h, 2, w, 2)
    spread[:, :, :, 0, :, 0] = x
    return _fir(F.pad(spread.view(n, c, 2 * h, 2 * w), (2, 1, 2, 1)))


class EqualLinear(nn.Module):
    """y = x (W · lr_mul / √in)ᵀ + b · lr_mul: [N, in] → [N, out]."""

    def __init__(self, c_in: int, c_out: int, bias: float = 0.0, lr_mul: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in) / lr_mul)
        self.bias = nn.Parameter(torch.full((c_out,), bias))
        self.scale = lr_mul / math.sqrt(c_in)
        self.lr_mul = lr_mul

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)


class MappingLayer(EqualLinear):
    """One layer of the mapping network: EqualLinear with lr_mul 0.01, then √2·lrelu."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, lr_mul=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return fused_leaky_relu(super().forward(x))


def pixel_norm(x: Tensor) -> Tensor:
    """x · rsqrt(mean(x²) + 1e-8) over the last axis."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-8)


class StyledConv(nn.Module):
    """Modulated, demodulated 3×3 convolution (optionally ×2), then noise, bias and activation.

    `x` [N, c_in, H, W], `w` [N, D]. With `noise` [1, 1, R, R]:

        y = √2 · lrelu(modconv(x, w) + noise_weight · noise + bias)

    With `feature` [N, c_out, R, R] instead (inject = noise_concat; `bias` has 2·c_out entries):

        y = √2 · lrelu(concat(modconv(x, w), noise_weight · feature) + bias)
    """

    def __init__(
        self, c_in: int, c_out: int, latent_dim: int, up: Upsample | None, concat: bool
    ) -> None:
        super().__init__()
        self.up = up
        self.weight = nn.Parameter(torch.randn(c_out, c_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(c_out * (2 if concat else 1)))
        self.noise_weight = nn.Parameter(torch.zeros(1))
        self.modulation = EqualLinear(latent_dim, c_in, bias=1.0)
        self.scale = 1.0 / math.sqrt(c_in * 9)

    def _modulated(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.modulation(w)
        weight = self.weight * self.scale
        # As a 1×1 convolution: what converters know.
        squares = weight.square().sum((2, 3), keepdim=True)
        energy = F.conv2d(style.square()[:, :, None, None], squares)
        demodulation = torch.rsqrt(energy + 1e-8)
        x = x * style[:, :, None, None]
        if self.up == "fir":
            y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            return fir_after_transposed(y * demodulation)
        if self.up == "bilinear":
            x = bilinear2(x)
        return F.conv2d(x, weight, padding=1) * demodulation

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None, feature: Tensor | None) -> Tensor:
        y = self._modulated(x, w)
        if feature is not None:
            y = torch.cat([y, self.noise_weight * feature], 1)
        if noise is not None:
            y = y + self.noise_weight * noise
        return fused_leaky_relu(y + self.bias[None, :, None, None])


class ToRgb(nn.Module):
    """Modulated 1×1 convolution to RGB without demodulation, plus bias: [N, c, R, R] → [N, 3, R, R]."""

    def __init__(self, c_in: int, latent_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, c_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.modulation = EqualLinear(latent_dim, c_in, bias=1.0)
        self.scale = 1.0 / math.sqrt(c_in)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = x * self.modulation(w)[:, :, None, None]
        return F.conv2d(x, self.weight * self.scale, self.bias)
