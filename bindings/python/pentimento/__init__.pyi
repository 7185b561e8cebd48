import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, TypedDict, TypeVar, Union, type_check_only

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

_Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview]
_Picture = TypeVar("_Picture", NDArray[np.uint8], Image)
_Progress = Callable[[float], Any]

__all__ = [
    "Cancelled",
    "DeviceLost",
    "PentimentoError",
    "Restorer",
    "__version__",
    "devices",
    "from_state_dict",
    "restore",
]

__version__: str

class PentimentoError(RuntimeError):
    """An error of the engine, as one sentence."""

class Cancelled(PentimentoError):
    """The work was stopped before its end."""

class DeviceLost(PentimentoError):
    """The device stopped working. A new Restorer opens it again."""

@type_check_only
class Face(TypedDict):
    """A face of the last photo, in pixels of the photo as it is shown: the five landmarks as (x, y)
    (eyes, nose, corners of the mouth), the bounds as [left, top, right, bottom], the detector's
    score, whether the dots of a print cover it, and whether the face was restored. If not,
    ``skipped`` says why."""

    landmarks: list[tuple[float, float]]
    bounds: list[float] | None
    score: float | None
    printed: bool
    restored: bool
    skipped: str | None

@type_check_only
class About(TypedDict):
    """What became of a file: both sizes as (height, width), whether faces were searched, whether the
    result is the input's file, and notes on what was dropped or replaced."""

    input_size: tuple[int, int]
    output_size: tuple[int, int]
    is_photo: bool
    copied: bool
    notes: list[str]

@type_check_only
class Device(TypedDict):
    """A device that can compute. ``index`` is its number for ``device=``; the CPU has none."""

    index: int | None
    name: str
    backend: str
    kind: str
    driver: str
    default: bool

class Restorer:
    def __init__(
        self,
        model: _Source | None = None,
        *,
        device: str | int | None = None,
        precision: Literal["auto", "f32", "f16"] = "auto",
        memory: int | None = None,
        detector: _Source | None = None,
        background: _Source | None = None,
        parser: _Source | None = None,
        strength: float = 1.0,
        scale: int = 1,
        which: Literal["all", "largest", "central"] = "all",
    ) -> None: ...
    def restore(self, image: _Picture, *, progress: _Progress | None = None) -> _Picture: ...
    def restore_file(
        self,
        data: bytes | bytearray | memoryview,
        name: str | os.PathLike[str] = "the picture",
        output: str | os.PathLike[str] = "result.png",
        *,
        quality: int | None = None,
        matte: tuple[int, int, int] = (255, 255, 255),
        salvage: bool = False,
        progress: _Progress | None = None,
    ) -> tuple[bytes, About]: ...
    def restore_batch(
        self, images: Iterable[_Picture], *, progress: _Progress | None = None
    ) -> list[_Picture]: ...
    @property
    def faces(self) -> list[Face]: ...
    @property
    def device(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Restorer: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

def restore(
    image: _Picture,
    model: _Source | None = None,
    *,
    progress: _Progress | None = None,
    device: str | int | None = None,
    precision: Literal["auto", "f32", "f16"] = "auto",
    memory: int | None = None,
    detector: _Source | None = None,
    background: _Source | None = None,
    parser: _Source | None = None,
    strength: float = 1.0,
    scale: int = 1,
    which: Literal["all", "largest", "central"] = "all",
) -> _Picture: ...
def from_state_dict(
    state_dict: Mapping[str, Any],
    *,
    metadata: Mapping[str, str] | None = None,
    device: str | int | None = None,
    precision: Literal["auto", "f32", "f16"] = "auto",
    memory: int | None = None,
    detector: _Source | None = None,
    background: _Source | None = None,
    parser: _Source | None = None,
    strength: float = 1.0,
    scale: int = 1,
    which: Literal["all", "largest", "central"] = "all",
) -> Restorer: ...
def devices() -> list[Device]:
    """Every device of this machine, the CPU last."""
