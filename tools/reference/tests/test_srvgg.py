"""SRVGGNetCompact against the public golden of PENTIMENTO_SHARED."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pentimento_reference.srvgg import load_checkpoint

SHARED = os.environ.get("PENTIMENTO_SHARED")


@pytest.mark.skipif(not SHARED, reason="set PENTIMENTO_SHARED to the folder that holds goldens")
def test_srvgg_reproduces_its_golden(tmp_path: Path) -> None:
    folder = Path(SHARED or "") / "goldens" / "srvgg_x4"
    state = torch.load(folder / "checkpoint.pth", weights_only=True)
    state = state.get("params", state)
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "model.safetensors")
    model = load_checkpoint(tmp_path / "model.safetensors")
    with torch.no_grad():
        y = model(torch.from_numpy(np.load(folder / "input.npy")))
    np.testing.assert_allclose(y.numpy(), np.load(folder / "output.npy"), atol=1e-4)
