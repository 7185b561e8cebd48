"""Networks of other projects against the outputs of their own code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pentimento_reference import gfpgan, srvgg
from pentimento_reference.rrdb import RrdbNet


def goldens() -> Path:
    folder = os.environ.get("PENTIMENTO_SHARED")
    if folder is None:
        pytest.skip("PENTIMENTO_SHARED does not name the folder with goldens")
    return Path(folder) / "goldens"


def compare(model: nn.Module, folder: Path, tolerance: float) -> None:
    with torch.no_grad():
        y = model(torch.from_numpy(np.load(folder / "input.npy"))).numpy()
    expected = np.load(folder / "output.npy")
    assert np.linalg.norm(y - expected) <= tolerance * np.linalg.norm(expected)


def tensors(folder: Path) -> dict[str, Tensor]:
    checkpoint = torch.load(folder / "checkpoint.pth", weights_only=True)
    for key in ["params_ema", "params"]:
        checkpoint = checkpoint.get(key, checkpoint)
    return checkpoint


@pytest.mark.parametrize("factored", [True, False])
def test_gfpgan_reproduces_its_golden(factored: bool) -> None:
    folder = goldens() / "gfpgan_clean_128"
    model = gfpgan.from_state_dict(tensors(folder))
    model.set_factored(factored)
    compare(model, folder, 1e-5)


def test_the_release_has_the_published_tensors() -> None:
    names = json.loads((goldens() / "fullsize/gfpgan_clean_512/tensors.json").read_text())
    for name, tensor in gfpgan.release().state_dict().items():
        assert list(tensor.shape) == names[name][0], name


def test_srvgg_reproduces_its_golden(tmp_path: Path) -> None:
    folder = goldens() / "srvgg_x4"
    save_file(
        {k: v.contiguous() for k, v in tensors(folder).items()}, tmp_path / "model.safetensors"
    )
    compare(srvgg.load_checkpoint(tmp_path / "model.safetensors"), folder, 1e-5)


def test_rrdb_reproduces_its_golden() -> None:
    folder = goldens() / "rrdb_x4"
    state = tensors(folder)
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    growth, features = state["body.0.rdb1.conv1.weight"].shape[:2]
    model = RrdbNet(features, growth, blocks)
    model.load_state_dict(state)
    compare(model, folder, 1e-5)
