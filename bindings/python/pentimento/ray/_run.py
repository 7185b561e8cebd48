"""A run: which pictures are to be done, a pool of actors that does them, and a summary."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
import time
import uuid

import pyarrow as pa
import ray
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import pentimento

from . import _places, _tables, _worker
from ._ledger import Ledger
from ._manifest import FINAL, Manifest, encoded

# Pictures that an actor gets at once, at most: what is lost with it is done again by others.
_AT_ONCE = 32


@dataclasses.dataclass
class Summary:
    """What became of the pictures of a run. ``kept`` were restored by an earlier one; ``failed`` are
    also those that an earlier run has given up."""

    restored: int = 0
    without_a_face: int = 0
    left_alone: int = 0
    kept: int = 0
    failed: int = 0
    passed_over: int = 0
    seconds: float = 0.0
    workers: int = 0
    manifest: str = ""

    def __str__(self):
        others = [
            (self.without_a_face, "without a face"),
            (self.left_alone, "left alone"),
            (self.kept, "already there"),
            (self.failed, "failed"),
            (self.passed_over, "passed over"),
        ]
        counts = "".join(f", {count} {what}" for count, what in others if count)
        many = "worker" if self.workers == 1 else "workers"
        return (
            f"{self.restored} restored{counts} in {self.seconds:.1f} s by {self.workers} {many}; "
            f"{self.manifest} says what became of each"
        )


def restore(
    source,
    destination,
    *,
    model=None,
    detector="default",
    background=None,
    parser=None,
    scale=1,
    strength=1.0,
    which="all",
    precision="auto",
    memory=None,
    quality=None,
    matte=(255, 255, 255),
    salvage=False,
    device=None,
    concurrency=None,
    num_cpus=1,
    num_gpus=None,
    image=None,
    name=None,
    filesystem=None,
    destination_filesystem=None,
    report=None,
    again=False,
    force=False,
    progress=True,
    restorer=None,
):
    """Restores all pictures of ``source`` on a Ray cluster, and returns a :class:`Summary`.

    ``source`` is a folder, a pattern such as ``s3://bucket/**/*.jpg``, a file, or a list of them;
    ``destination`` a folder. Both are paths, or URIs that ``pyarrow.fs`` or ``fsspec`` opens; else
    ``filesystem`` and ``destination_filesystem`` say where they are. Results have the names that
    pictures have below their source, and are the bytes that ``pentimento restore`` writes.

    ``model`` to ``salvage`` are those of :class:`pentimento.Restorer` and its ``restore_file``;
    networks may be URIs too. With ``detector=None`` every picture is one aligned face.

    A pool of ``concurrency`` actors (a number, or the least and the most) holds one restorer each;
    by default as many as the cluster has room for. Each takes ``num_cpus`` cores and ``num_gpus``
    GPUs, which may be a fraction. With a GPU it computes there, else on the CPU; ``device`` names
    another.

    With ``image``, the source's files are Parquet tables, and that column holds the bytes of
    pictures' files; ``name`` may be a column with their names, whose ending says the format of the
    result. Each row group becomes a table in the destination, with the columns ``restored``,
    ``status``, ``error``, ``faces_found`` and ``faces_restored`` beside its own.

    ``_pentimento/manifest.parquet`` in the destination has a row for each picture. What it has for
    the same input and options is not done again, unless ``again``. A destination with other files is
    refused, unless ``force``. ``report`` is a file for the rows of this run's pictures.

    ``restorer`` is a function that makes what restores, for a network of your own: an object with
    ``restore_file`` and ``faces`` as :class:`pentimento.Restorer` has them.
    """
    start = time.monotonic()
    if not ray.is_initialized():
        ray.init()
    place = _places.Place(destination, destination_filesystem)
    manifest = Manifest(place)
    _check(place, force)
    before = manifest.merge()
    networks = dict(model=model, detector=detector, background=background, parser=parser)
    networks = {name: _network(network) for name, network in networks.items()}
    weights, digests = _worker.put_weights(networks)
    options = dict(scale=scale, strength=strength, which=which, precision=precision, memory=memory)
    writing = dict(quality=quality, matte=tuple(matte), salvage=salvage)
    digest = _digest(pentimento.__version__, digests, options, writing, [image, name])
    if isinstance(source, (str, os.PathLike)):
        source = [source]
    sources = [_places.Source(uri, filesystem) for uri in source]
    pictures, refused, passed_over = _pictures(sources, place, digest, image)
    if not pictures and not refused:
        names = ", ".join(f"{source.place.uri}" for source in sources)
        raise FileNotFoundError(f"there is no picture in {names}; name another source")
    summary = Summary(passed_over=len(passed_over), manifest=place.shown(manifest.path))
    known = {} if again else {row["input"]: row for row in before.select(_KNOWN).to_pylist()}
    open_pictures = (_open_groups if image else _open)(pictures, known, place, summary)
    make = restorer or functools.partial(
        _worker.make_restorer, weights, options, device, None if num_gpus else max(1, int(num_cpus))
    )
    least, most = _pool(concurrency, num_cpus, num_gpus, len(open_pictures))
    summary.workers = most
    run = uuid.uuid4().hex[:12]
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    ledger = ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=here).remote(place, run)
    ray.get([ledger.done.remote(row) for row in refused])
    if open_pictures:
        constructor = dict(
            ledger=ledger,
            sources=[source.place for source in sources],
            destination=place,
            options=digest,
            writing=writing,
            make=make,
        )
        worker = _worker.Worker
        if image:
            worker, constructor = _tables.TableWorker, dict(constructor, image=image, name=name)
        _work(worker, open_pictures, constructor, (least, most), num_cpus, num_gpus, progress)
    ray.get(ledger.write.remote())
    for kind, count in ray.get(ledger.counts.remote()).items():
        setattr(summary, kind, getattr(summary, kind) + count)
    ray.kill(ledger)
    if open_pictures and not place.is_store:
        # A process that ended may have been writing.
        _tidy(place, place.files())
    table = manifest.merge()
    if report is not None:
        ours = {row["input"] for row in pictures + refused}
        whose = (name.rpartition("#")[0] if image else name for name in table["input"].to_pylist())
        chosen = pa.array([name in ours for name in whose], pa.bool_())
        to = _places.Place(report)
        to.write(to.path, encoded(table.filter(chosen)))
    summary.seconds = time.monotonic() - start
    return summary


def _work(worker, pictures, constructor, pool, num_cpus, num_gpus, progress):
    """Streams the pictures through a pool of actors."""
    context = ray.data.DataContext.get_current()
    shown, context.enable_progress_bars = context.enable_progress_bars, progress
    try:
        size = max(1, min(_AT_ONCE, math.ceil(len(pictures) / (8 * pool[1]))))
        tables = (pictures[i : i + size] for i in range(0, len(pictures), size))
        data = ray.data.from_arrow([pa.Table.from_pylist(rows, _PICTURE) for rows in tables])
        done = data.map_batches(
            worker,
            fn_constructor_kwargs=constructor,
            batch_size=None,
            batch_format="pyarrow",
            # Of the blocks that wait for an actor, none can go to another one.
            compute=ray.data.ActorPoolStrategy(
                min_size=pool[0], max_size=pool[1], max_tasks_in_flight_per_actor=2
            ),
            num_cpus=num_cpus,
            num_gpus=num_gpus,
        )
        for _ in done.iter_batches(batch_size=None, batch_format="pyarrow"):
            pass
    finally:
        context.enable_progress_bars = shown


_PICTURE = pa.schema(
    [
        ("input", pa.string()),
        ("output", pa.string()),
        ("source", pa.int32()),
        ("path", pa.string()),
        ("options", pa.string()),
        ("input_bytes", pa.int64()),
        ("input_modified", pa.int64()),
        ("group", pa.int32()),
    ]
)

# What is asked about an earlier run's pictures.
_KNOWN = "input output status options input_bytes input_modified output_bytes".split()


def _check(place, force):
    """Refuses a destination that is not one of runs, and removes what a run had not finished."""
    files = place.files()
    own = place.join(_places.OWN) + "/"
    _tidy(place, files)
    if files and not force and not any(file.path.startswith(own) for file in files):
        raise FileExistsError(
            f"{place.uri} holds files that no run is known to have written; choose another "
            "destination, or let force=True replace files of the same names"
        )
    # From now on it is one.
    place.write(own + "README", b"Pentimento keeps here which pictures it restored. Keep it.\n")


def _tidy(place, files):
    """Removes results that nobody has finished."""
    for file in files:
        if file.path.rpartition("/")[2].startswith(_places.UNFINISHED):
            place.fs.delete_file(file.path)


def _network(network):
    """A network's bytes; "default" and nothing stay."""
    if network is None or network == "default":
        return network
    if isinstance(network, (bytes, bytearray, memoryview)):
        return network
    place = _places.Place(network)
    return place.read(place.path)


def _digest(*options):
    text = json.dumps(options, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _pictures(sources, place, options, image):
    """Every picture once, those that are refused, and the names of what is no picture."""
    pictures, refused, passed_over, taken, seen = [], [], [], {}, set()
    for number, source in enumerate(sources):
        if source.root == place.path and source.place.fs.equals(place.fs):
            raise ValueError(
                f"{place.uri} is the source itself, whose pictures would be overwritten; choose "
                "another destination"
            )
        if image:
            groups = _tables.row_groups(source, place, options)
            pictures += [{**group, "source": number} for group in groups]
            continue
        found, others = source.pictures(place)
        passed_over += others
        for file, name in found:
            row = {
                "input": source.place.shown(file.path),
                "output": _places.result_name(name),
                "source": number,
                "path": file.path,
                "options": options,
                "input_bytes": file.size,
                "input_modified": file.mtime_ns,
            }
            if row["input"] in seen:
                continue
            seen.add(row["input"])
            first = taken.setdefault(row["output"], row["input"])
            if first == row["input"]:
                pictures.append(row)
            else:
                error = f"{first} has the same result's name; restore this one in another run"
                refused.append({**row, "status": "failed", "error": error})
    return pictures, refused, passed_over


def _is_final(row, picture):
    """Whether an earlier run has tried just this."""
    names = "options", "input_bytes", "input_modified"
    same = row and all(row[name] == picture[name] for name in names)
    return same and row["status"] in FINAL


def _open(pictures, known, place, summary):
    """The pictures that are still to be done."""
    there, rest = {file.path: file.size for file in place.files()}, []
    for picture in pictures:
        row = known.get(picture["input"])
        if not _is_final(row, picture) or row["output"] != picture["output"]:
            rest.append(picture)
        elif row["status"] != "restored":
            summary.failed += 1
        elif there.get(place.join(row["output"])) == row["output_bytes"]:
            summary.kept += 1
        else:
            rest.append(picture)
    return rest


def _open_groups(groups, known, place, summary):
    """The row groups that are still to be done: their rows are written together."""
    there, rest = {file.path for file in place.files()}, []
    for group in groups:
        rows = [known.get(f"{group['input']}#{i}") for i in range(group["rows"])]
        done = place.join(group["output"]) in there
        if not done or not all(_is_final(row, group) for row in rows):
            rest.append(group)
            continue
        restored = sum(row["status"] == "restored" for row in rows)
        summary.kept += restored
        summary.failed += len(rows) - restored
    return rest


def _pool(concurrency, num_cpus, num_gpus, pictures):
    """The least and the most actors."""
    if concurrency is None:
        room = ray.cluster_resources()
        cpus = room.get("CPU", 1) / num_cpus if num_cpus else math.inf
        gpus = room.get("GPU", 0) / num_gpus if num_gpus else math.inf
        concurrency = (1, max(1, int(min(cpus, gpus, max(1, pictures)))))
    if isinstance(concurrency, int):
        concurrency = (concurrency, concurrency)
    least, most = concurrency
    if not 1 <= least <= most:
        raise ValueError("concurrency is a number of actors, or the least and the most of them")
    return least, most
