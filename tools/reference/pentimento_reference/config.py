"""MMRB-Net's configuration: one JSON object, checked value by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Mix = Literal["concat", "sum", "none"]
Upsample = Literal["fir", "bilinear"]
Inject = Literal["sft", "sft_half", "noise_concat", "add"]


class ConfigError(ValueError):
    """A configuration value is missing or contradicts another; the message names it."""


def _take(source: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in source:
        raise ConfigError(f"{where}: `{key}` is missing")
    return source[key]


def _integer(source: Mapping[str, Any], key: str, where: str, least: int = 1) -> int:
    value = _take(source, key, where)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{where}: `{key}` must be an integer of at least {least}, not {value!r}")
    return value


def _boolean(source: Mapping[str, Any], key: str, where: str) -> bool:
    value = _take(source, key, where)
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: `{key}` must be true or false, not {value!r}")
    return value


def _choice(source: Mapping[str, Any], key: str, where: str, allowed: tuple[str, ...]) -> Any:
    value = _take(source, key, where)
    if value not in allowed:
        raise ConfigError(f"{where}: `{key}` must be one of {', '.join(allowed)}, not {value!r}")
    return value


def _object(source: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = _take(source, key, where)
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: `{key}` must be an object, not {value!r}")
    return value


def _no_others(source: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(source) - known)
    if unknown:
        raise ConfigError(f"{where}: `{unknown[0]}` is not a known key")


def _per_resolution(table: Mapping[str, Any], where: str) -> dict[int, int]:
    widths: dict[int, int] = {}
    for key in table:
        if not key.isdigit():
            raise ConfigError(f"{where}: `{key}` is not a resolution")
        widths[int(key)] = _integer(table, key, where)
    return widths


@dataclass(frozen=True)
class PathConfig:
    """One convolution path of an MMRB: odd `kernel`, `dilation`, `groups`; padding keeps the size."""

    kernel: int
    dilation: int
    groups: int

    @staticmethod
    def from_json(source: Any, where: str) -> PathConfig:
        if not isinstance(source, dict):
            raise ConfigError(f"{where}: must be an object, not {source!r}")
        _no_others(source, {"kernel", "dilation", "groups"}, where)
        kernel = _integer(source, "kernel", where)
        if kernel % 2 == 0:
            raise ConfigError(f"{where}: `kernel` must be odd, not {kernel}")
        return PathConfig(
            kernel, _integer(source, "dilation", where), _integer(source, "groups", where)
        )

    def to_json(self) -> dict[str, Any]:
        return {"kernel": self.kernel, "dilation": self.dilation, "groups": self.groups}


@dataclass(frozen=True)
class MmrbConfig:
    """Hyper-parameters of the mixed multi-path residual block.

    `path_channels` is one width for every level, or a resolution → width table.
    """

    paths: tuple[PathConfig, ...]
    mix: Mix
    path_channels: int | dict[int, int]
    slope: float
    fuse_activation: bool

    KEYS = frozenset({"paths", "mix", "path_channels", "slope", "fuse_activation"})

    @staticmethod
    def from_json(source: Mapping[str, Any], where: str) -> MmrbConfig:
        paths = _take(source, "paths", where)
        if not isinstance(paths, list) or not paths:
            raise ConfigError(f"{where}: `paths` must be a list with at least one path")
        slope = _take(source, "slope", where)
        if isinstance(slope, bool) or not isinstance(slope, (int, float)) or not 0 <= slope < 1:
            raise ConfigError(f"{where}: `slope` must be a number in [0, 1), not {slope!r}")
        width: int | dict[int, int]
        if isinstance(source.get("path_channels"), dict):
            width = _per_resolution(source["path_channels"], f"{where}.path_channels")
        else:
            width = _integer(source, "path_channels", where)
        return MmrbConfig(
            paths=tuple(
                PathConfig.from_json(p, f"{where}.paths[{i}]") for i, p in enumerate(paths)
            ),
            mix=_choice(source, "mix", where, get_args(Mix)),
            path_channels=width,
            slope=float(slope),
            fuse_activation=_boolean(source, "fuse_activation", where),
        )

    def width_at(self, resolution: int) -> int:
        """Channels of every path at a level."""
        if isinstance(self.path_channels, int):
            return self.path_channels
        if resolution not in self.path_channels:
            raise ConfigError(f"config.mmrb.path_channels: `{resolution}` is missing")
        return self.path_channels[resolution]

    def to_json(self) -> dict[str, Any]:
        width: Any = self.path_channels
        if isinstance(width, dict):
            width = {str(r): c for r, c in width.items()}
        return {
            "paths": [p.to_json() for p in self.paths],
            "mix": self.mix,
            "path_channels": width,
            "slope": self.slope,
            "fuse_activation": self.fuse_activation,
        }


@dataclass(frozen=True)
class MmrbNetConfig:
    """Everything MMRB-Net's tensors and graph follow from."""

    size: int
    channels: dict[int, int]
    latent_dim: int
    n_mlp: int
    mmrb: MmrbConfig
    mmrb_per_level: int
    upsample: Upsample
    inject: Inject
    stem_unshuffle: int
    input_skip: bool

    @staticmethod
    def from_json(source: Mapping[str, Any]) -> MmrbNetConfig:
        """Reads and checks a configuration; every fault is a `ConfigError` that names the value."""
        where = "config"
        _no_others(
            source,
            {
                "size",
                "channels",
                "latent_dim",
                "n_mlp",
                "mmrb",
                "mmrb_per_level",
                "upsample",
                "inject",
                "stem_unshuffle",
                "input_skip",
            },
            where,
        )
        mmrb = _object(source, "mmrb", where)
        _no_others(mmrb, set(MmrbConfig.KEYS), "config.mmrb")
        config = MmrbNetConfig(
            size=_integer(source, "size", where, least=8),
            channels=_per_resolution(_object(source, "channels", where), "config.channels"),
            latent_dim=_integer(source, "latent_dim", where),
            n_mlp=_integer(source, "n_mlp", where, least=0),
            mmrb=MmrbConfig.from_json(mmrb, "config.mmrb"),
            mmrb_per_level=_integer(source, "mmrb_per_level", where),
            upsample=_choice(source, "upsample", where, get_args(Upsample)),
            inject=_choice(source, "inject", where, get_args(Inject)),
            stem_unshuffle=_integer(source, "stem_unshuffle", where),
            input_skip=_boolean(source, "input_skip", where),
        )
        config._check()
        return config

    def _check(self) -> None:
        if self.size & (self.size - 1):
            raise ConfigError(f"config: `size` must be a power of two, not {self.size}")
        if self.stem_unshuffle not in (1, 2, 4):
            raise ConfigError(
                f"config: `stem_unshuffle` must be 1, 2 or 4, not {self.stem_unshuffle}"
            )
        if self.codec_size < 4:
            raise ConfigError("config: `size` / `stem_unshuffle` must be at least 4")
        resolutions = set(self.generator_resolutions)
        for resolution in self.generator_resolutions:
            if resolution not in self.channels:
                raise ConfigError(f"config.channels: `{resolution}` is missing")
        for resolution in self.channels:
            if resolution not in resolutions:
                raise ConfigError(
                    f"config.channels: `{resolution}` is no level of size {self.size}"
                )
        if self.inject == "sft_half" and min(self.channels.values()) < 2:
            raise ConfigError("config: `inject` sft_half needs at least 2 channels at every level")
        if isinstance(self.mmrb.path_channels, dict):
            for resolution in self.mmrb.path_channels:
                if resolution not in self.codec_resolutions:
                    raise ConfigError(
                        f"config.mmrb.path_channels: `{resolution}` is no level of the codec"
                    )

    @property
    def codec_size(self) -> int:
        """Side of the codec's top level, `size / stem_unshuffle`."""
        return self.size // self.stem_unshuffle

    @property
    def codec_resolutions(self) -> list[int]:
        """4, 8, …, size / stem_unshuffle."""
        return [r for r in self.generator_resolutions if r <= self.codec_size]

    @property
    def generator_resolutions(self) -> list[int]:
        """4, 8, …, size."""
        return [2**k for k in range(2, self.size.bit_length())]

    @property
    def n_latent(self) -> int:
        """Number of W+ vectors, 2·log2(size) − 2."""
        return 2 * len(self.generator_resolutions)

    @property
    def condition_channels(self) -> dict[int, int]:
        """Channels of each level's condition at its own resolution."""
        per_width = {
            "sft": lambda c: 2 * c,
            "sft_half": lambda c: 2 * (c // 2),
            "noise_concat": lambda c: c,
            "add": lambda c: c,
        }[self.inject]
        return {r: per_width(self.channels[r]) for r in self.generator_resolutions}

    def to_json(self) -> dict[str, Any]:
        """The JSON object this configuration was read from, in a fixed key order."""
        return {
            "size": self.size,
            "channels": {str(r): c for r, c in sorted(self.channels.items())},
            "latent_dim": self.latent_dim,
            "n_mlp": self.n_mlp,
            "mmrb": self.mmrb.to_json(),
            "mmrb_per_level": self.mmrb_per_level,
            "upsample": self.upsample,
            "inject": self.inject,
            "stem_unshuffle": self.stem_unshuffle,
            "input_skip": self.input_skip,
        }
