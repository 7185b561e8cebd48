"""Restores albums on a Ray cluster: ``pip install pentimento[ray]``.

:func:`restore` does a whole album, by Ray Data. :class:`RestoreBatch` is the part of it for a
pipeline of your own.
"""

try:
    import pyarrow  # noqa: F401
    import ray  # noqa: F401
    import ray.data  # noqa: F401
except ImportError as missing:
    raise ImportError(
        f"pentimento.ray needs Ray Data ({missing}); pip install 'pentimento[ray]' brings it"
    ) from missing

from ._batch import RestoreBatch
from ._run import Summary, restore

__all__ = ["RestoreBatch", "Summary", "restore"]
