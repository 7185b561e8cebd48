"""GFPGANv1Clean (GFPGAN 1.2 to 1.4): a U-Net whose features modulate a StyleGAN2 decoder.

Tensor names are those of the published checkpoints. Noise comes from the stored buffers, so the
output is a function of the input. Of the release configuration only, in which every latent comes
straight from the encoder (`different_w`, `input_is_latent`) and conditions touch the second half of
the channels (`sft_half`); layers that the picture does not depend on have no code.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2


def lrelu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, without gain."""
    return F.leaky_relu(x, SLOPE)


def scaled(x: Tensor, factor: float) -> Tensor:
    """Bilinear, half-pixel centres: [N, C, H, W] → [N, C, factor·H, factor·W]."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class ResBlock(nn.Module):
    """Two 3×3 convolutions around a resize, plus the resized 1×1 skip: [N, c_in, R, R] →
    [N, c_out, factor·R, factor·R]."""

    def __init__(self, c_in: int, c_out: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.conv1 = nn.Conv2d(c_in, c_in, 3, padding=1)
        self.conv2 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.skip = nn.Conv2d(c_in, c_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = lrelu(self.conv2(scaled(lrelu(self.conv1(x)), self.factor)))
        return y + self.skip(scaled(x, self.factor))


class ModulatedConv(nn.Module):
    """Convolution with weights `W[o,i] · style[n,i]`, demodulated: each output channel divided by
    the norm of its weights. `x` [N, c_in, R, R], `w` [N, D].

    With `factored` the styles scale the input and the norms the output, which is the same and needs
    no weights per sample; without, weights are computed per sample as the published code does.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int, latent_dim: int, demodulate: bool
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, c_out, c_in, kernel, kernel) / math.sqrt(c_in))
        self.modulation = nn.Linear(latent_dim, c_in)
        self.demodulate = demodulate
        self.factored = True

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.modulation(w)
        weight = self.weight[0]
        padding = weight.shape[-1] // 2
        if self.factored:
            y = F.conv2d(x * style[:, :, None, None], weight, padding=padding)
            if self.demodulate:
                # As a 1×1 convolution: what converters know.
                squares = weight.square().sum((2, 3), keepdim=True)
                energy = F.conv2d(style.square()[:, :, None, None], squares)
                y = y * torch.rsqrt(energy + 1e-8)
            return y
        n, c, height, width = x.shape
        modulated = self.weight * style[:, None, :, None, None]
        if self.demodulate:
            energy = modulated.square().sum((2, 3, 4), keepdim=True)
            modulated = modulated * torch.rsqrt(energy + 1e-8)
        # One group per sample.
        y = F.conv2d(
            x.reshape(1, n * c, height, width), modulated.flatten(0, 1), padding=padding, groups=n
        )
        return y.reshape(n, -1, height, width)


class StyleConv(nn.Module):
    """`lrelu(√2 · modconv(x) + weight · noise + bias)`, after doubling `x` with `up`."""

    def __init__(self, c_in: int, c_out: int, latent_dim: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.modulated_conv = ModulatedConv(c_in, c_out, 3, latent_dim, demodulate=True)
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, c_out, 1, 1))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        y = self.modulated_conv(scaled(x, 2) if self.up else x, w)
        return lrelu(y * math.sqrt(2.0) + self.weight * noise + self.bias)


class ToRgb(nn.Module):
    """1×1 modulated convolution without demodulation, plus bias, plus the doubled skip."""

    def __init__(self, c_in: int, latent_dim: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(c_in, 3, 1, latent_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None) -> Tensor:
        y = self.modulated_conv(x, w) + self.bias
        return y if skip is None else y + scaled(skip, 2)


class Constant(nn.Module):
    """The 4×4 input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, 4, 4))


class Noises(nn.Module):
    """Buffers `noise0` (4×4), `noise1`, `noise2` (8×8), …"""

    def __init__(self, levels: int) -> None:
        super().__init__()
        for k in range(2 * levels + 1):
            side = 4 << (k + 1) // 2
            self.register_buffer(f"noise{k}", torch.randn(1, 1, side, side))

    def __getitem__(self, k: int) -> Tensor:
        noise: Tensor = getattr(self, f"noise{k}")
        return noise


class Decoder(nn.Module):
    """StyleGAN2 of the clean family with conditions between the two convolutions of a level."""

    def __init__(self, widths: list[int], latent_dim: int) -> None:
        super().__init__()
        self.constant_input = Constant(widths[0])
        self.style_conv1 = StyleConv(widths[0], widths[0], latent_dim, up=False)
        self.to_rgb1 = ToRgb(widths[0], latent_dim)
        self.style_convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for c_in, c_out in zip(widths, widths[1:]):
            self.style_convs.append(StyleConv(c_in, c_out, latent_dim, up=True))
            self.style_convs.append(StyleConv(c_out, c_out, latent_dim, up=False))
            self.to_rgbs.append(ToRgb(c_out, latent_dim))
        self.noises = Noises(len(widths) - 1)

    def forward(self, latents: Tensor, conditions: list[tuple[Tensor, Tensor]]) -> Tensor:
        """`latents` [N, n_latent, D]; scale and shift of every level from 8×8, half its channels."""
        x = self.constant_input.weight.expand(latents.shape[0], -1, -1, -1)
        x = self.style_conv1(x, latents[:, 0], self.noises[0])
        rgb = self.to_rgb1(x, latents[:, 1], None)
        for j, (scale, shift) in enumerate(conditions):
            x = self.style_convs[2 * j](x, latents[:, 1 + 2 * j], self.noises[1 + 2 * j])
            same, changed = x.chunk(2, 1)
            x = torch.cat([same, changed * scale + shift], 1)
            x = self.style_convs[2 * j + 1](x, latents[:, 2 + 2 * j], self.noises[2 + 2 * j])
            rgb = self.to_rgbs[j](x, latents[:, 3 + 2 * j], rgb)
        return rgb


def _condition(c: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c, c, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Conv2d(c, c, 3, padding=1)
    )


class GfpganClean(nn.Module):
    """RGB in [-1, 1], [N, 3, size, size], restored; not clamped.

    `widths` are the U-Net's channels from 4×4 up to `size`, `decoder_widths` those of the decoder,
    whose levels from 8×8 up must be twice as wide.
    """

    def __init__(self, widths: list[int], decoder_widths: list[int], latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        levels = len(widths) - 1
        self.conv_body_first = nn.Conv2d(3, widths[-1], 1)
        down = list(zip(widths[::-1], widths[-2::-1]))
        self.conv_body_down = nn.ModuleList(ResBlock(i, o, 0.5) for i, o in down)
        self.final_conv = nn.Conv2d(widths[0], widths[0], 3, padding=1)
        self.final_linear = nn.Linear(widths[0] * 16, (2 * levels + 2) * latent_dim)
        up = list(zip(widths, widths[1:]))
        self.conv_body_up = nn.ModuleList(ResBlock(i, o, 2) for i, o in up)
        self.condition_scale = nn.ModuleList(_condition(c) for c in widths[1:])
        self.condition_shift = nn.ModuleList(_condition(c) for c in widths[1:])
        self.stylegan_decoder = Decoder(decoder_widths, latent_dim)

    def set_factored(self, factored: bool) -> None:
        """See [`ModulatedConv`]."""
        for module in self.modules():
            if isinstance(module, ModulatedConv):
                module.factored = factored

    def forward(self, x: Tensor) -> Tensor:
        x = lrelu(self.conv_body_first(x))
        skips = []
        for block in self.conv_body_down:
            x = block(x)
            skips.append(x)
        x = lrelu(self.final_conv(x))
        latents = self.final_linear(x.flatten(1)).unflatten(1, (-1, self.latent_dim))
        conditions = []
        for j, block in enumerate(self.conv_body_up):
            x = block(x + skips[-1 - j])
            conditions.append((self.condition_scale[j](x), self.condition_shift[j](x)))
        result: Tensor = self.stylegan_decoder(latents, conditions)
        return result


def release() -> GfpganClean:
    """The network of GFPGAN 1.2 to 1.4: 512×512."""
    decoder = [512, 512, 512, 512, 512, 256, 128, 64]
    return GfpganClean([c // 2 for c in decoder], decoder, 512)


def from_state_dict(tensors: dict[str, Tensor]) -> GfpganClean:
    """The network that a checkpoint holds, its sizes read off the tensors."""
    levels = sum(name.startswith("conv_body_down.") and "skip" in name for name in tensors)
    widths = [tensors["final_conv.weight"].shape[0]]
    widths += [tensors[f"conv_body_up.{j}.skip.weight"].shape[0] for j in range(levels)]
    style = "stylegan_decoder.style_conv"
    decoder = [tensors[f"{style}1.modulated_conv.weight"].shape[1]]
    convs = [f"{style}s.{2 * j}.modulated_conv.weight" for j in range(levels)]
    decoder += [tensors[name].shape[1] for name in convs]
    latent_dim = tensors[f"{style}1.modulated_conv.modulation.weight"].shape[1]
    model = GfpganClean(widths, decoder, latent_dim)
    wanted = model.state_dict().keys()
    model.load_state_dict({name: tensors[name] for name in wanted})
    return model.eval()
