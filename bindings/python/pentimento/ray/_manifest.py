"""What became of every picture: a table that outlives any process of a run.

``_pentimento/manifest.parquet`` in the destination has one row a picture. While a run goes on, its
rows are in files beside it, ``rows-RUN-NUMBER.parquet``; the next run, or the end of this one, takes
them in. Of several rows of a picture the last one counts.
"""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from ._places import OWN

_FACE = pa.struct(
    [
        ("bounds", pa.list_(pa.float32())),
        ("landmarks", pa.list_(pa.list_(pa.float32()))),
        ("score", pa.float32()),
        ("restored", pa.bool_()),
        ("skipped", pa.string()),
    ]
)

SCHEMA = pa.schema(
    [
        ("input", pa.string()),
        ("output", pa.string()),
        # "restored", "failed" (the picture's own fault), "killed" (its process ended twice),
        # "unreadable" or "unwritten" (that of a file system: tried again by the next run).
        ("status", pa.string()),
        ("error", pa.string()),
        ("options", pa.string()),
        ("input_bytes", pa.int64()),
        ("input_modified", pa.int64()),
        ("input_sha256", pa.string()),
        ("output_bytes", pa.int64()),
        ("output_sha256", pa.string()),
        ("input_size", pa.list_(pa.int32())),
        ("output_size", pa.list_(pa.int32())),
        ("copied", pa.bool_()),
        ("faces", pa.list_(_FACE)),
        ("notes", pa.list_(pa.string())),
        ("attempts", pa.int32()),
        ("seconds", pa.float64()),
        ("device", pa.string()),
        ("node", pa.string()),
        ("run", pa.string()),
        ("finished", pa.int64()),
    ]
)

# What a later run with the same options does not try again.
FINAL = ("restored", "failed", "killed")


class Manifest:
    def __init__(self, place):
        self.place = place
        self.folder = place.join(OWN)
        self.path = f"{self.folder}/manifest.parquet"

    def parts(self):
        names = [info.path for info in self.place.files(self.folder)]
        return [path for path in names if path.rpartition("/")[2].startswith("rows-")]

    def table(self):
        """All rows, one a picture."""
        paths = [info.path for info in self.place.files(self.folder) if info.path == self.path]
        tables = [self._read(path) for path in paths + self.parts()]
        return _last(pa.concat_tables(tables)) if tables else SCHEMA.empty_table()

    def append(self, rows, run, number):
        """Adds rows; they are there as a whole or not at all."""
        table = pa.Table.from_pylist(rows, SCHEMA)
        self.place.write(f"{self.folder}/rows-{run}-{number:06}.parquet", encoded(table))

    def merge(self):
        """Takes all rows into one file, and returns them."""
        parts = self.parts()
        table = self.table()
        if parts:
            self.place.write(self.path, encoded(table))
            # Rows that are still there after a crash are taken in again, to no effect.
            for path in parts:
                self.place.fs.delete_file(path)
        return table

    def _read(self, path):
        table = pq.read_table(pa.BufferReader(self.place.read(path)))
        missing = [name for name in SCHEMA.names if name not in table.column_names]
        if missing:
            raise ValueError(
                f"{self.place.shown(path)} is not a manifest of this version, it lacks "
                f"{', '.join(missing)}; choose another destination"
            )
        return table.select(SCHEMA.names).cast(SCHEMA)


def encoded(table):
    """The bytes of a Parquet file with the table."""
    data = io.BytesIO()
    pq.write_table(table, data)
    return data.getvalue()


def _last(table):
    """The last row of each picture, in the order of their names."""
    inputs, finished = table["input"].to_pylist(), table["finished"].to_pylist()
    last = {}
    for i in sorted(range(len(inputs)), key=lambda i: finished[i]):
        last[inputs[i]] = i
    return table.take(pa.array([last[name] for name in sorted(last)], pa.int64()))
