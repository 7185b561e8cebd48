"""Writes golden cases of single operations and blocks, as `tests/ops/goldens.rs` reads them.

python -m pentimento_reference.operations FOLDER [--seed N] [--only NAME]

FOLDER becomes what the environment variable PENTIMENTO_SHARED names: the cases lie in
`FOLDER/goldens/ops`, each in a folder of any name. Its `meta.json` names the operation, its parameters
and tensors. The formulas are those of the published networks, written here with PyTorch's own
functions. Results are computed in float64. Weights and inputs are random, by the seed.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .formulas import (
    Shapes,
    Tensors,
    adain,
    attended,
    clean_block,
    clean_styled,
    context,
    context_shapes,
    conv,
    convolution,
    dense_block,
    dense_shapes,
    double,
    down_block,
    equal_conv,
    fir,
    flrelu,
    fused,
    gpen_styled,
    halve,
    mobile,
    modulated,
    modulation,
    normalised,
    parse_block,
    parse_shapes,
    quantised,
    refined,
    rrdb,
    styled,
    swish_block,
    swish_shapes,
    to_rgb,
    transformer,
    up_block,
    upfirdn2d,
    vectors,
)


@dataclass(frozen=True)
class Case:
    """An operation, the shapes of its tensors by name, and its formula."""

    name: str
    op: str
    formula: Callable[[Tensors], Tensor | Tensors]
    shapes: Shapes
    params: dict[str, Any] = field(default_factory=dict)


SIDES = [[7, 10], [12, 6]]


def resampling() -> list[Case]:
    cases = []
    for h, w in SIDES:
        at, x = f"{h}x{w}", {"x": [2, 3, h, w]}
        cases += [
            Case(f"mean_{at}", "mean over H,W", lambda t: t["x"].mean((2, 3), keepdim=True), x),
            Case(
                f"double_{at}",
                "interpolate",
                lambda t: double(t["x"]),
                x,
                {"scale": 2.0, "align_corners": False},
            ),
            Case(
                f"halve_{at}",
                "interpolate",
                lambda t: halve(t["x"]),
                x,
                {"scale": 0.5, "align_corners": False},
            ),
            Case(
                f"resize_{at}",
                "interpolate",
                lambda t: F.interpolate(t["x"], size=(9, 5), mode="bilinear", align_corners=False),
                x,
                {"size": [9, 5], "align_corners": False},
            ),
            Case(
                f"align_corners_{at}",
                "interpolate",
                lambda t: F.interpolate(t["x"], size=(9, 11), mode="bilinear", align_corners=True),
                x,
                {"size": [9, 11], "align_corners": True},
            ),
            Case(
                f"nearest_{at}",
                "interpolate nearest",
                lambda t: F.interpolate(t["x"], scale_factor=3, mode="nearest"),
                x,
                {"scale": 3},
            ),
            Case(
                f"nearest_size_{at}",
                "interpolate nearest",
                lambda t: F.interpolate(t["x"], size=(8, 13), mode="nearest"),
                x,
                {"size": [8, 13]},
            ),
            Case(
                f"pool_{at}",
                "max_pool2d",
                lambda t: F.max_pool2d(t["x"], 3, 2, 1),
                x,
                {"k": 3, "stride": 2, "pad": 1},
            ),
            Case(
                f"mirror_{at}",
                "reflection pad",
                lambda t: F.pad(t["x"], [2] * 4, mode="reflect"),
                x,
                {"pad": 2},
            ),
            Case(
                f"mirror_end_{at}",
                "reflection pad, right and bottom only",
                lambda t: F.pad(t["x"], [0, 3, 0, 1], mode="reflect"),
                x,
                {"right": 3, "bottom": 1},
            ),
        ]
    for r in (2, 3):
        cases.append(
            Case(
                f"shuffle_{r}",
                "pixel_shuffle",
                lambda t, r=r: F.pixel_shuffle(t["x"], r),
                {"x": [2, 2 * r * r, 5, 4]},
                {"r": r},
            )
        )
        cases.append(
            Case(
                f"unshuffle_{r}",
                "pixel_unshuffle",
                lambda t, r=r: F.pixel_unshuffle(t["x"], r),
                {"x": [2, 3, 3 * r, 4 * r]},
                {"r": r},
            )
        )
    for up, down, pad in [
        (1, 1, (2, 1)),
        (2, 1, (2, 1)),
        (1, 2, (1, 1)),
        (1, 1, (-1, 2)),
        (2, 2, (3, 0)),
    ]:
        cases.append(
            Case(
                f"upfirdn_{up}_{down}_{pad[0]}_{pad[1]}",
                "upfirdn2d",
                lambda t, up=up, down=down, pad=pad: upfirdn2d(t["x"], t["kernel"], up, down, pad),
                {"x": [2, 3, 6, 9], "kernel": [4, 4]},
                {"up": up, "down": down, "pad": list(pad)},
            )
        )
    return cases


def pointwise() -> list[Case]:
    small = [2, 5, 4, 7]
    cases = [
        Case(
            "prelu",
            "prelu per channel",
            lambda t: F.prelu(t["x"], t["w.weight"]),
            {"x": small, "w.weight": [5]},
        ),
        Case("scaled_leaky", "scaled_leaky_relu", lambda t: flrelu(t["x"]), {"x": small}),
        Case(
            "fused_leaky",
            "fused_leaky_relu",
            lambda t: flrelu(t["x"], t["bias"]),
            {"x": small, "bias": [5]},
        ),
        Case(
            "fused_leaky_vector",
            "fused_leaky_relu",
            lambda t: flrelu(t["x"], t["bias"]),
            {"x": [3, 9], "bias": [9]},
        ),
        Case(
            "pixel_norm",
            "x * rsqrt(mean(x^2, dim=1) + 1e-8)",
            lambda t: t["x"] * (t["x"].square().mean(1, keepdim=True) + 1e-8).rsqrt(),
            {"x": [4, 11]},
        ),
        Case(
            "adain",
            "adaptive instance norm",
            adain,
            {"content": [2, 4, 6, 5], "style": [2, 4, 6, 5]},
        ),
    ]
    for half in (False, True):
        channels = 3 if half else 6

        def sft(t: Tensors, half: bool = half) -> Tensor:
            first = 3 if half else 0
            rest = t["x"][:, first:] * t["scale"] + t["shift"]
            return torch.cat([t["x"][:, :first], rest], 1)

        condition = [2, channels, 4, 9]
        shapes = {"x": [2, 6, 4, 9], "scale": condition, "shift": condition}
        cases.append(Case(f"sft_{'half' if half else 'whole'}", "sft", sft, shapes, {"half": half}))
    for multiplier, activation in [(1.0, None), (0.01, "fused_lrelu")]:

        def linear(
            t: Tensors, m: float = multiplier, activation: str | None = activation
        ) -> Tensor:
            y = F.linear(t["x"], t["w.weight"] * m / math.sqrt(9), t["w.bias"] * m)
            return y if activation is None else flrelu(y)

        cases.append(
            Case(
                f"linear_{multiplier}",
                "equal_linear",
                linear,
                {"x": [4, 9], "w.weight": [6, 9], "w.bias": [6]},
                {"lr_mul": multiplier, "activation": activation},
            )
        )
    for kernel, stride, padding in [(1, 1, 0), (3, 1, 1), (3, 2, 0)]:

        def plain(t: Tensors, stride: int = stride, padding: int = padding) -> Tensor:
            return (
                equal_conv(t["x"], t["w.weight"], stride, padding)
                + t["w.bias"][None, :, None, None]
            )

        cases.append(
            Case(
                f"equal_conv_{kernel}_{stride}",
                "equal_conv2d",
                plain,
                {"x": [2, 4, 9, 7], "w.weight": [6, 4, kernel, kernel], "w.bias": [6]},
                {"k": kernel, "stride": stride, "padding": padding},
            )
        )
    return cases


def generators() -> list[Case]:
    cases = []
    for equalised, op in [(True, "modulated_conv (BasicSR)"), (False, "modulated_conv (clean)")]:
        kind = "fir" if equalised else "clean"
        for mode in (None, "upsample", "downsample"):
            for demodulate, inputs, out, samples in [(True, 7, 5, 1), (False, 4, 9, 3)]:
                cases.append(
                    Case(
                        f"modulated_{kind}_{mode or 'keep'}_{int(demodulate)}",
                        op,
                        lambda t, e=equalised, m=mode, d=demodulate: modulated(
                            t["x"], t["style"], t, "w.", e, m, d
                        ),
                        {"x": [samples, inputs, 8, 6], "style": [samples, 10]}
                        | modulation("w.", out, inputs, 3, 10),
                        {"k": 3, "demodulate": demodulate, "sample_mode": mode},
                    )
                )
        for mode in (None, "upsample"):
            side = [6, 8] if mode is None else [12, 16]
            bias = {"w.activate.bias": [5]} if equalised else {"w.bias": [1, 5, 1, 1]}
            cases.append(
                Case(
                    f"styled_{kind}_{mode or 'keep'}",
                    "StyleConv: " if equalised else "StyleConv clean",
                    lambda t, e=equalised, m=mode: (styled if e else clean_styled)(t, m),
                    {"x": [2, 7, 6, 8], "style": [2, 10], "noise": [1, 1, *side], "w.weight": [1]}
                    | bias
                    | modulation("w.modulated_conv.", 5, 7, 3, 10),
                    {"sample_mode": mode},
                )
            )
        cases.append(
            Case(
                f"to_rgb_{kind}",
                "ToRGB: " if equalised else "ToRGB clean",
                lambda t, e=equalised: to_rgb(t, e),
                {"x": [2, 7, 12, 8], "style": [2, 10], "skip": [2, 3, 6, 4], "w.bias": [1, 3, 1, 1]}
                | modulation("w.modulated_conv.", 3, 7, 1, 10),
            )
        )
    for mode in (None, "upsample"):
        for concatenated in (False, True):
            side = [6, 8] if mode is None else [12, 16]
            kernel = {"w.conv.blur.kernel": [4, 4]} if mode else {}
            cases.append(
                Case(
                    f"gpen_styled_{mode or 'keep'}_{int(concatenated)}",
                    "GPEN StyledConv",
                    lambda t, m=mode, c=concatenated: gpen_styled(t, m, c),
                    {
                        "x": [1, 7, 6, 8],
                        "style": [1, 10],
                        "noise": [1, 5, *side],
                        "w.noise.weight": [1],
                    }
                    | {"w.activate.bias": [10 if concatenated else 5]}
                    | kernel
                    | modulation("w.conv.", 5, 7, 3, 10),
                    {"upsample": mode is not None, "isconcat": concatenated},
                )
            )
    return cases


def blocks() -> list[Case]:
    heads = ["w.q", "w.k", "w.v", "w.proj_out"]
    projections: Shapes = {}
    for name in heads:
        projections |= convolution(name, 32, 32, 1)
    fusing = swish_shapes("w.encode_enc.", 32, 64, "conv_out")
    for name in ("scale.0", "scale.2", "shift.0", "shift.2"):
        fusing |= convolution(f"w.{name}", 32, 32, 3)
    dense_three: Shapes = {}
    for block in (1, 2, 3):
        dense_three |= dense_shapes(f"w.rdb{block}.", 5, 3)
    asymmetric = {"x": [2, 32, 6, 8], "w.conv.weight": [32, 32, 3, 3], "w.conv.bias": [32]}
    cases = [
        Case(
            "attention_refinement",
            "attention refinement",
            refined,
            {"x": [2, 5, 6, 9]}
            | convolution("w.conv.conv", 7, 5, 3, bias=False)
            | normalised("w.conv.bn", 7)
            | convolution("w.conv_atten", 7, 7, 1, bias=False)
            | normalised("w.bn_atten", 7),
        ),
        Case(
            "parse_down",
            "ParseNet ResidualBlock down",
            lambda t: parse_block(t, True),
            {"x": [2, 5, 8, 12]} | parse_shapes(5, 9),
        ),
        Case(
            "parse_up",
            "ParseNet ResidualBlock up",
            lambda t: parse_block(t, False),
            {"x": [2, 9, 4, 6]} | parse_shapes(9, 5),
        ),
        Case(
            "context_leaky",
            "SSH",
            lambda t: context(t, 0.1),
            {"x": [2, 12, 6, 5]} | context_shapes(12, 24),
        ),
        Case(
            "context",
            "SSH",
            lambda t: context(t, 0.0),
            {"x": [1, 12, 6, 5]} | context_shapes(12, 80),
        ),
        Case(
            "fuse",
            "controllable feature transform",
            lambda t: fused(t, 0.4),
            {"enc": [1, 32, 6, 4], "dec": [1, 32, 6, 4]} | fusing,
            {"w": 0.4},
        ),
        Case(
            "cross_attention",
            "MultiHeadAttnBlock cross",
            lambda t: attended(t, 2, "norm1", ("y", "norm2")),
            {"x": [1, 32, 4, 9], "y": [1, 32, 4, 9]}
            | vectors(["w.norm1", "w.norm2"], 32)
            | projections,
            {"heads": 2},
        ),
        Case(
            "self_attention",
            "MultiHeadAttnBlock self",
            lambda t: attended(t, 8, "norm1"),
            {"x": [2, 32, 4, 9]} | vectors(["w.norm1", "w.norm2"], 32) | projections,
            {"heads": 8},
        ),
        Case(
            "one_head",
            "single-head attention block",
            lambda t: attended(t, 1, "norm"),
            {"x": [2, 32, 6, 4]} | vectors(["w.norm"], 32) | projections,
        ),
        Case(
            "swish",
            "GroupNorm(32,eps1e-6)-swish-conv x2 + 1x1 shortcut",
            lambda t: swish_block(t["x"], t, "w.", "nin_shortcut"),
            {"x": [1, 64, 4, 6]} | swish_shapes("w.", 32, 64, "nin_shortcut"),
        ),
        Case(
            "transformer",
            "pre-norm self attention",
            lambda t: transformer(t, 4),
            {
                "x": [15, 2, 32],
                "pos": [15, 2, 32],
                "w.self_attn.in_proj_weight": [96, 32],
                "w.self_attn.in_proj_bias": [96],
                "w.self_attn.out_proj.weight": [32, 32],
                "w.self_attn.out_proj.bias": [32],
                "w.linear1.weight": [48, 32],
                "w.linear1.bias": [48],
                "w.linear2.weight": [32, 48],
                "w.linear2.bias": [32],
            }
            | vectors(["w.norm1", "w.norm2"], 32),
            {"heads": 4, "layout": "tokens, batch, dim"},
        ),
        Case(
            "codebook",
            "nearest codebook row",
            quantised,
            {"x": [1, 6, 5, 4], "w.embedding.weight": [20, 6]},
        ),
        Case(
            "down_layer",
            "ConvLayer downsample",
            lambda t: flrelu(
                equal_conv(upfirdn2d(t["x"], t["w.0.kernel"], 1, 1, (2, 2)), t["w.1.weight"], 2),
                t["w.2.bias"],
            ),
            {"x": [2, 4, 12, 8], "w.0.kernel": [4, 4], "w.1.weight": [6, 4, 3, 3], "w.2.bias": [6]},
        ),
        Case(
            "asymmetric",
            "pad right/bottom by 1 (zeros) then 3x3 stride 2",
            lambda t: conv(F.pad(t["x"], [0, 1, 0, 1]), t, "w.conv", stride=2),
            asymmetric,
        ),
        Case(
            "dense",
            "residual dense block",
            lambda t: dense_block(t["x"], t, "w."),
            {"x": [2, 5, 6, 8]} | dense_shapes("w.", 5, 3),
        ),
        Case("rrdb", "RRDB", rrdb, {"x": [1, 5, 6, 8]} | dense_three),
        Case(
            "fir_down",
            "StyleGAN2 ResBlock (blur then stride 2), (out+skip)/sqrt2",
            down_block,
            {
                "x": [2, 4, 12, 8],
                "w.conv1.0.weight": [4, 4, 3, 3],
                "w.conv1.1.bias": [4],
                "w.conv2.1.weight": [6, 4, 3, 3],
                "w.conv2.2.bias": [6],
                "w.skip.1.weight": [6, 4, 1, 1],
            },
        ),
        Case(
            "bilinear_up",
            "GFPGANv1 ResUpBlock (bilinear), (out+skip)/sqrt2",
            up_block,
            {
                "x": [2, 4, 6, 5],
                "w.conv1.0.weight": [4, 4, 3, 3],
                "w.conv1.1.bias": [4],
                "w.conv2.weight": [6, 4, 3, 3],
                "w.conv2.activation.bias": [6],
                "w.skip.weight": [6, 4, 1, 1],
            },
        ),
    ]
    for stride in (1, 2):
        depthwise = {"x": [2, 6, 5, 7], "w.0.weight": [6, 1, 3, 3]}
        shapes = (
            depthwise
            | normalised("w.1", 6)
            | convolution("w.3", 9, 6, 1, bias=False)
            | normalised("w.4", 9)
        )
        op = "depthwise 3x3 + BN + leaky0.1, pointwise + BN + leaky0.1"
        cases.append(
            Case(
                f"mobile_{stride}", op, lambda t, s=stride: mobile(t, s), shapes, {"stride": stride}
            )
        )
    for mode, resample in [("down", halve), ("up", double)]:
        shapes = (
            {"x": [2, 4, 8, 6]} | convolution("w.conv1", 4, 4, 3) | convolution("w.conv2", 6, 4, 3)
        )
        shapes |= convolution("w.skip", 6, 4, 1, bias=False)
        cases.append(
            Case(
                f"clean_{mode}",
                "clean ResBlock",
                lambda t, r=resample: clean_block(t, r),
                shapes,
                {"mode": mode},
            )
        )
    return cases


CASES = resampling() + pointwise() + generators() + blocks()


def drawn(name: str, shape: list[int]) -> Tensor:
    """Random values at the scale of a trained tensor of this name."""
    if not shape:
        return torch.tensor(7)
    if name.endswith("kernel"):
        # Some filter; where it is a network's own, the one that it has.
        return fir(4) if "blur" in name else fir() if name.startswith("w.") else torch.rand(shape)
    x = torch.randn(shape)
    if (
        name.endswith("running_var")
        or re.search(r"(norm\d?|bn|bn_atten|\.[14])\.weight$", name)
        and len(shape) == 1
    ):
        return 0.5 + x.abs()
    if name.endswith("modulation.bias"):
        return 1 + 0.3 * x
    if name.endswith("weight") and 2 <= len(shape) <= 4 and "embedding" not in name:
        # Convolutions that are not equalised would let activations grow.
        return x / math.sqrt(math.prod(shape[1:]))
    return x


def write(case: Case, folder: Path, seed: int) -> None:
    torch.manual_seed(seed + sum(case.name.encode()))
    folder.mkdir(parents=True, exist_ok=True)
    # What is computed with is what is stored: values of float32.
    tensors = {name: drawn(name, shape) for name, shape in case.shapes.items()}
    tensors = {n: t if t.dim() == 0 else t.to(torch.float32) for n, t in tensors.items()}
    result = case.formula({n: t.double() for n, t in tensors.items()})
    outputs = result if isinstance(result, dict) else {"output": result}
    for name, value in (tensors | outputs).items():
        kind = (
            np.int32 if name == "output_indices" else np.int64 if value.dim() == 0 else np.float32
        )
        np.save(folder / f"{name}.npy", value.numpy().astype(kind))
    meta = {
        "case": case.name,
        "op": case.op,
        "params": case.params,
        "tensors": {name: list(value.shape) for name, value in tensors.items()},
        "outputs": {name: list(value.shape) for name, value in outputs.items()},
        "seed": seed,
        "torch": torch.__version__,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--only", default="", help="cases whose names begin so")
    arguments = parser.parse_args()
    written = [case for case in CASES if case.name.startswith(arguments.only)]
    for case in written:
        write(case, arguments.folder / "goldens/ops" / case.name, arguments.seed)
    print(f"{len(written)} cases in {arguments.folder / 'goldens/ops'}")


if __name__ == "__main__":
    main()
