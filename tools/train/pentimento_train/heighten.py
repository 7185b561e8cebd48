"""A network whose codec begins at a higher resolution, taught by a trained one to do what it does.

    python -m pentimento_train.heighten mmrbnet-256.safetensors higher.safetensors --config restoration.toml

A codec at a quarter of the side writes the generator's conditions in blocks of 4×4 pixels, and what it
invents has a pattern of as many; at half the side they are 2×2. The widths grow first, as `widen` lets
them. All levels that both networks have keep their weights; those above, the stem and the heads of the
conditions learn to give what the old ones gave, on degraded faces.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from pentimento_reference.config import MmrbNetConfig
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint, save_checkpoint
from torch import Tensor, nn

from .alignment import TEMPLATE
from .data import Pairs, Source, face_files, faces_folder, load_faces
from .run_config import RunConfig
from .train import initialise
from .widen import widen


def lower(config: MmrbNetConfig, top: int) -> MmrbNetConfig:
    """The configuration whose codec begins at `top` instead."""
    mmrb = config.mmrb
    if isinstance(mmrb.path_channels, dict):
        kept = {r: c for r, c in mmrb.path_channels.items() if r <= top}
        mmrb = replace(mmrb, path_channels=kept)
    return replace(config, mmrb=mmrb, stem_unshuffle=config.size // top)


def transplant(old: MmrbNet, config: MmrbNetConfig) -> MmrbNet:
    """A network of `config` with every tensor of `old` that means the same in it."""
    new = MmrbNet(config)
    initialise(new)
    fresh = new_parts(new, old.config.codec_size)
    taught = {id(p) for part in fresh for p in part.parameters()}
    tensors = old.state_dict()
    with torch.no_grad():
        for name, value in new.state_dict(keep_vars=True).items():
            if id(value) not in taught:
                value.copy_(tensors[name])
    return new


def new_parts(new: MmrbNet, top: int) -> list[nn.Module]:
    """What a codec from above `top` has of its own."""
    sides = [r for r in new.config.codec_resolutions if r > top]
    parts: list[nn.Module] = [new.encoder.stem]
    parts += [new.encoder.levels[str(r)] for r in sides]
    parts += [new.decoder.levels[str(r)] for r in sides]
    parts += [head for r, head in new.condition.items() if int(r) > top]
    return parts


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared distance in parts of the mean square of `y`."""
    return (x - y).square().mean() / y.square().mean()


def lesson(old: MmrbNet, new: MmrbNet, given: Tensor) -> tuple[Tensor, Tensor]:
    """How far the new parts are off: behind the way down, and in the conditions."""
    seen: dict[str, Tensor] = {}

    top = old.config.codec_size
    with torch.no_grad():
        code = old.encode(given, seen.__setitem__)
        above = [r for r in old.config.generator_resolutions if r > top]
        wanted = {r: old.condition_at(r, code.decoded) for r in above}
    slope = new.config.mmrb.slope
    x = F.leaky_relu(new.encoder.stem(F.pixel_unshuffle(given, new.config.stem_unshuffle)), slope)
    decoded = dict(code.decoded)
    features = {}
    sides = [r for r in new.config.codec_resolutions if r > top]
    for side in reversed(sides):
        level = new.encoder.levels[str(side)]
        for block in level.mmrb:
            x = block(x)
        features[side] = x
        x = F.leaky_relu(level.down(x), slope)
    for side in sides:
        level = new.decoder.levels[str(side)]
        decoded[side] = level(decoded[side // 2], features[side])
    conditions = [distance(new.condition_at(r, decoded), v) for r, v in wanted.items()]
    return distance(x, seen["encoder.stem"]), torch.stack(conditions).mean()


def heighten(
    old: MmrbNet, config: MmrbNetConfig, pictures: Iterator[Tensor], steps: int, seed: int = 1
) -> MmrbNet:
    """A network of `config`, taught on degraded faces [N, 3, S, S]."""
    torch.manual_seed(seed)
    old = widen(old, lower(config, old.config.codec_size)).requires_grad_(False)
    new = transplant(old, config)
    parts = nn.ModuleList(new_parts(new, old.config.codec_size))
    optimizer = torch.optim.Adam(parts.parameters(), lr=3e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        down, conditions = lesson(old, new, next(pictures))
        optimizer.zero_grad()
        (down + conditions).backward()
        optimizer.step()
        rate.step()
        if step % 20 == 0 or step == steps - 1:
            print(
                f"step {step} down {down.item():.4f} conditions {conditions.item():.4f}", flush=True
            )
    return new.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description="Raise the codec's top level.")
    parser.add_argument("old", type=Path, help="the trained network")
    parser.add_argument("new", type=Path, help="safetensors file to write, in float32")
    parser.add_argument("--config", type=Path, required=True, help="a run's file with the new form")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    config = RunConfig.from_toml(arguments.config)
    faces = load_faces(face_files(faces_folder("train")), config.model.size)
    landmarks = TEMPLATE.repeat(len(faces), 1, 1)
    pairs = Pairs(
        Source(faces, landmarks, config.jitter, config.degradation),
        arguments.batch,
        config.machine.seed,
        0,
    )
    pictures = (batch.degraded.contiguous(memory_format=torch.channels_last) for batch in pairs)
    old = load_checkpoint(arguments.old)
    new = heighten(old, config.model, pictures, arguments.steps)
    save_checkpoint(arguments.new, new.state_dict(), config.model)


if __name__ == "__main__":
    main()
