"""Pictures as arrays."""

from __future__ import annotations

import numpy as np


def taken(image):
    """The picture as an array ``[H, W, 3 or 4]`` of uint8, and a function that makes the result of
    bytes, height and width: of the kind that ``image`` is."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
            raise ValueError(
                f"expected an array [H, W, 3 or 4] of uint8, got {list(image.shape)} of {image.dtype}"
            )
        channels = image.shape[2]
        return image, lambda data, height, width: _array(data, height, width, channels)
    if hasattr(image, "convert") and hasattr(image, "getbands"):
        mode = "RGBA" if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info else "RGB"
        array = np.asarray(image.convert(mode))
        # Its own class: Pillow is not needed by whoever has no such picture.
        from PIL import Image

        return array, lambda data, height, width: Image.frombytes(mode, (width, height), data)
    raise TypeError(f"expected a numpy array or a PIL image, got {type(image).__name__}")


def _array(data, height, width, channels):
    # A copy, because what frombuffer yields cannot be written.
    return np.frombuffer(data, np.uint8).reshape(height, width, channels).copy()
