"""Restores degraded faces in pictures, on any GPU or on the CPU."""

from __future__ import annotations

import os

from . import _pictures, _state_dict
from ._native import Cancelled, DeviceLost, PentimentoError, __version__, devices
from ._native import Restorer as _Native

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


class Restorer:
    """A model on a device. Keeps what it made ready for the next picture of the same size.

    ``model``, ``detector``, ``background`` and ``parser`` are paths of .safetensors or .pth files,
    or such a file's bytes. Without a model, the one inside of the package restores faces of 256×256 pixels.
    Without a detector every picture is taken for one aligned face (or enlarged, by an upscaling
    model); with one, every face in a photo is found, restored and put back. The detector "default"
    is inside of the package too.

    ``device`` is "cpu", a number or a part of a name from :func:`devices`; by default the best GPU.
    When the best GPU is lost, the CPU restores the picture and those that follow, and a
    ``RuntimeWarning`` says so. The loss of a device that you named raises :exc:`DeviceLost`.
    ``memory`` bounds the bytes that the network takes. With a detector, ``strength`` (0 to 1) says
    how much of the restored face is taken, ``scale`` (1 to 4) how large the result is, ``which``
    ("all", "largest", "central") which faces are restored, ``background`` what enlarges the rest,
    and ``parser`` what says which pixels of a restored face are blended in.

    One thread at a time may use it.
    """

    def __init__(
        self,
        model=None,
        *,
        device=None,
        precision="auto",
        memory=None,
        detector=None,
        background=None,
        parser=None,
        strength=1.0,
        scale=1,
        which="all",
    ):
        self._native = _Native(
            _source(model),
            device=None if device is None else str(device),
            precision=precision,
            memory=memory,
            detector=_source(detector),
            background=_source(background),
            parser=_source(parser),
            strength=strength,
            scale=scale,
            which=which,
        )

    def restore(self, image, *, progress=None):
        """Restores one picture: a numpy array ``[H, W, 3 or 4]`` of uint8, or a PIL image. The
        result is of the same kind. ``progress`` is told how much is done, from 0 to 1; what it
        raises stops the work and is raised again."""
        array, result = _pictures.taken(image)
        height, width, channels = array.shape
        return result(*self._native.restore(array.tobytes(), height, width, channels, progress))

    def restore_file(
        self,
        data,
        name="the picture",
        output="result.png",
        *,
        quality=None,
        matte=(255, 255, 255),
        salvage=False,
        progress=None,
    ):
        """Restores the bytes of a picture's file, and returns the bytes of the result's file and a
        dict about it: ``input_size`` and ``output_size`` (height, width), ``is_photo`` (whether faces
        were searched), ``copied`` (the result is the input's file) and ``notes``.
        The file is byte for byte what ``pentimento restore`` writes, metadata included.

        ``name`` is what errors call the picture. The extension of ``output`` says the format.
        ``quality`` (1 to 100) is that of a JPEG, ``matte`` the colour under transparent pixels where
        the format holds no transparency. ``salvage`` reads damaged files as far as possible."""
        return self._native.restore_file(
            bytes(data),
            os.fspath(name),
            os.fspath(output),
            quality=quality,
            matte=list(matte),
            salvage=salvage,
            progress=progress,
        )

    def restore_batch(self, images, *, progress=None):
        """Restores pictures one after the other, of any sizes and kinds; a list of the results.
        ``progress`` is told how much of all of them is done."""
        images = list(images)
        count = len(images)

        def part(index):
            return progress and (lambda done: progress((index + done) / count))

        return [self.restore(image, progress=part(i)) for i, image in enumerate(images)]

    @property
    def faces(self):
        """The faces of the last photo, from left to right: landmarks, bounds, score, whether it is
        `printed` (in dots), whether it was restored, and if not, why it was `skipped`."""
        return self._native.faces()

    @property
    def device(self):
        """Name of the device that computes: the CPU's, where it took the place of a lost GPU."""
        return self._native.device

    @property
    def architecture(self):
        """Name of the model's architecture."""
        return self._native.architecture

    @property
    def closed(self):
        """Whether :meth:`close` was called."""
        return self._native.closed

    def close(self):
        """Gives memory and device back."""
        self._native.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def restore(image, model=None, *, progress=None, **options):
    """Restores one picture with a new :class:`Restorer`, which takes ``model`` and ``options``."""
    with Restorer(model, **options) as restorer:
        return restorer.restore(image, progress=progress)


def from_state_dict(state_dict, *, metadata=None, **options):
    """A :class:`Restorer` of a network's tensors: what torch's ``module.state_dict()`` returns, or
    any mapping from names to numpy arrays. The architecture is recognised from them. ``metadata``
    is what a .safetensors file would say about them, texts by name: MMRB-Net's hold its
    configuration."""
    return Restorer(_state_dict.safetensors(state_dict, metadata), **options)


def _source(source):
    if source is None or isinstance(source, bytes):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    return os.fspath(source)
