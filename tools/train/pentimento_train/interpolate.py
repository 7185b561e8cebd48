"""Weights between those of two networks, one of which was trained on from the other.

    python -m pentimento_train.interpolate faithful.safetensors sharp.safetensors between.safetensors \\
        --part 0.9

What lies between a network without discriminators and what they made of it is less sharp, and less
grainy (Wang et al., "ESRGAN", arXiv 1809.00219, section 3.4).

With a part above 1 the weights go on in the direction in which training moved them, as far as that
helps: half of the way from 0.6.0 to 0.7.0 once more gained more PSNR than the way itself had.

    python -m pentimento_train.interpolate faithful.safetensors sharp.safetensors new.safetensors \\
        --part 1 --onto better.safetensors

What discriminators taught one network, another can take over that was trained on from the same weights
without them: the difference is added to it (Ilharco et al., "Editing models with task arithmetic",
arXiv 2212.04089).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint, save_checkpoint
from torch import Tensor

from .train import METADATA


def interpolate(first: MmrbNet, second: MmrbNet, part: float) -> dict[str, Tensor]:
    """(1 − part) · first + part · second, tensor by tensor."""
    if first.config != second.config:
        raise SystemExit("the two networks differ in more than their weights")
    others = second.state_dict()
    return {k: torch.lerp(v, others[k], part) for k, v in first.state_dict().items()}


def transfer(first: MmrbNet, second: MmrbNet, onto: MmrbNet, part: float) -> dict[str, Tensor]:
    """onto + part · (second − first), tensor by tensor."""
    if not first.config == second.config == onto.config:
        raise SystemExit("the three networks differ in more than their weights")
    before, after = first.state_dict(), second.state_dict()
    return {k: v + part * (after[k] - before[k]) for k, v in onto.state_dict().items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Interpolate between two networks' weights.")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("file", type=Path, help="safetensors file to write, in float16")
    parser.add_argument(
        "--part", type=float, required=True, help="of the second; above 1: on in its direction"
    )
    parser.add_argument("--onto", type=Path, help="network to which their difference is added")
    arguments = parser.parse_args()
    first, second = load_checkpoint(arguments.first), load_checkpoint(arguments.second)
    if arguments.onto:
        tensors = transfer(first, second, load_checkpoint(arguments.onto), arguments.part)
        extra = METADATA | {"transferred": f"{arguments.part}"}
    else:
        tensors = interpolate(first, second, arguments.part)
        extra = METADATA | {"interpolated": f"{arguments.part}"}
    save_checkpoint(arguments.file, tensors, second.config, torch.float16, extra)


if __name__ == "__main__":
    main()
