"""A network for faces of twice the side, with one more level on top of a trained one.

    python -m pentimento_train.doubled mmrbnet-256.safetensors doubled.safetensors --width 8

The codec stays as it is: the stem takes blocks of twice as many pixels, and means of 2×2 of them at
first. The new level's contribution to the picture is zero at first, so that training starts from the
old network's change, enlarged, added to the input.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from pentimento_reference.config import MmrbNetConfig
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint, save_checkpoint
from torch import Tensor

from .train import initialise

STEM = "encoder.stem.weight"
LATENT = ("encoder.latent.weight", "encoder.latent.bias")


def doubled_config(config: MmrbNetConfig, width: int) -> MmrbNetConfig:
    """The configuration with a level of `width` channels on top; refuses what it cannot express."""
    size = 2 * config.size
    changed = replace(
        config,
        size=size,
        stem_unshuffle=2 * config.stem_unshuffle,
        channels=config.channels | {size: width},
    )
    return MmrbNetConfig.from_json(changed.to_json())


def mean_stem(weight: Tensor, unshuffle: int) -> Tensor:
    """[C, 3u², 3, 3] → [C, 12u², 3, 3], which gives on a picture what the old gave on its 2×2 means."""
    by_place = weight.unflatten(1, (3, unshuffle, unshuffle))
    larger = by_place.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return larger.flatten(1, 3) / 4


def doubled(old: MmrbNet, width: int) -> MmrbNet:
    """A network that gives x and old(m) − m, enlarged bilinearly, m being the 2×2 means of x.

    Without `input_skip` it gives old(m), enlarged.
    """
    new = MmrbNet(doubled_config(old.config, width))
    initialise(new)
    tensors = new.state_dict()
    for name, value in old.state_dict().items():
        if name == STEM:
            tensors[name] = mean_stem(value, old.config.stem_unshuffle)
        elif name in LATENT:
            # The new level's two latents start as the one that the old top ended with.
            dim = old.config.latent_dim
            tensors[name] = torch.cat([value, value[-dim:], value[-dim:]])
        else:
            tensors[name] = value
    tensors[f"generator.levels.{new.config.size}.to_rgb.weight"].zero_()
    new.load_state_dict(tensors)
    return new.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description="Put one more level on top of a trained network.")
    parser.add_argument("old", type=Path, help="the trained network")
    parser.add_argument("new", type=Path, help="safetensors file to write, in float32")
    parser.add_argument("--width", type=int, default=8, help="channels of the new level")
    arguments = parser.parse_args()
    new = doubled(load_checkpoint(arguments.old), arguments.width)
    save_checkpoint(arguments.new, new.state_dict(), new.config)


if __name__ == "__main__":
    main()
