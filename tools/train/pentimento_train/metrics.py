"""Errors and likenesses of 8-bit pictures; inputs uint8 [N, 3, H, W], results per picture [N]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of Wang et al. 2003, from the full resolution down."""


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """10·log10(255² / mean squared error over the three channels), in dB."""
    error = (x.double() - y.double()).square().mean((1, 2, 3))
    return 10 * torch.log10(255.0**2 / error)


def _window(v: Tensor) -> Tensor:
    """Gaussian window 11×11 with sigma 1.5 on every channel: valid area, [N·C, 1, h, w]."""
    axis = torch.arange(11, dtype=torch.float64) - 5
    taps = torch.exp(-axis.square() / (2 * 1.5**2))
    taps = taps / taps.sum()
    v = F.conv2d(v.flatten(0, 1)[:, None], taps[None, None, :, None])
    return F.conv2d(v, taps[None, None, None, :])


def _ssim_parts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Means [N] over channels and area of SSIM, and of its contrast and structure part alone."""
    mean_a, mean_b = _window(a), _window(b)
    var_a = _window(a * a) - mean_a.square()
    var_b = _window(b * b) - mean_b.square()
    covariance = _window(a * b) - mean_a * mean_b
    structure = (2 * covariance + C2) / (var_a + var_b + C2)
    luminance = (2 * mean_a * mean_b + C1) / (mean_a.square() + mean_b.square() + C1)
    shape = (a.shape[0], -1)
    return (luminance * structure).reshape(shape).mean(1), structure.reshape(shape).mean(1)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Wang et al. 2004: Gaussian window 11×11 with sigma 1.5, valid area, mean over channels."""
    return _ssim_parts(x.double(), y.double())[0]


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Wang et al. 2003, over five scales; those smaller than the window are left out."""
    return ssim_and_ms_ssim(x, y)[1]


def ssim_and_ms_ssim(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both at the price of one: the first is the second's work at the full resolution."""
    a, b = x.double(), y.double()
    fitting = [e for i, e in enumerate(SCALES) if x.shape[-1] // 2**i >= 11]
    single, structure = _ssim_parts(a, b)
    score = torch.ones_like(single)
    whole = single
    for i, exponent in enumerate(fitting):
        if i:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
            whole, structure = _ssim_parts(a, b)
        part = whole if i == len(fitting) - 1 else structure
        score = score * part.clamp(min=0) ** (exponent / sum(fitting))
    return single, score


def gradient_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute error of the differences between neighbours, in grey levels."""
    d = x.double() - y.double()
    rows, columns = d[..., 1:, :] - d[..., :-1, :], d[..., 1:] - d[..., :-1]
    return (rows.abs().mean((1, 2, 3)) + columns.abs().mean((1, 2, 3))) / 2


def frequency_error(x: Tensor, y: Tensor) -> Tensor:
    """Distance of the mean log amplitudes above half of the highest frequency, in dB.

    It does not ask where details are, but whether there are as many: blur and noise both count.
    """
    spectra = [torch.fft.rfft2(v.double(), norm="ortho").abs().clamp_min(1.0) for v in (x, y)]
    rows = torch.fft.fftfreq(x.shape[-2])[:, None]
    columns = torch.fft.rfftfreq(x.shape[-1])[None]
    high = torch.hypot(rows, columns) > 0.25
    distance = 20 * (torch.log10(spectra[0]) - torch.log10(spectra[1]))
    return distance[..., high].mean(-1).abs().mean(1)


def measures(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """All of them, by name, a few pictures at a time."""
    parts = []
    for a, b in zip(x.split(8), y.split(8), strict=True):
        single, several = ssim_and_ms_ssim(a, b)
        parts.append(
            {
                "PSNR": psnr(a, b),
                "SSIM": single,
                "MS-SSIM": several,
                "gradient": gradient_error(a, b),
                "frequency": frequency_error(a, b),
            }
        )
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
