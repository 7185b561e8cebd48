"""The run that tests train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pentimento_train.run_config import RunConfig

TINY = Path(__file__).with_name("tiny.toml")


def only(config: RunConfig, stage: str) -> RunConfig:
    """The run without its other stages."""
    others = {k: None for k in ("prior", "reconstruction", "restoration") if k != stage}
    return replace(config, **others)
