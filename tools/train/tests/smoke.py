"""Trains the tiny network through its three stages, for a test of the engine that opens its export.

    python smoke.py FOLDER

FOLDER receives the run, and `input.npy` and `output.npy` [2, 3, 16, 16] of the exported weights.
It fails when the losses do not fall.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from faces import faces, source
from pentimento_reference.mmrbnet import load_checkpoint
from runs import TINY

from pentimento_train.run_config import RunConfig
from pentimento_train.train import Trainer


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    config = RunConfig.from_toml(TINY)
    Trainer(config, folder).train(source(6, config), faces(2, config.model.size))
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for stage in ("reconstruction", "restoration"):
        values = [x["charbonnier"] for x in lines if x["stage"] == stage and "charbonnier" in x]
        assert fmean(values[-5:]) < fmean(values[:5]), f"{stage}: the loss does not fall: {values}"
    model = load_checkpoint(folder / "model.safetensors")
    given = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        restored = model(given)
    np.save(folder / "input.npy", given.numpy())
    np.save(folder / "output.npy", restored.numpy())


if __name__ == "__main__":
    main()
