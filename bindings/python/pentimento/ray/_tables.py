"""Tables with the bytes of pictures in a column: Parquet in, Parquet out.

A row group is what an actor gets at once. Its result is a file of its own, which is written whole or
not at all; a few rows are in memory at a time.
"""

from __future__ import annotations

import hashlib
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq
import ray

import pentimento

from . import _places
from ._worker import Worker

# Rows that are in memory at a time.
_ROWS = 16

# What results have beside the columns of their table.
COLUMNS = pa.schema(
    [
        ("restored", pa.large_binary()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("faces_found", pa.int32()),
        ("faces_restored", pa.int32()),
    ]
)


def row_groups(source, place, options):
    """The row groups of a source's tables, as pictures are listed; with how many rows each has. Also
    the names of files of another kind."""
    files, _ = source.pictures(place, lambda name: name.endswith(".parquet"))
    groups = []
    for file, name in files:
        with source.place.fs.open_input_file(file.path) as opened:
            parts = pq.ParquetFile(opened).metadata
            rows = [parts.row_group(i).num_rows for i in range(parts.num_row_groups)]
        stem = name[: -len(".parquet")]
        for group, count in enumerate(rows):
            groups.append(
                {
                    "input": f"{source.place.shown(file.path)}#{group}",
                    "output": f"{stem}-{group:05}.parquet",
                    "path": file.path,
                    "options": options,
                    "input_bytes": file.size,
                    "input_modified": file.mtime_ns,
                    "rows": count,
                    "group": group,
                }
            )
    return groups


class TableWorker(Worker):
    """Restores the pictures of row groups."""

    def __init__(self, image, name, **constructor):
        super().__init__(**constructor)
        self._image, self._name = image, name

    def __call__(self, table):
        groups = table.to_pylist()
        for group in groups:
            # Ray may ask again for what it has lost.
            if not ray.get(self._ledger.has_ended.remote(f"{group['input']}#0")):
                self._group(group)
        return pa.table({"input": [group["input"] for group in groups]})

    def _group(self, group):
        place, rows, done = self._sources[group["source"]], [], 0
        with place.fs.open_input_file(group["path"]) as opened, tempfile.TemporaryFile() as result:
            file = pq.ParquetFile(opened)
            schema = file.schema_arrow
            taken = [name for name in COLUMNS.names if name in schema.names]
            if self._image not in schema.names or taken:
                what = f"has the column {taken[0]}" if taken else f"has no column {self._image}"
                raise ValueError(f"{group['input']}: the table {what}; rename its columns")
            whole = pa.schema([*schema, *COLUMNS])
            with pq.ParquetWriter(result, whole) as writer:
                batches = file.iter_batches(_ROWS, row_groups=[group["group"]])
                for batch in batches:
                    ended = [self._row(group, batch, i, done + i) for i in range(batch.num_rows)]
                    done += batch.num_rows
                    added = pa.Table.from_pylist([cells for _, cells in ended], COLUMNS)
                    columns = [*batch.columns, *(c.combine_chunks() for c in added.columns)]
                    writer.write_table(pa.Table.from_arrays(columns, schema=whole))
                    rows += [row for row, _ in ended]
            result.seek(0)
            self._destination.write(self._destination.join(group["output"]), result)
        ray.get(self._ledger.done_all.remote(rows))

    def _row(self, group, batch, i, number):
        """Of the row ``number`` of a group: its row of the manifest, and what its table gets."""
        start, name = time.monotonic(), f"{group['input']}#{number}"
        data = batch.column(self._image)[i].as_py()
        picture = {**group, "input": name, "output": f"{group['output']}#{number}"}
        tries = ray.get(self._ledger.begin.remote(picture, False))
        row = {**picture, "options": self._options, "attempts": tries, "node": self._node}
        if tries is None:
            row.update(ray.get(self._ledger.killed.remote(name)))
            return row, {name: row[name] for name in ("status", "error")}
        title = batch.column(self._name)[i].as_py() if self._name else None
        output = _places.result_name(str(title)) if title else "result.png"
        result, cells = None, {}
        try:
            if not isinstance(data, bytes):
                raise ValueError(f"{name}: the column {self._image} holds no bytes here")
            row["input_sha256"] = hashlib.sha256(data).hexdigest()
            result, about = self._restorer.restore_file(
                data, str(title or name), output, **self._writing
            )
        except (ValueError, pentimento.PentimentoError, MemoryError) as error:
            row.update(status="failed", error=str(error))
        else:
            faces = self._restorer.faces if about.get("is_photo") else None
            row.update(about, status="restored", faces=faces)
            row.update(output_bytes=len(result), output_sha256=hashlib.sha256(result).hexdigest())
            cells = {
                "faces_found": None if faces is None else len(faces),
                "faces_restored": None if faces is None else sum(f["restored"] for f in faces),
            }
        self._ledger.lived.remote(name)
        row["seconds"] = time.monotonic() - start
        return row, {"restored": result, "status": row["status"], "error": row.get("error"), **cells}
