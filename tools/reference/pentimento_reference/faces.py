"""Writes golden cases of face networks and generators from their published definitions.

python -m pentimento_reference.faces FOLDER [--seed N] [--only NAME]

FOLDER becomes what the environment variable PENTIMENTO_SHARED names: the cases lie in
`FOLDER/goldens`, each in a folder of any name with a `meta.json` that says all that a test needs. The
definitions are spandrel's (pip install spandrel). Weights and inputs are random, by the seed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Case:
    """A network, the shape of its input, and how its file holds the weights."""

    name: str
    arch: str
    definition: str
    ctor: dict[str, Any]
    input: list[int]
    container: str = "params_ema"
    legacy: bool = False
    half: bool = False
    forward: dict[str, Any] = field(default_factory=dict)
    notes: str = ""


GFPGAN = "GFPGAN.__arch."
LATENT = "stylegan2_clean_arch:StyleGAN2GeneratorClean"
GENERATOR = {"out_size": 32, "num_style_feat": 24, "num_mlp": 3, "narrow": 0.0625}
RESTORER = {"num_style_feat": 24, "narrow": 0.0625, "input_is_latent": True, "different_w": True}

CASES = [
    Case(
        "gfpgan_clean_64",
        "GFPGANv1Clean",
        f"{GFPGAN}gfpganv1_clean_arch:GFPGANv1Clean",
        {**RESTORER, "out_size": 64, "sft_half": True},
        [2, 3, 64, 64],
        container="params+params_ema",
        forward={"randomize_noise": False},
    ),
    Case(
        "gfpgan_clean_32_mapped",
        "GFPGANv1Clean",
        f"{GFPGAN}gfpganv1_clean_arch:GFPGANv1Clean",
        {
            "num_style_feat": 16,
            "narrow": 0.0625,
            "input_is_latent": False,
            "different_w": False,
            "num_mlp": 4,
            "out_size": 32,
            "sft_half": False,
        },
        [1, 3, 32, 32],
        legacy=True,
        half=True,
        forward={"randomize_noise": False},
    ),
    Case(
        "gfpgan_v1_64",
        "GFPGANv1",
        f"{GFPGAN}gfpganv1_arch:GFPGANv1",
        {**RESTORER, "out_size": 64, "fix_decoder": False, "sft_half": True},
        [1, 3, 64, 64],
        forward={"randomize_noise": False},
    ),
    Case(
        "gfpgan_bilinear_32",
        "GFPGANBilinear",
        f"{GFPGAN}gfpgan_bilinear_arch:GFPGANBilinear",
        {**RESTORER, "out_size": 32, "fix_decoder": False, "sft_half": True},
        [1, 3, 32, 32],
        container="args+params_ema",
        forward={"randomize_noise": False},
    ),
    Case(
        "stylegan2_clean_32",
        "StyleGAN2GeneratorClean clean",
        f"{GFPGAN}{LATENT}",
        GENERATOR,
        [3, 24],
        forward={"randomize_noise": False, "truncation": 0.6},
        notes="input: z codes (b, dim); truncation=0.6; stored noise buffers",
    ),
    Case(
        "stylegan2_clean_32_w_plus",
        "StyleGAN2GeneratorClean clean",
        f"{GFPGAN}{LATENT}",
        GENERATOR,
        [2, 8, 24],
        forward={"randomize_noise": False, "input_is_latent": True},
        notes="input: W+ codes (b, layers, dim); truncation=1; stored noise buffers",
    ),
    Case(
        "restoreformer_32",
        "RestoreFormer",
        "RestoreFormer.__arch.restoreformer_arch:RestoreFormer",
        {
            "n_embed": 40,
            "embed_dim": 32,
            "ch": 32,
            "ch_mult": [1, 2],
            "num_res_blocks": 2,
            "attn_resolutions": [16],
            "resolution": 32,
            "z_channels": 32,
            "head_size": 2,
        },
        [2, 3, 32, 32],
        container="state_dict",
    ),
    Case(
        "esrgan_x2",
        "RRDBNet",
        "ESRGAN.__arch.RRDB:RRDBNet",
        {"in_nc": 3, "out_nc": 3, "num_filters": 16, "num_blocks": 1, "scale": 2},
        [1, 3, 18, 22],
        container="flat",
    ),
    Case(
        "compact_x3",
        "SRVGGNetCompact",
        "Compact.__arch.SRVGG:SRVGGNetCompact",
        {
            "num_in_ch": 3,
            "num_out_ch": 3,
            "num_feat": 20,
            "num_conv": 3,
            "upscale": 3,
            "act_type": "prelu",
        },
        [2, 3, 13, 8],
        container="params",
    ),
]


class FusedLeakyRelu:
    """What the definitions leave to a CUDA extension."""

    @staticmethod
    def apply(x: Tensor, bias: Tensor, slope: float, scale: float) -> Tensor:
        """`scale · lrelu(x + bias)`"""
        shape = [1, -1] + [1] * (x.dim() - 2)
        return nn.functional.leaky_relu(x + bias.view(shape), slope) * scale


def built(case: Case) -> nn.Module:
    """The network with weights at a scale that keeps activations near 1."""
    fused = import_module(f"spandrel.architectures.{GFPGAN}fused_act")
    fused.FusedLeakyReLUFunction = FusedLeakyRelu
    module, name = case.definition.split(":")
    network = getattr(import_module(f"spandrel.architectures.{module}"), name)(**case.ctor)
    with torch.no_grad():
        for tensor_name, tensor in network.state_dict().items():
            if tensor_name.endswith(("weight", "bias")) and tensor.dim() == 1:
                # Norms' gains and modulation's biases stay near their own values.
                tensor += 0.1 * torch.randn_like(tensor)
            elif "noise" in tensor_name:
                tensor.normal_()
            elif tensor_name == "quantize.embedding.weight":
                tensor.normal_()
        if case.half:
            network.half().float()
    return network.eval()


def dead(network: nn.Module, output: Tensor) -> list[str]:
    """Parameters that the output does not depend on."""
    network.zero_grad()
    output.sum().backward()
    return [name for name, p in network.named_parameters() if p.grad is None]


def held(case: Case, state: dict[str, Tensor]) -> dict[str, Any]:
    """What the file holds: the weights in their container."""
    if case.half:
        state = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    match case.container:
        case "flat":
            return state
        case "params+params_ema":
            return {"params": {n: t + 1 for n, t in state.items()}, "params_ema": state}
        case "args+params_ema":
            return {"args": argparse.Namespace(size=1), "params_ema": state}
        case container:
            return {container: state}


def write(case: Case, folder: Path, seed: int) -> None:
    torch.manual_seed(seed + sum(case.name.encode()))
    folder.mkdir(parents=True, exist_ok=True)
    network = built(case)
    x = torch.rand(case.input) * 2 - 1 if len(case.input) == 4 else torch.randn(case.input)
    outputs: dict[str, Tensor] = {}
    arguments = dict(case.forward)
    if "truncation" in arguments:
        mean = torch.randn(1, case.input[-1]) * 0.3
        arguments["truncation_latent"] = mean
        np.save(folder / "input_truncation_latent.npy", mean.numpy())
    wrapped: Callable[[], Any] = lambda: network(
        [x] if case.arch.startswith("StyleGAN2") else x, **arguments
    )
    if case.arch == "RestoreFormer":
        hook = lambda _, __, result: outputs.__setitem__("output_indices", result[2][2].flatten())
        network.quantize.register_forward_hook(hook)
    result = wrapped()
    result = result[0] if isinstance(result, tuple) else result
    unread = dead(network, result)
    outputs["output"] = result.detach()
    np.save(folder / "input.npy", x.numpy())
    for name, value in outputs.items():
        dtype = np.int32 if name == "output_indices" else np.float32
        np.save(folder / f"{name}.npy", value.numpy().astype(dtype))
    state = network.state_dict()
    file = held(case, state)
    torch.save(file, folder / "checkpoint.pth", _use_new_zipfile_serialization=not case.legacy)
    kinds = {
        n: "float16" if case.half else str(t.dtype).removeprefix("torch.") for n, t in state.items()
    }
    keys = {name: [list(t.shape), kinds[name]] for name, t in state.items()}
    (folder / "keys.json").write_text(json.dumps(keys, indent=1))
    meta = {
        "case": case.name,
        "arch": case.arch,
        "ctor": case.ctor,
        "seed": seed,
        "container": case.container,
        "format": "legacy" if case.legacy else "zip",
        "notes": case.notes,
        "inputs": {"input": case.input},
        "outputs": {name: {"shape": list(value.shape)} for name, value in outputs.items()},
        "dead_keys": unread,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))
    spread = float(outputs["output"].std())
    print(
        f"{case.name}: {list(outputs['output'].shape)}, spread {spread:.3f}, {len(unread)} unread"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=25)
    parser.add_argument("--only", default="", help="cases whose names begin so")
    arguments = parser.parse_args()
    for case in CASES:
        if case.name.startswith(arguments.only):
            write(case, arguments.folder / "goldens" / case.name, arguments.seed)


if __name__ == "__main__":
    main()
