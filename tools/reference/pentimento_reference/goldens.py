"""Writes the golden cases of MMRB-Net and of the MMRB alone.

python -m pentimento_reference.goldens [FOLDER]      default: tests/goldens/mmrbnet of the repository
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from .config import MmrbConfig, MmrbNetConfig
from .mmrb import Mmrb
from .mmrbnet import MmrbNet, save_checkpoint
from .stylegan2 import EqualLinear, StyledConv, ToRgb

DILATED = [
    {"kernel": 3, "dilation": 1, "groups": 1},
    {"kernel": 3, "dilation": 2, "groups": 1},
    {"kernel": 3, "dilation": 3, "groups": 1},
]
REAL_KERNELS = [
    {"kernel": 3, "dilation": 1, "groups": 1},
    {"kernel": 5, "dilation": 1, "groups": 1},
    {"kernel": 7, "dilation": 1, "groups": 1},
]
WITH_DEPTHWISE = [
    {"kernel": 1, "dilation": 1, "groups": 1},
    {"kernel": 3, "dilation": 1, "groups": 4},
    {"kernel": 5, "dilation": 2, "groups": 4},
]
GROUPED = [
    {"kernel": 3, "dilation": 2, "groups": 2},
    {"kernel": 5, "dilation": 1, "groups": 4},
]

BLOCK: dict[str, Any] = {
    "paths": DILATED,
    "mix": "concat",
    "path_channels": 2,
    "slope": 0.2,
    "fuse_activation": False,
}
NETWORK: dict[str, Any] = {
    "size": 16,
    "channels": {"4": 5, "8": 4, "16": 4},
    "latent_dim": 6,
    "n_mlp": 0,
    "mmrb": BLOCK,
    "mmrb_per_level": 1,
    "upsample": "bilinear",
    "inject": "sft",
    "stem_unshuffle": 1,
    "input_skip": False,
}


@dataclass(frozen=True)
class NetworkCase:
    """One network: `changes` to NETWORK and `block` changes to its MMRB."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    block: dict[str, Any] = field(default_factory=dict)
    batch: int = 1
    dtype: torch.dtype = torch.float32

    def config(self) -> MmrbNetConfig:
        source = copy.deepcopy(NETWORK)
        source.update(copy.deepcopy(self.changes))
        source["mmrb"].update(copy.deepcopy(self.block))
        return MmrbNetConfig.from_json(source)


@dataclass(frozen=True)
class BlockCase:
    """One MMRB alone on [batch, c_in, height, width]."""

    name: str
    c_in: int
    c_out: int
    height: int
    width: int
    block: dict[str, Any] = field(default_factory=dict)
    batch: int = 1

    def config(self) -> MmrbConfig:
        return MmrbConfig.from_json({**copy.deepcopy(BLOCK), **self.block}, "config")


EVEN = {"4": 4, "8": 4, "16": 4}
SIZE_32 = {"size": 32, "channels": {"4": 5, "8": 4, "16": 4, "32": 2}}
NETWORKS = [
    NetworkCase("default"),
    NetworkCase("default_32", SIZE_32),
    NetworkCase("mix_sum", block={"mix": "sum"}),
    NetworkCase("mix_none", block={"mix": "none"}),
    NetworkCase("inject_sft_half", {"inject": "sft_half"}),
    NetworkCase("inject_noise_concat", {"inject": "noise_concat"}),
    NetworkCase("inject_add", {"inject": "add"}),
    NetworkCase("fir", {"upsample": "fir"}),
    NetworkCase("fir_32_sft_half", {**SIZE_32, "upsample": "fir", "inject": "sft_half"}),
    NetworkCase("fir_noise_concat_batch2", {"upsample": "fir", "inject": "noise_concat"}, batch=2),
    NetworkCase(
        "fir_add_mlp_sum",
        {"upsample": "fir", "inject": "add", "n_mlp": 3},
        {"mix": "sum", "fuse_activation": True},
    ),
    NetworkCase(
        "kernels_357",
        {"channels": {"4": 4, "8": 4, "16": 3}},
        {"paths": REAL_KERNELS, "path_channels": 2},
    ),
    NetworkCase(
        "kernels_depthwise", {"channels": EVEN}, {"paths": WITH_DEPTHWISE, "path_channels": 4}
    ),
    NetworkCase(
        "kernels_grouped_none",
        {"channels": EVEN, "inject": "sft_half"},
        {"paths": GROUPED, "mix": "none", "path_channels": 4},
    ),
    NetworkCase("mmrb_per_level_2", {"mmrb_per_level": 2}),
    NetworkCase(
        "path_channels_table",
        block={"path_channels": {"4": 4, "8": 3, "16": 2}, "slope": 0.1},
    ),
    NetworkCase("fuse_activation", block={"fuse_activation": True}),
    NetworkCase("input_skip", {"input_skip": True}),
    NetworkCase("unshuffle_2", {**SIZE_32, "stem_unshuffle": 2}),
    NetworkCase(
        "unshuffle_2_fir_noise_concat",
        {"stem_unshuffle": 2, "upsample": "fir", "inject": "noise_concat", "input_skip": True},
    ),
    NetworkCase(
        "unshuffle_4_32_sft_half",
        {**SIZE_32, "stem_unshuffle": 4, "inject": "sft_half", "input_skip": True},
    ),
    NetworkCase("unshuffle_4_codec_of_one_level", {"stem_unshuffle": 4}),
    NetworkCase(
        "unshuffle_4_add_batch2",
        {**SIZE_32, "stem_unshuffle": 4, "inject": "add"},
        {"mix": "none", "fuse_activation": True},
        batch=2,
    ),
    NetworkCase(
        "odd_channels",
        {"channels": {"4": 5, "8": 7, "16": 3}, "latent_dim": 9, "inject": "sft_half"},
        batch=2,
    ),
    NetworkCase("single_path", block={"paths": DILATED[1:2], "path_channels": 5}),
    NetworkCase("batch_5", {"channels": {"4": 5, "8": 4, "16": 3}}, batch=5),
    NetworkCase(
        "multiples_of_8",
        {"channels": {"4": 8, "8": 8, "16": 8}, "inject": "sft_half"},
        {"path_channels": 4},
    ),
    NetworkCase("size_8", {"size": 8, "channels": {"4": 8, "8": 8}, "upsample": "fir"}),
    NetworkCase("weights_f16", {"inject": "sft_half", "input_skip": True}, dtype=torch.float16),
]
BLOCKS = [
    BlockCase("block_default_13x9", 8, 8, 13, 9),
    BlockCase("block_projection_7x11", 6, 10, 7, 11, batch=2),
    BlockCase("block_sum_1x1", 5, 5, 1, 1, {"mix": "sum"}),
    BlockCase(
        "block_357_none_17x5", 4, 4, 17, 5, {"paths": REAL_KERNELS, "mix": "none", "slope": 0.05}
    ),
    BlockCase(
        "block_depthwise_5x33",
        8,
        12,
        5,
        33,
        {"paths": WITH_DEPTHWISE, "path_channels": 8, "fuse_activation": True},
    ),
    BlockCase("block_grouped_23x19", 8, 8, 23, 19, {"paths": GROUPED, "path_channels": 8}, batch=3),
    BlockCase("block_wide_9x10", 24, 16, 9, 10, {"path_channels": 12}),
]


@torch.no_grad()
def randomise(model: nn.Module, seed: int) -> None:
    """Random weights of realistic scale: activations keep a spread near 1 through the depth."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: Tensor, mean: float, std: float) -> None:
        tensor.copy_(mean + std * torch.randn(tensor.shape, generator=generator))

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = math.prod(module.weight.shape[1:])
            normal(module.weight, 0.0, 1.0 / math.sqrt(fan_in))
            if module.bias is not None:
                normal(module.bias, 0.0, 0.1)
        elif isinstance(module, (StyledConv, ToRgb)):
            normal(module.weight, 0.0, 1.0)
            normal(module.bias, 0.0, 0.1)
            if isinstance(module, StyledConv):
                normal(module.noise_weight, 0.0, 0.3)
        elif isinstance(module, EqualLinear):
            normal(module.weight, 0.0, 1.0 / module.lr_mul)
            normal(module.bias, 0.0, 0.1 / module.lr_mul)
    if isinstance(model, MmrbNet):
        normal(model.generator.constant, 0.0, 1.0)
        for name, tensor in model.generator.named_parameters():
            if name.endswith("modulation.bias"):
                normal(tensor, 1.0, 0.1)
        for name, tensor in model.generator.named_buffers():
            normal(tensor, 0.0, 1.0)
        if model.config.inject in ("sft", "sft_half"):
            for head in model.condition.values():
                scales = head.out.bias.shape[0] // 2
                normal(head.out.bias[:scales], 1.0, 0.1)


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")


def _statistics(value: Tensor) -> dict[str, Any]:
    value = value.double()
    return {
        "shape": list(value.shape),
        "mean": value.mean().item(),
        "std": value.std(correction=0).item(),
        "first": value.flatten()[:8].float().tolist(),
    }


def _write(
    folder: Path,
    run: Callable[[nn.Module, Tensor, dict[str, Any]], Tensor],
    model: nn.Module,
    x: Tensor,
    meta: dict[str, Any],
) -> None:
    """Runs `model` in float64 for the truth and in float32 for the noise floor, and stores both."""
    trace: dict[str, Any] = {}
    with torch.no_grad():
        single = run(model, x, {})
        exact = run(copy.deepcopy(model).double(), x.double(), trace)
    np.save(folder / "input.npy", x.numpy())
    np.save(folder / "output.npy", exact.float().numpy())
    meta["f32_minus_f64_maxabs"] = (single.double() - exact).abs().max().item()
    meta["output_std"] = exact.std(correction=0).item()
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    (folder / "trace.json").write_text(json.dumps(trace) + "\n")


def write_network(case: NetworkCase, root: Path) -> None:
    """Writes one network case into `root/case.name`."""
    folder = root / case.name
    folder.mkdir(parents=True, exist_ok=True)
    config = case.config()
    model = MmrbNet(config).eval()
    randomise(model, _seed(case.name))
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(tensor.to(case.dtype))
    save_checkpoint(folder / "checkpoint.safetensors", model.state_dict(), config, case.dtype)
    generator = torch.Generator().manual_seed(_seed(case.name + "/input"))
    x = torch.rand(case.batch, 3, config.size, config.size, generator=generator) * 2 - 1

    def run(network: nn.Module, picture: Tensor, trace: dict[str, Any]) -> Tensor:
        return network(picture, lambda name, value: trace.update({name: _statistics(value)}))

    dtype = str(case.dtype).removeprefix("torch.")
    _write(folder, run, model, x, {"arch": "mmrbnet", "config": config.to_json(), "dtype": dtype})


def write_block(case: BlockCase, root: Path) -> None:
    """Writes one MMRB case into `root/case.name`."""
    folder = root / case.name
    folder.mkdir(parents=True, exist_ok=True)
    config = case.config()
    assert isinstance(config.path_channels, int)
    model = Mmrb(config, case.c_in, case.c_out, config.path_channels).eval()
    randomise(model, _seed(case.name))
    source = {"in_channels": case.c_in, "out_channels": case.c_out, **config.to_json()}
    metadata = {"arch": "mmrb", "config": json.dumps(source, separators=(",", ":"))}
    save_file(model.state_dict(), folder / "checkpoint.safetensors", metadata)
    generator = torch.Generator().manual_seed(_seed(case.name + "/input"))
    x = torch.randn(case.batch, case.c_in, case.height, case.width, generator=generator)

    def run(block: nn.Module, feature: Tensor, trace: dict[str, Any]) -> Tensor:
        y = block(feature)
        trace["output"] = _statistics(y)
        return y

    _write(folder, run, model, x, {"arch": "mmrb", "config": source, "dtype": "float32"})


def main() -> None:
    default = Path(__file__).resolve().parents[3] / "tests" / "goldens" / "mmrbnet"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    root = parser.parse_args().folder
    torch.set_num_threads(1)
    for network in NETWORKS:
        write_network(network, root)
    for block in BLOCKS:
        write_block(block, root)


if __name__ == "__main__":
    main()
