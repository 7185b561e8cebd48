"""A class for :meth:`ray.data.Dataset.map_batches`."""

from __future__ import annotations

import numpy as np

import pentimento

from . import _places, _worker


class RestoreBatch:
    """Restores the pictures of a batch, whose files' bytes are in the column ``image``::

        photos = ray.data.read_binary_files("s3://album/", include_paths=True)
        restored = photos.map_batches(
            RestoreBatch,
            fn_constructor_kwargs=dict(image="bytes", name="path", detector="default"),
            batch_size=8, concurrency=4, num_gpus=0.5,
        )

    Adds columns: ``restored``, the bytes of the result's file; ``error``, why there is none; and
    ``faces``, how many were restored. The result has the format of the picture that the column
    ``name`` names, or else ``output``'s. ``options`` are those of :class:`pentimento.Restorer`.
    """

    def __init__(self, image="image", name=None, output="result.png", *, writing=None, **options):
        self._image, self._name, self._output = image, name, output
        self._writing = writing or {}
        options.setdefault("device", _worker.own_device())
        self._restorer = pentimento.Restorer(**options)

    def __call__(self, batch):
        count = len(batch[self._image])
        restored, errors, faces = [], [], []
        for i in range(count):
            data, error, found = self._restored(batch, i)
            restored.append(data)
            errors.append(error)
            faces.append(found)
        columns = dict(restored=restored, error=errors)
        columns = {name: np.array(values, object) for name, values in columns.items()}
        return {**batch, **columns, "faces": np.array(faces, np.int32)}

    def _restored(self, batch, i):
        name = str(batch[self._name][i]) if self._name else f"row {i}"
        output = _places.result_name(name) if self._name else self._output
        try:
            data = bytes(batch[self._image][i])
            data, _ = self._restorer.restore_file(data, name, output, **self._writing)
        except pentimento.DeviceLost:
            raise
        except (TypeError, ValueError, pentimento.PentimentoError) as error:
            return None, str(error), 0
        return data, None, sum(face["restored"] for face in self._restorer.faces)
