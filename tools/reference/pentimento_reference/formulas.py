"""The operations and blocks of published networks as formulas, with PyTorch's own functions.

A block takes its tensors by name. What ends on `_shapes` says which shapes those have.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Tensors = dict[str, Tensor]
Shapes = dict[str, list[int]]


def flrelu(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """`√2 · lrelu(x + bias)` with a slope of 0.2."""
    if bias is not None:
        x = x + bias.view([1, -1] + [1] * (x.dim() - 2))
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def fir(gain: float = 1.0) -> Tensor:
    """The outer product of [1, 3, 3, 1] with itself, of the sum `gain`."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
    kernel = taps[:, None] * taps
    return kernel / kernel.sum() * gain


def upfirdn2d(x: Tensor, kernel: Tensor, up: int, down: int, pad: tuple[int, int]) -> Tensor:
    """Zeros between pixels, a border, the flipped kernel, every `down`-th pixel."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h * up, w * up)
    spread[:, :, ::up, ::up] = x
    spread = F.pad(spread, [pad[0], pad[1], pad[0], pad[1]])
    taps = kernel.flip(0, 1)[None, None].repeat(c, 1, 1, 1)
    return F.conv2d(spread, taps, groups=c)[:, :, ::down, ::down]


def equal_conv(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    return F.conv2d(x, weight / math.sqrt(weight[0].numel()), stride=stride, padding=padding)


def batch_norm(x: Tensor, t: Tensors, name: str) -> Tensor:
    mean, variance = t[f"{name}.running_mean"], t[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, t[f"{name}.weight"], t[f"{name}.bias"], eps=1e-5)


def normalised(name: str, channels: int) -> Shapes:
    """The tensors of a batch normalisation."""
    vectors = ["weight", "bias", "running_mean", "running_var"]
    return {f"{name}.{v}": [channels] for v in vectors} | {f"{name}.num_batches_tracked": []}


def convolution(name: str, out: int, inputs: int, kernel: int, bias: bool = True) -> Shapes:
    weight = {f"{name}.weight": [out, inputs, kernel, kernel]}
    return weight | ({f"{name}.bias": [out]} if bias else {})


def conv(x: Tensor, t: Tensors, name: str, padding: int = 0, stride: int = 1) -> Tensor:
    return F.conv2d(x, t[f"{name}.weight"], t.get(f"{name}.bias"), stride=stride, padding=padding)


def double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def halve(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=False)


def modulated(
    x: Tensor,
    style: Tensor,
    t: Tensors,
    prefix: str,
    equalised: bool,
    mode: str | None,
    demodulate: bool,
) -> Tensor:
    """StyleGAN2's convolution, equalised with a FIR filter, or the clean one with bilinear steps."""
    weight, affine = t[f"{prefix}weight"][0], t[f"{prefix}modulation.weight"]
    if equalised:
        affine = affine / math.sqrt(affine.shape[1])
        weight = weight / math.sqrt(weight[0].numel())
    scale = F.linear(style, affine, t[f"{prefix}modulation.bias"])
    kernel, results = weight.shape[-1], []
    for i in range(x.shape[0]):
        w = weight * scale[i][None, :, None, None]
        if demodulate:
            w = w * (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        y = x[i : i + 1]
        if not equalised:
            y = {"upsample": double, "downsample": halve, None: lambda y: y}[mode](y)
            y = F.conv2d(y, w, padding=kernel // 2)
        elif mode == "upsample":
            y = F.conv_transpose2d(y, w.transpose(0, 1), stride=2)
            p = 2 - (kernel - 1)
            y = upfirdn2d(y, fir(4), 1, 1, ((p + 1) // 2 + 1, p // 2 + 1))
        elif mode == "downsample":
            p = 2 + (kernel - 1)
            y = upfirdn2d(y, fir(), 1, 1, ((p + 1) // 2, p // 2))
            y = F.conv2d(y, w, stride=2)
        else:
            y = F.conv2d(y, w, padding=kernel // 2)
        results.append(y)
    return torch.cat(results)


def modulation(prefix: str, out: int, inputs: int, kernel: int, style: int) -> Shapes:
    return {
        f"{prefix}weight": [1, out, inputs, kernel, kernel],
        f"{prefix}modulation.weight": [inputs, style],
        f"{prefix}modulation.bias": [inputs],
    }


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """`softmax(qᵀk / √d) v` over the pixels, by heads of d channels."""
    n, c, h, w = query.shape
    q, k, v = (x.reshape(n, heads, c // heads, h * w) for x in (query, key, value))
    scores = torch.einsum("nhdi,nhdj->nhij", q, k) / math.sqrt(c // heads)
    return torch.einsum("nhij,nhdj->nhdi", scores.softmax(-1), v).reshape(n, c, h, w)


def group_norm(x: Tensor, t: Tensors, name: str) -> Tensor:
    return F.group_norm(x, 32, t[f"{name}.weight"], t[f"{name}.bias"], eps=1e-6)


def vectors(names: list[str], channels: int) -> Shapes:
    return {f"{name}.{part}": [channels] for name in names for part in ("weight", "bias")}


def attended(t: Tensors, heads: int, first: str, query: tuple[str, str] | None = None) -> Tensor:
    x = t["x"]
    normal = group_norm(x, t, f"w.{first}")
    asked = group_norm(t[query[0]], t, f"w.{query[1]}") if query else normal
    y = attention(conv(asked, t, "w.q"), conv(normal, t, "w.k"), conv(normal, t, "w.v"), heads)
    return x + conv(y, t, "w.proj_out")


def swish_block(x: Tensor, t: Tensors, prefix: str, shortcut: str) -> Tensor:
    y = conv(F.silu(group_norm(x, t, f"{prefix}norm1")), t, f"{prefix}conv1", 1)
    y = conv(F.silu(group_norm(y, t, f"{prefix}norm2")), t, f"{prefix}conv2", 1)
    return y + conv(x, t, f"{prefix}{shortcut}")


def swish_shapes(prefix: str, out: int, inputs: int, shortcut: str) -> Shapes:
    return (
        vectors([f"{prefix}norm1"], inputs)
        | convolution(f"{prefix}conv1", out, inputs, 3)
        | vectors([f"{prefix}norm2"], out)
        | convolution(f"{prefix}conv2", out, out, 3)
        | convolution(f"{prefix}{shortcut}", out, inputs, 1)
    )


def fused(t: Tensors, fidelity: float) -> Tensor:
    both = torch.cat([t["enc"], t["dec"]], 1)
    y = swish_block(both, t, "w.encode_enc.", "conv_out")

    def branch(name: str) -> Tensor:
        return conv(F.leaky_relu(conv(y, t, f"w.{name}.0", 1), 0.2), t, f"w.{name}.2", 1)

    return t["dec"] + fidelity * (t["dec"] * branch("scale") + branch("shift"))


def transformer(t: Tensors, heads: int) -> Tensor:
    x, width = t["x"], t["x"].shape[-1]
    normal = F.layer_norm(x, [width], t["w.norm1.weight"], t["w.norm1.bias"])
    position = normal + t["pos"]
    projections = zip(
        t["w.self_attn.in_proj_weight"].chunk(3), t["w.self_attn.in_proj_bias"].chunk(3)
    )
    q, k, v = (
        # Tokens, samples, channels → samples, channels, one row of tokens.
        F.linear(source, *projection).permute(1, 2, 0)[:, :, None]
        for source, projection in zip((position, position, normal), projections)
    )
    y = attention(q, k, v, heads)[:, :, 0].permute(2, 0, 1)
    x = x + F.linear(y, t["w.self_attn.out_proj.weight"], t["w.self_attn.out_proj.bias"])
    normal = F.layer_norm(x, [width], t["w.norm2.weight"], t["w.norm2.bias"])
    hidden = F.gelu(F.linear(normal, t["w.linear1.weight"], t["w.linear1.bias"]))
    return x + F.linear(hidden, t["w.linear2.weight"], t["w.linear2.bias"])


def quantised(t: Tensors) -> Tensors:
    x, rows = t["x"], t["w.embedding.weight"]
    pixels = x.permute(0, 2, 3, 1).reshape(-1, rows.shape[1])
    index = torch.cdist(pixels, rows).argmin(1)
    n, c, h, w = x.shape
    nearest = rows[index].reshape(n, h, w, c).permute(0, 3, 1, 2)
    return {"output": nearest, "output_indices": index}


def dense_block(x: Tensor, t: Tensors, prefix: str) -> Tensor:
    parts = [x]
    for i in range(1, 5):
        y = conv(torch.cat(parts, 1), t, f"{prefix}conv{i}", 1)
        parts.append(F.leaky_relu(y, 0.2))
    return x + 0.2 * conv(torch.cat(parts, 1), t, f"{prefix}conv5", 1)


def dense_shapes(prefix: str, channels: int, growth: int) -> Shapes:
    shapes: Shapes = {}
    for i in range(1, 6):
        out = growth if i < 5 else channels
        shapes |= convolution(f"{prefix}conv{i}", out, channels + (i - 1) * growth, 3)
    return shapes


def rrdb(t: Tensors) -> Tensor:
    y = t["x"]
    for block in (1, 2, 3):
        y = dense_block(y, t, f"w.rdb{block}.")
    return t["x"] + 0.2 * y


def parse_block(t: Tensors, down: bool) -> Tensor:
    def layer(x: Tensor, name: str, scale: bool) -> Tensor:
        if scale and not down:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.pad(x, [1] * 4, mode="reflect")
        return conv(x, t, f"w.{name}.conv2d", stride=2 if scale and down else 1)

    skip = layer(t["x"], "shortcut_func", True)
    y = batch_norm(layer(t["x"], "conv1", not down), t, "w.conv1.norm.norm")
    y = F.leaky_relu(y, 0.2)
    return skip + batch_norm(layer(y, "conv2", down), t, "w.conv2.norm.norm")


def parse_shapes(inputs: int, out: int) -> Shapes:
    return (
        convolution("w.shortcut_func.conv2d", out, inputs, 3)
        | convolution("w.conv1.conv2d", out, inputs, 3, bias=False)
        | normalised("w.conv1.norm.norm", out)
        | convolution("w.conv2.conv2d", out, out, 3, bias=False)
        | normalised("w.conv2.norm.norm", out)
    )


SSH = [
    ("conv3X3", 0, 2),
    ("conv5X5_1", 0, 4),
    ("conv5X5_2", 4, 4),
    ("conv7X7_2", 4, 4),
    ("conv7x7_3", 4, 4),
]


def context(t: Tensors, slope: float) -> Tensor:
    def layer(x: Tensor, name: str) -> Tensor:
        return batch_norm(conv(x, t, f"w.{name}.0", 1), t, f"w.{name}.1")

    x = t["x"]
    first = F.leaky_relu(layer(x, "conv5X5_1"), slope)
    second = F.leaky_relu(layer(first, "conv7X7_2"), slope)
    parts = [layer(x, "conv3X3"), layer(first, "conv5X5_2"), layer(second, "conv7x7_3")]
    return F.relu(torch.cat(parts, 1))


def context_shapes(inputs: int, out: int) -> Shapes:
    shapes: Shapes = {}
    for name, from_part, part in SSH:
        source = out // from_part if from_part else inputs
        shapes |= convolution(f"w.{name}.0", out // part, source, 3, bias=False)
        shapes |= normalised(f"w.{name}.1", out // part)
    return shapes


def refined(t: Tensors) -> Tensor:
    y = F.relu(batch_norm(conv(t["x"], t, "w.conv.conv", 1), t, "w.conv.bn"))
    gate = batch_norm(conv(y.mean((2, 3), keepdim=True), t, "w.conv_atten"), t, "w.bn_atten")
    return y * torch.sigmoid(gate)


def mobile(t: Tensors, stride: int) -> Tensor:
    x, channels = t["x"], t["x"].shape[1]
    y = F.conv2d(x, t["w.0.weight"], stride=stride, padding=1, groups=channels)
    y = F.leaky_relu(batch_norm(y, t, "w.1"), 0.1)
    return F.leaky_relu(batch_norm(conv(y, t, "w.3"), t, "w.4"), 0.1)


def adain(t: Tensors) -> Tensor:
    def moments(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean((2, 3), keepdim=True), (x.var((2, 3), keepdim=True) + 1e-5).sqrt()

    (mean, deviation), (new_mean, new_deviation) = moments(t["content"]), moments(t["style"])
    return (t["content"] - mean) / deviation * new_deviation + new_mean


def clean_block(t: Tensors, resample: Callable[[Tensor], Tensor]) -> Tensor:
    y = resample(F.leaky_relu(conv(t["x"], t, "w.conv1", 1), 0.2))
    y = F.leaky_relu(conv(y, t, "w.conv2", 1), 0.2)
    return y + conv(resample(t["x"]), t, "w.skip")


def down_block(t: Tensors) -> Tensor:
    y = flrelu(equal_conv(t["x"], t["w.conv1.0.weight"], padding=1), t["w.conv1.1.bias"])
    y = equal_conv(upfirdn2d(y, fir(), 1, 1, (2, 2)), t["w.conv2.1.weight"], 2)
    skip = equal_conv(upfirdn2d(t["x"], fir(), 1, 1, (1, 1)), t["w.skip.1.weight"], 2)
    return (flrelu(y, t["w.conv2.2.bias"]) + skip) / math.sqrt(2)


def up_block(t: Tensors) -> Tensor:
    y = double(flrelu(equal_conv(t["x"], t["w.conv1.0.weight"], padding=1), t["w.conv1.1.bias"]))
    y = flrelu(equal_conv(y, t["w.conv2.weight"], padding=1), t["w.conv2.activation.bias"])
    return (y + double(equal_conv(t["x"], t["w.skip.weight"]))) / math.sqrt(2)


def styled(t: Tensors, mode: str | None) -> Tensor:
    y = modulated(t["x"], t["style"], t, "w.modulated_conv.", True, mode, True)
    return flrelu(y + t["w.weight"] * t["noise"], t["w.activate.bias"])


def clean_styled(t: Tensors, mode: str | None) -> Tensor:
    y = modulated(t["x"], t["style"], t, "w.modulated_conv.", False, mode, True)
    return F.leaky_relu(y * math.sqrt(2) + t["w.weight"] * t["noise"] + t["w.bias"], 0.2)


def gpen_styled(t: Tensors, mode: str | None, concatenated: bool) -> Tensor:
    y = modulated(t["x"], t["style"], t, "w.conv.", True, mode, True)
    noise = t["w.noise.weight"] * t["noise"]
    y = torch.cat([y, noise], 1) if concatenated else y + noise
    return flrelu(y, t["w.activate.bias"])


def to_rgb(t: Tensors, equalised: bool) -> Tensor:
    y = modulated(t["x"], t["style"], t, "w.modulated_conv.", equalised, None, False) + t["w.bias"]
    return y + (upfirdn2d(t["skip"], fir(4), 2, 1, (2, 1)) if equalised else double(t["skip"]))
