"""A wider network that computes what a trained one does: where training goes on with more channels.

    python -m pentimento_train.widen mmrbnet-256.safetensors wider.safetensors --config restoration.toml

New channels start as random features that nothing reads yet: the weights from them to the old ones
are zero, so that the output stays and training can put them to use.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from pentimento_reference.config import MmrbNetConfig
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint, save_checkpoint
from torch import Tensor

from .run_config import RunConfig
from .train import initialise

Places = list[int] | None
"""Where old channels lie among the new ones; none where the axis has no such channels."""


class Widening:
    """Places of the old channels, by the name of the tensor."""

    def __init__(self, old: MmrbNetConfig, new: MmrbNetConfig) -> None:
        self.old = old
        self.new = new

    def first(self, resolution: int) -> Places:
        """The codec's features: old ones first."""
        return list(range(self.old.channels[resolution]))

    def path(self, resolution: int) -> Places:
        """A path's channels: old ones first."""
        return list(range(self.old.mmrb.width_at(resolution)))

    def mixed(self, resolution: int) -> Places:
        """The channels of all paths, one path behind the other."""
        before, now = (c.mmrb.width_at(resolution) for c in (self.old, self.new))
        return [p * now + i for p in range(len(self.old.mmrb.paths)) for i in range(before)]

    def generated(self, resolution: int) -> Places:
        """The generator's features: their second half is what conditions change."""
        before, now = (c.channels[resolution] for c in (self.old, self.new))
        half = before - before // 2
        return [*range(half), *(now - now // 2 + i for i in range(before - half))]

    def condition(self, resolution: int) -> Places:
        """Scales, then shifts, of the second half; each channel as a block for the pixel shuffle."""
        before, now = (c.channels[resolution] // 2 for c in (self.old, self.new))
        block = max(1, resolution // self.new.codec_size) ** 2
        channels = [part * now + i for part in range(2) for i in range(before)]
        return [c * block + i for c in channels for i in range(block)]

    def places(self, name: str) -> tuple[Places, Places]:
        """Places along the output and the input axis of the tensor `name`."""
        parts = name.split(".")
        top = self.new.codec_size
        match parts:
            case ["encoder", "stem", *_]:
                return self.first(top), None
            case ["encoder", "latent", "weight"]:
                return None, [c * 16 + i for c in range(self.old.channels[4]) for i in range(16)]
            case ["encoder", "levels", r, "down", *_]:
                return self.first(int(r) // 2), self.first(int(r))
            case ["encoder", "levels", r, "mmrb", _, "stage1", *_]:
                return self.path(int(r)), self.first(int(r))
            case ["encoder", "levels", r, "mmrb", _, "stage2", *_]:
                return self.path(int(r)), self.mixed(int(r))
            case ["encoder", "levels", r, "mmrb", _, "fuse", *_]:
                return self.first(int(r)), self.mixed(int(r))
            case ["decoder", "levels", r, "project", *_]:
                return self.first(int(r)), self.first(int(r) // 2)
            case ["decoder", "levels", r, "conv", *_]:
                return self.first(int(r)), self.first(int(r))
            case ["condition", r, "hidden", *_]:
                return (self.first(min(int(r), top)),) * 2
            case ["condition", r, "out", *_]:
                return self.condition(int(r)), self.first(min(int(r), top))
            case ["generator", "constant"]:
                return None, self.generated(4)
            case ["generator", "levels", _, _, "noise_weight"]:
                return None, None
            case ["generator", "levels", r, kind, *rest]:
                seen = self.generated(int(r) // 2 if kind == "up" else int(r))
                if rest[0] == "modulation":
                    return seen, None
                return None if kind == "to_rgb" else self.generated(int(r)), seen
        return None, None

    def put(self, name: str, old: Tensor, new: Tensor) -> None:
        """Writes the values of `old` into `new`; what old outputs see of new inputs becomes zero."""
        outputs, inputs = (
            list(range(size)) if places is None else places
            for size, places in zip((*old.shape, 1), self.places(name), strict=False)
        )
        if old.dim() == 1:
            new[outputs] = old
            return
        equalised = name.startswith(("generator.levels", "encoder.latent"))
        rows = torch.zeros_like(new[outputs])
        rows[:, inputs] = old * (math.sqrt(new.shape[1] / old.shape[1]) if equalised else 1.0)
        new[outputs] = rows


@torch.no_grad()
def widen(old: MmrbNet, config: MmrbNetConfig, seed: int = 1) -> MmrbNet:
    """A network of `config`, which differs from that of `old` in larger widths alone."""
    if config.inject != "sft_half":
        raise SystemExit("only networks with `inject` = sft_half can be widened")
    torch.manual_seed(seed)
    new = MmrbNet(config)
    initialise(new)
    widening = Widening(old.config, config)
    tensors, wider = old.state_dict(), new.state_dict()
    if tensors.keys() != wider.keys():
        raise SystemExit(f"in one of the networks alone: {min(tensors.keys() ^ wider.keys())}")
    for name, value in tensors.items():
        widening.put(name, value, wider[name])
    return new.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description="Widen a trained MMRB-Net.")
    parser.add_argument("old", type=Path, help="the trained network")
    parser.add_argument("new", type=Path, help="safetensors file to write, in float32")
    parser.add_argument("--config", type=Path, required=True, help="a run's file with the widths")
    arguments = parser.parse_args()
    config = RunConfig.from_toml(arguments.config).model
    new = widen(load_checkpoint(arguments.old), config)
    save_checkpoint(arguments.new, new.state_dict(), config)


if __name__ == "__main__":
    main()
