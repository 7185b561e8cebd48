"""Shapes, options and invariants of the reference network, and the stored golden cases."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from pentimento_reference.config import ConfigError, MmrbConfig, MmrbNetConfig
from pentimento_reference.goldens import (
    BLOCKS,
    NETWORK,
    NETWORKS,
    BlockCase,
    NetworkCase,
    randomise,
)
from pentimento_reference.mmrb import Mmrb
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint, save_checkpoint
from pentimento_reference.stylegan2 import StyledConv, fir_up2

GOLDENS = Path(__file__).resolve().parents[3] / "tests" / "goldens" / "mmrbnet"


@pytest.mark.parametrize("case", NETWORKS, ids=lambda c: c.name)
def test_network_reproduces_its_golden(case: NetworkCase) -> None:
    folder = GOLDENS / case.name
    model = load_checkpoint(folder / "checkpoint.safetensors")
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["config"] == model.config.to_json() == case.config().to_json()
    seen: dict[str, list[float]] = {}
    with torch.no_grad():
        y = model(
            torch.from_numpy(np.load(folder / "input.npy")),
            lambda name, value: seen.update({name: value.flatten()[:8].tolist()}),
        )
    np.testing.assert_allclose(y.numpy(), np.load(folder / "output.npy"), atol=1e-4)
    trace = json.loads((folder / "trace.json").read_text())
    assert list(trace) == list(seen)
    for name, values in seen.items():
        np.testing.assert_allclose(values, trace[name]["first"], atol=1e-3, err_msg=name)


@pytest.mark.parametrize("case", BLOCKS, ids=lambda c: c.name)
def test_block_reproduces_its_golden(case: BlockCase) -> None:
    folder = GOLDENS / case.name
    config = case.config()
    assert isinstance(config.path_channels, int)
    block = Mmrb(config, case.c_in, case.c_out, config.path_channels)
    block.load_state_dict(load_file(folder / "checkpoint.safetensors"))
    x = torch.from_numpy(np.load(folder / "input.npy"))
    assert x.shape == (case.batch, case.c_in, case.height, case.width)
    with torch.no_grad():
        y = block(x)
    np.testing.assert_allclose(y.numpy(), np.load(folder / "output.npy"), atol=1e-4)


def test_goldens_stay_small() -> None:
    sizes = [sum(f.stat().st_size for f in case.iterdir()) for case in GOLDENS.iterdir()]
    assert max(sizes) < 150_000
    assert sum(sizes) < 2_500_000


def test_gradients_reach_every_parameter() -> None:
    model = MmrbNet(MmrbNetConfig.from_json(NETWORK))
    randomise(model, 1)
    model(torch.rand(2, 3, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_fir_up2_matches_its_definition() -> None:
    """upfirdn2d written as loops: zeros after every sample, pad (2, 1), kernel 4B."""
    x = torch.randn(1, 1, 3, 4, dtype=torch.float64)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
    kernel = torch.outer(taps, taps) / 16
    spread = torch.zeros(6, 8, dtype=torch.float64)
    spread[::2, ::2] = x[0, 0]
    padded = F.pad(spread, (2, 1, 2, 1))
    want = torch.stack(
        [
            torch.stack([(padded[i : i + 4, j : j + 4] * kernel).sum() for j in range(8)])
            for i in range(6)
        ]
    )
    torch.testing.assert_close(fir_up2(x)[0, 0], want)


@pytest.mark.parametrize("up", ["fir", "bilinear", None])
def test_modulation_may_be_folded_into_the_weights(up: Any) -> None:
    """The per-sample-weight definition of modulated convolution gives the same values."""
    torch.manual_seed(0)
    conv = StyledConv(5, 4, 6, up, concat=False).double()
    x, w = torch.randn(1, 5, 6, 6).double(), torch.randn(1, 6).double()
    style = conv.modulation(w)[0]
    weight = conv.weight * conv.scale * style[None, :, None, None]
    weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        folded.weight.copy_(weight / conv.scale)
        folded.modulation.weight.zero_()
        folded.modulation.bias.fill_(1.0)
    noise = torch.zeros(1, 1, 1, 1).double()
    torch.testing.assert_close(
        conv(x, w, noise, None), folded(x, w, noise, None), atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("size", 48, "`size`"),
        ("size", True, "`size`"),
        ("channels", {"4": 8, "8": 8}, "`16`"),
        ("channels", {"4": 8, "8": 8, "16": 8, "32": 8}, "`32`"),
        ("inject", "film", "`inject`"),
        ("upsample", None, "`upsample`"),
        ("stem_unshuffle", 3, "`stem_unshuffle`"),
        ("input_skip", 1, "`input_skip`"),
        ("n_mlp", -1, "`n_mlp`"),
        ("colour", "rgb", "`colour`"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MmrbNetConfig.from_json({**NETWORK, key: value})


@pytest.mark.parametrize("key", sorted(NETWORK))
def test_a_missing_value_is_named(key: str) -> None:
    source = {k: v for k, v in NETWORK.items() if k != key}
    with pytest.raises(ConfigError, match=f"`{key}` is missing"):
        MmrbNetConfig.from_json(source)


def test_groups_must_divide_the_channels() -> None:
    config = MmrbConfig.from_json(
        {
            "paths": [{"kernel": 3, "dilation": 1, "groups": 3}],
            "mix": "concat",
            "path_channels": 4,
            "slope": 0.2,
            "fuse_activation": False,
        },
        "config",
    )
    with pytest.raises(ConfigError, match="`groups` 3"):
        Mmrb(config, 6, 6, 4)


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    model = MmrbNet(MmrbNetConfig.from_json(NETWORK))
    randomise(model, 2)
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, model.state_dict(), model.config)
    again = load_checkpoint(path)
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(model(x), again(x))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors"]
