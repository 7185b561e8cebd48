"""Writes the golden cases of enlargers and denoisers from their published definitions.

python -m pentimento_reference.upscalers [FOLDER]      default: tests/goldens/upscalers

The definitions are those of spandrel (pip install spandrel). Weights and inputs are hashes of
their names and places, so a case stores no weights: `tensors.json` has each tensor's shape, centre
and half-width, `meta.json` the seed and the input's shape, `output.npy` every so many values (`step`) of what
the network yields, computed in float64.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SEED = 25
# Values of an output that are stored at most.
LARGEST = 1000


def fnv1a64(text: str) -> int:
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def uniform(stream: int, count: int) -> np.ndarray:
    """`count` values in [0, 1) with 24 bits: SplitMix64 of stream and place."""
    with np.errstate(over="ignore"):
        z = np.uint64(stream) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)).astype(np.float32)


def hashed(name: str, shape: list[int], centre: float, width: float) -> np.ndarray:
    """`centre + width · (2u - 1)`, each step rounded to float32."""
    stream = (fnv1a64(name) + SEED) & 0xFFFFFFFFFFFFFFFF
    u = uniform(stream, math.prod(shape))
    one, two = np.float32(1), np.float32(2)
    return (np.float32(centre) + np.float32(width) * (two * u - one)).reshape(shape)


def spread(name: str, shape: list[int]) -> tuple[float, float]:
    """Centre and half-width of a tensor, so that activations keep a spread near 1."""
    if "relative_position" in name or name.endswith(("beta", "gamma", "temperature")):
        return 0.0, 1.0
    if name.endswith("running_var"):
        return 1.0, 0.5
    if name.endswith("running_mean"):
        return 0.0, 0.3
    if len(shape) <= 1:
        norm = any(part in name for part in ("norm", ".ln", "pos1.0", "pos2.0", "pos3.0"))
        norm = norm or ("before_RG" in name or ".dwconv.1" in name or "_interaction." in name)
        if name.endswith("weight"):
            # Norms, and the slopes of PReLU.
            return (1.0, 0.2) if norm else (0.2, 0.1)
        return 0.0, 0.1
    fan_in = math.prod(shape[1:])
    return 0.0, math.sqrt(3.0 / fan_in)


@dataclass(frozen=True)
class Case:
    """One network and the shape of its input."""

    name: str
    make: Callable[[], nn.Module]
    shape: list[int]
    # Factors on tensors whose names begin so.
    scales: dict[str, float] = field(default_factory=dict)
    # Starts of names that files in the wild have in another form.
    rename: dict[str, str] = field(default_factory=dict)
    # Tensors that are not written, because files in the wild lack them.
    without: Callable[[str], bool] = lambda name: False


def architecture(name: str) -> Any:
    """spandrel's module of that architecture."""
    return import_module(f"spandrel.architectures.{name}")


def span(**arguments: Any) -> nn.Module:
    return architecture("SPAN").SPAN(num_in_ch=3, num_out_ch=3, **arguments)


def merged_span(**arguments: Any) -> nn.Module:
    """SPAN as it is exported: the merged convolutions are not derived from the trained ones."""
    model = span(**arguments)
    for module in model.modules():
        if hasattr(module, "update_params"):
            module.update_params = lambda: None
    return model


def realcugan(name: str, **arguments: Any) -> nn.Module:
    return getattr(architecture("RealCUGAN"), name)(**arguments)


def swinir(**arguments: Any) -> nn.Module:
    tiny = {"img_size": 16, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3]}
    tiny.update({"window_size": 4, "mlp_ratio": 2.0, **arguments})
    return architecture("SwinIR").SwinIR(**tiny)


def scunet(**arguments: Any) -> nn.Module:
    return architecture("SCUNet").SCUNet(**arguments)


def nafnet(**arguments: Any) -> nn.Module:
    return architecture("NAFNet").NAFNet(img_channel=3, **arguments)


def omnisr(**arguments: Any) -> nn.Module:
    tiny = {"num_feat": 8, "res_num": 2, "window_size": 4, **arguments}
    return architecture("OmniSR").OmniSR(**tiny)


def hat(**arguments: Any) -> nn.Module:
    tiny = {"img_size": 16, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3]}
    tiny.update({"window_size": 4, "mlp_ratio": 2.0, "squeeze_factor": 4, **arguments})
    return architecture("HAT").HAT(**tiny)


def dat(**arguments: Any) -> nn.Module:
    tiny = {"img_size": 16, "embed_dim": 96, "depth": [3, 1], "num_heads": [4, 2]}
    tiny.update({"split_size": [2, 4], "expansion_factor": 2.0, **arguments})
    return architecture("DAT").DAT(**tiny)


def plksr(**arguments: Any) -> nn.Module:
    return architecture("PLKSR").PLKSR(dim=12, n_blocks=2, kernel_size=9, **arguments)


def realplksr(**arguments: Any) -> nn.Module:
    tiny = {"dim": 12, "n_blocks": 2, "kernel_size": 9, **arguments}
    return architecture("PLKSR").RealPLKSR(**tiny)


CASES = [
    Case(
        "span_x2",
        lambda: span(feature_channels=8, upscale=2),
        [1, 3, 9, 13],
        scales={"conv_1.sk": 0.02, "conv_1.conv.0": 0.02},
    ),
    Case(
        "span_x4_no_norm",
        lambda: span(feature_channels=12, upscale=4, norm=False),
        [1, 3, 7, 6],
        without=lambda name: ".eval_conv." in name,
    ),
    Case(
        "span_x1_merged",
        lambda: merged_span(feature_channels=6, upscale=1, norm=False),
        [2, 3, 8, 5],
        without=lambda name: ".conv." in name or ".sk." in name,
    ),
    Case("realcugan_x2", lambda: realcugan("UpCunet2x"), [1, 3, 20, 26]),
    Case("realcugan_x2_odd_pro", lambda: realcugan("UpCunet2x", pro=True), [1, 3, 23, 21]),
    Case("realcugan_x3", lambda: realcugan("UpCunet3x"), [1, 3, 19, 18]),
    Case("realcugan_x3_pro", lambda: realcugan("UpCunet3x", pro=True), [1, 3, 16, 20]),
    Case("realcugan_x4_odd", lambda: realcugan("UpCunet4x"), [1, 3, 21, 22]),
    Case("realcugan_x4_pro", lambda: realcugan("UpCunet4x", pro=True), [1, 3, 22, 20]),
    Case("realcugan_x2_fast", lambda: realcugan("UpCunet2x_fast"), [1, 3, 40, 44]),
    Case(
        "nafnet",
        lambda: nafnet(width=6, enc_blk_nums=[1, 2], middle_blk_num=1, dec_blk_nums=[2, 1]),
        [2, 3, 10, 15],
    ),
    Case("omnisr_x2", lambda: omnisr(up_scale=2), [1, 3, 22, 17]),
    Case(
        "omnisr_x4_no_bias",
        lambda: omnisr(up_scale=4, block_num=2, window_size=8, pe=False, bias=False),
        [1, 3, 14, 30],
    ),
    Case("omnisr_x3", lambda: omnisr(up_scale=3, num_feat=12, window_size=5), [2, 3, 15, 16]),
    Case("swinir_classical_x2", lambda: swinir(upsampler="pixelshuffle", upscale=2), [1, 3, 9, 11]),
    Case("swinir_classical_x3", lambda: swinir(upsampler="pixelshuffle", upscale=3), [2, 3, 8, 4]),
    Case(
        "swinir_lightweight_x4",
        lambda: swinir(upsampler="pixelshuffledirect", upscale=4, num_heads=[6, 1]),
        [1, 3, 10, 7],
    ),
    Case(
        "swinir_real_x4",
        lambda: swinir(
            upsampler="nearest+conv",
            upscale=4,
            window_size=8,
            img_size=32,
            depths=[3, 2],
            num_heads=[3, 3],
            resi_connection="3conv",
        ),
        [1, 3, 13, 17],
    ),
    Case(
        "swinir_real_x1_unshuffled",
        lambda: swinir(upsampler="nearest+conv", upscale=2, start_unshuffle=2),
        [1, 3, 16, 24],
        rename={"conv_first.": "conv_first.1."},
    ),
    Case("swinir_grey_denoise", lambda: swinir(in_chans=1), [1, 1, 11, 18]),
    Case("swinir_jpeg", lambda: swinir(window_size=7, img_size=28, img_range=255.0), [1, 3, 15, 9]),
    Case("hat_x2", lambda: hat(upscale=2), [1, 3, 13, 10]),
    Case(
        "hat_x3_identity",
        lambda: hat(upscale=3, depths=[1], num_heads=[4], resi_connection="identity", num_feat=8),
        [1, 3, 8, 8],
    ),
    Case("dat_x2", lambda: dat(upscale=2), [1, 3, 10, 13]),
    Case(
        "dat_light_x3",
        lambda: dat(
            upscale=3,
            depth=[2],
            num_heads=[4],
            split_size=[8, 4],
            resi_connection="3conv",
            upsampler="pixelshuffledirect",
        ),
        [2, 3, 16, 8],
    ),
    Case("plksr_x2", lambda: plksr(upscaling_factor=2), [1, 3, 13, 10]),
    Case(
        "plksr_x3_doubled",
        lambda: plksr(upscaling_factor=3, ccm_type="DCCM", split_ratio=0.5),
        [2, 3, 8, 5],
    ),
    Case(
        "plksr_x4_inverted",
        lambda: plksr(upscaling_factor=4, ccm_type="ICCM", split_ratio=1.0, use_ea=False),
        [1, 3, 7, 9],
    ),
    Case("realplksr_x2", lambda: realplksr(upscaling_factor=2), [1, 3, 11, 14]),
    Case(
        "realplksr_x4_layer_norm",
        lambda: realplksr(upscaling_factor=4, layer_norm=True, kernel_size=17, dim=8, use_ea=False),
        [1, 3, 9, 12],
    ),
    Case(
        "realplksr_x1",
        lambda: realplksr(upscaling_factor=1, layer_norm=True, split_ratio=0.5),
        [2, 3, 10, 6],
    ),
    Case("scunet", lambda: scunet(config=[2, 1, 1, 2, 1, 1, 2]), [1, 3, 45, 70]),
    Case("scunet_grey", lambda: scunet(in_nc=1, config=[1, 2, 0, 1, 0, 1, 1]), [1, 1, 64, 40]),
]


@torch.no_grad()
def write(case: Case, folder: Path) -> None:
    model = case.make().eval()
    tensors: dict[str, Any] = {}
    values: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point() or "attn_mask" in name:
            continue
        if name.endswith("rpe_biases"):
            # Every distance in a window, the largest last.
            rows, columns = (int(v) for v in tensor[-1])
            tensors[name] = ["distances", rows + 1, columns + 1]
            continue
        shape = list(tensor.shape)
        centre, width = spread(name, shape)
        for prefix, factor in case.scales.items():
            if name.startswith(prefix):
                centre, width = centre * factor, width * factor
        centre, width = f"{centre:.6g}", f"{width:.6g}"
        stored = name
        for prefix, other in case.rename.items():
            if name.startswith(prefix):
                stored = other + name[len(prefix) :]
        values[name] = torch.from_numpy(hashed(stored, shape, float(centre), float(width)))
        tensors[stored] = [shape, centre, width]
    model.load_state_dict(values, strict=False)
    model.double()
    x = torch.from_numpy(hashed("input", case.shape, 0.5, 0.5)).double()
    y = model(x)
    tensors = {name: tensor for name, tensor in tensors.items() if not case.without(name)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tensors.json").write_text(
        json.dumps(tensors, separators=(",", ":")).replace("],", "],\n") + "\n"
    )
    flat = y.flatten()
    # Steps that divide neither sides nor factors meet every column and phase.
    step = next(s for s in [1, 7, 13, 19, 29, 41, 61, 79] if flat.numel() <= LARGEST * s)
    meta = {"seed": SEED, "input": case.shape, "output": list(y.shape), "step": step}
    (folder / "meta.json").write_text(json.dumps(meta) + "\n")
    np.save(folder / "output.npy", flat[::step].float().numpy())
    print(f"{case.name}: {list(y.shape)}, mean {float(y.mean()):.3f}, spread {float(y.std()):.3f}")


def main() -> None:
    root = Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=root / "tests/goldens/upscalers")
    parser.add_argument("--only", default="", help="cases whose names begin so")
    arguments = parser.parse_args()
    for case in CASES:
        if case.name.startswith(arguments.only):
            write(case, arguments.folder / case.name)


if __name__ == "__main__":
    main()
