"""python -m pentimento.ray SRC -o DST: restores an album on a Ray cluster."""

from __future__ import annotations

import argparse
import os
import sys

import pyarrow as pa
import ray

import pentimento

from . import restore


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m pentimento.ray", description=__doc__)
    add = parser.add_argument
    add("source", nargs="+", help="folders, patterns or files; paths or URIs")
    add("-o", "--output", required=True, help="a folder, which is created; a path or a URI")
    add("--address", help='the cluster: "auto" or HOST:PORT; without this RAY_ADDRESS, else a new one')
    add("--report", help="a Parquet file for the rows of this run's pictures")
    add("-m", "--model", help="a model file; without this, the one inside of the package")
    add("--detector", default="default", help="a detector's file")
    add("--aligned", action="store_true", help="take every picture for one aligned face")
    add("--background", help="an upscaling model for what is around the faces")
    add("--parser", help="a model that says which pixels of a face are blended in")
    add("--scale", type=int, default=1, choices=[1, 2, 3, 4], help="how much larger results are")
    add("--strength", type=float, default=1.0, help="how much of a restored face is taken, 0 to 1")
    add("--quality", type=int, help="of JPEG results, 1 to 100")
    add("--salvage", action="store_true", help="read damaged files as far as possible")
    add("--device", help="what every actor computes on; without this, the GPU that Ray gives it")
    add("--concurrency", type=int, help="actors; without this, as many as there is room for")
    add("--num-cpus", type=float, default=1, help="cores of each actor")
    add("--num-gpus", type=float, help="GPUs of each actor, as 1 or 0.5")
    add("--image", help="the sources are Parquet tables, with pictures' bytes in this column")
    add("--name", help="the column of such tables with the pictures' names")
    add("--again", action="store_true", help="restore what is done already, too")
    add("--force", action="store_true", help="write to a folder that holds other files")
    add("-q", "--quiet", action="store_true", help="show no progress and no summary")
    given = vars(parser.parse_args(arguments))
    address, quiet = given.pop("address"), given.pop("quiet")
    given["destination"] = given.pop("output")
    if given.pop("aligned"):
        given["detector"] = None
    try:
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        ray.init(address=address, log_to_driver=not quiet, ignore_reinit_error=True)
        summary = restore(given.pop("source"), **given, progress=not quiet)
    except (OSError, ValueError, ConnectionError, pentimento.PentimentoError, pa.ArrowException,
            ray.exceptions.RayError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not quiet:
        print(summary)
    return 1 if summary.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
