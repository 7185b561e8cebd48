"""A run's TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pentimento_reference.config import MmrbNetConfig

from .alignment import Jitter
from .critics import CriticConfig
from .data import Repetition
from .degradation import DegradationConfig
from .glasses import Glasses
from .light import Light
from .prior import PriorConfig
from .reconstruction import ReconstructionConfig
from .restoration import RestorationConfig
from .schedule import Schedule


@dataclass(frozen=True)
class Machine:
    """Where and how a run computes, and how often it speaks."""

    seed: int
    threads: int
    workers: int
    """Processes that make pairs."""
    bf16: bool
    """Convolutions and matrix products in bf16, where the device has instructions for it."""
    compile: bool
    """On a GPU only."""
    log_every_steps: int
    report_every_minutes: float
    report_faces: int


@dataclass(frozen=True)
class RunConfig:
    """Sections `machine`, `model`, `jitter`, `degradation`, and one for each stage that is run.

    `repeated` may name a list beside the file, of faces that are shown more often. `light` and
    `glasses` may change the faces themselves.
    """

    machine: Machine
    model: MmrbNetConfig
    jitter: Jitter
    degradation: DegradationConfig
    repeated: Repetition | None
    prior: PriorConfig | None
    reconstruction: ReconstructionConfig | None
    restoration: RestorationConfig | None
    light: Light | None = None
    glasses: Glasses | None = None

    @staticmethod
    def from_toml(path: Path) -> RunConfig:
        """Reads a file; a value that is missing or not known is an error that names it.

        With `base`, the name of a file beside it, only what differs from that one is said; `false`
        in the place of a number or a table, such as a stage, leaves it out.
        """
        source = _read(path)
        stages = {
            "prior": _prior,
            "reconstruction": _reconstruction,
            "restoration": _restoration,
        }
        read = {k: f(source.pop(k)) if k in source else None for k, f in stages.items()}
        return RunConfig(
            machine=Machine(**source.pop("machine")),
            model=MmrbNetConfig.from_json(source.pop("model")),
            jitter=Jitter(**source.pop("jitter")),
            degradation=DegradationConfig.from_table(source.pop("degradation")),
            repeated=_repetition(source.pop("repeated", None), path.parent),
            light=Light(**source.pop("light")) if "light" in source else None,
            glasses=Glasses(**source.pop("glasses")) if "glasses" in source else None,
            **read,
            **source,
        )

    def within(self, minutes: float) -> RunConfig:
        """The run with its stages' minutes scaled so that they take this long together."""
        stages = {
            name: stage
            for name in ("prior", "reconstruction", "restoration")
            if (stage := getattr(self, name)) is not None
        }
        factor = minutes / sum(s.schedule.minutes for s in stages.values())
        scaled: dict[str, Any] = {
            name: replace(s, schedule=replace(s.schedule, minutes=s.schedule.minutes * factor))
            for name, s in stages.items()
        }
        return replace(self, **scaled)


def _read(path: Path) -> dict[str, Any]:
    source = tomllib.loads(path.read_text())
    base = source.pop("base", None)
    return source if base is None else _merged(_read(path.parent / base), source)


def _merged(base: dict[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, everything else is replaced; `false` leaves out what is there and is no flag."""
    out = dict(base)
    for key, value in source.items():
        before = out.get(key)
        if value is False and not isinstance(before, bool | None):
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(before, dict):
            out[key] = _merged(before, value)
        else:
            out[key] = value
    return out


def _repetition(source: Mapping[str, Any] | None, folder: Path) -> Repetition | None:
    return Repetition(**{**source, "faces": folder / source["faces"]}) if source else None


def _parts(source: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's table with its schedule and its discriminators read."""
    parts = dict(source)
    parts["schedule"] = Schedule(**source["schedule"])
    if "critics" in source:
        parts["critics"] = CriticConfig(**source["critics"])
    return parts


def _prior(source: Mapping[str, Any]) -> PriorConfig:
    return PriorConfig(**_parts(source))


def _reconstruction(source: Mapping[str, Any]) -> ReconstructionConfig:
    return ReconstructionConfig(**_parts(source))


def _restoration(source: Mapping[str, Any]) -> RestorationConfig:
    parts = {"critics": None} | _parts(source)
    parts["feature_levels"] = tuple(source["feature_levels"])
    return RestorationConfig(**parts)
