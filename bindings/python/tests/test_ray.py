"""pentimento.ray on a small cluster of this machine. The long tests are those of tools/cluster."""

import io
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

import pentimento
from test_pentimento import SMALL, picture

image = pytest.importorskip("PIL.Image")
pytest.importorskip("ray", reason="ray cannot be imported: all tests of pentimento.ray are skipped")
pytest.importorskip("ray.data", reason="ray.data cannot be imported")

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

import pentimento.ray  # noqa: E402

# Workers do not find this file.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

BROKEN, POISON = "broken.png", "poison.png"


def small():
    return pentimento.Restorer(SMALL.read_bytes(), device="cpu")


class Fragile:
    """A restorer whose process ends at one picture, and which counts what it did by files."""

    device = "cpu"

    def __init__(self, folder, made):
        self._folder, self._restorer = folder, made()

    @property
    def faces(self):
        return self._restorer.faces

    def restore_file(self, data, name, output, **options):
        name = pathlib.PurePosixPath(name)
        with open(self._folder / name.name, "a") as tries:
            tries.write("x")
        if name.name == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._restorer.restore_file(data, name, output, **options)


def album(folder):
    """Pictures of several formats in several folders; one is broken, one kills its process."""
    endings = ["png", "jpg", "ppm", "webp"]
    for i in range(24):
        path = folder / ["", "summer", "summer/é"][i % 3] / f"{i:02}.{endings[i % 4]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(picture(i, 32 + i, 40)).save(path)
    (folder / BROKEN).write_bytes(b"this is no picture")
    image.fromarray(picture(0)).save(folder / POISON)
    (folder / "notes.txt").write_text("passed over")


def results(folder):
    """The bytes of the results below a folder, by their names."""
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    own = ("_pentimento", ".pentimento")
    return {
        name.as_posix(): (folder / name).read_bytes()
        for name in names
        if not name.parts[0].startswith(own)
    }


def rows(destination):
    table = pq.read_table(destination / "_pentimento/manifest.parquet").to_pylist()
    names = [row["input"] for row in table]
    assert len(names) == len(set(names)), "one row a picture"
    return {pathlib.PurePosixPath(row["input"]).name: row for row in table}


def expected(folder, tmp_path):
    """What the command line makes of an album, or where it is not there, the package."""
    program = os.environ.get("PENTIMENTO_PROGRAM")
    if program:
        line = tmp_path / "line"
        options = ["--model", str(SMALL), "--device", "cpu", "--aligned", "--quiet"]
        subprocess.run([program, "restore", str(folder), "-o", str(line), *options], check=False)
        return {name: data for name, data in results(line).items() if name != POISON}
    with small() as restorer:
        return {
            name: restorer.restore_file(data, name, name)[0]
            for name, data in results(folder).items()
            if name not in (BROKEN, POISON, "notes.txt")
        }


@pytest.fixture(scope="module")
def cluster():
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
    # Otherwise whatever else the machine does comes first.
    os.environ["RAY_worker_niceness"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_an_album_with_a_broken_and_a_deadly_picture(cluster, tmp_path):
    folder, out, tries = tmp_path / "album", tmp_path / "out", tmp_path / "tries"
    tries.mkdir()
    album(folder)
    options = dict(detector=None, concurrency=2, progress=False)

    def fragile():
        return Fragile(tries, small)

    summary = pentimento.ray.restore(
        folder, out, restorer=fragile, report=tmp_path / "report.parquet", **options
    )
    assert (summary.restored, summary.failed, summary.passed_over) == (24, 2, 1), str(summary)
    assert "24 restored, 2 failed, 1 passed over in" in str(summary)
    assert results(out) == expected(folder, tmp_path)
    table = rows(out)
    assert len(table) == 26
    assert table[BROKEN]["status"] == "failed" and table[BROKEN]["error"]
    assert table[POISON]["status"] == "killed" and "2 times" in table[POISON]["error"]
    assert (tries / POISON).read_text() == "xx"
    assert all(row["output_bytes"] for row in table.values() if row["status"] == "restored")
    assert pq.read_table(tmp_path / "report.parquet").num_rows == 26
    # Nothing is done again but what has changed.
    for path in tries.iterdir():
        path.unlink()
    image.fromarray(picture(99)).save(folder / "00.png")
    (out / "summer/01.jpg").unlink()
    again = pentimento.ray.restore(
        folder, out, restorer=fragile, **{**options, "concurrency": 1}
    )
    assert (again.restored, again.kept, again.failed) == (2, 22, 2), str(again)
    assert sorted(path.name for path in tries.iterdir()) == ["00.png", "01.jpg"]
    assert len(rows(out)) == 26


def test_an_object_store(cluster, tmp_path):
    boto3 = pytest.importorskip("boto3", reason="boto3 is missing: no S3 server on this machine")
    server = pytest.importorskip("moto.server", reason="moto is missing: no S3 server here")
    server = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        there = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        there.create_bucket(Bucket="photos")
        folder = tmp_path / "album"
        album(folder)
        (folder / POISON).unlink()
        for name, data in results(folder).items():
            there.put_object(Bucket="photos", Key=f"in/{name}", Body=data)
        query = f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1"
        options = dict(model=SMALL, detector=None, concurrency=1, progress=False)
        summary = pentimento.ray.restore(
            f"s3://photos/in{query}", f"s3://photos/out{query}", **options
        )
        assert (summary.restored, summary.failed) == (24, 1), str(summary)
        objects = there.list_objects_v2(Bucket="photos", Prefix="out/")["Contents"]
        found = {
            entry["Key"][4:]: there.get_object(Bucket="photos", Key=entry["Key"])["Body"].read()
            for entry in objects
            if "_pentimento" not in entry["Key"]
        }
        assert found == expected(folder, tmp_path)
        assert not any("-" in entry["ETag"] for entry in objects), "each is one put, none has parts"
        again = pentimento.ray.restore(
            f"s3://photos/in{query}", f"s3://photos/out{query}", **options
        )
        assert (again.restored, again.kept, again.failed) == (0, 24, 1), str(again)
    finally:
        server.stop()


def table_rows():
    """Five pictures and a broken one as rows, and the results of the five."""
    files = []
    for seed in range(5):
        data = io.BytesIO()
        image.fromarray(picture(seed)).save(data, "png")
        files.append({"name": f"{seed}.png", "image": data.getvalue()})
    with small() as restorer:
        alone = [restorer.restore_file(f["image"], f["name"], f["name"])[0] for f in files]
    return [*files, {"name": "bad.png", "image": b"junk"}], alone


def test_tables(cluster, tmp_path):
    files, alone = table_rows()
    for row in files[:5]:
        row["year"] = 1900
    files[5]["year"] = 1950
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(files), folder / "photos.parquet", row_group_size=4)
    options = dict(image="image", name="name", model=SMALL, detector=None, progress=False)
    summary = pentimento.ray.restore(folder, out, concurrency=1, **options)
    assert (summary.restored, summary.failed) == (5, 1), str(summary)
    parts = [pq.read_table(out / f"photos-0000{part}.parquet").to_pylist() for part in (0, 1)]
    assert [len(part) for part in parts] == [4, 2]
    table = parts[0] + parts[1]
    assert [row["restored"] for row in table] == [*alone, None]
    assert [row["year"] for row in table] == [1900] * 5 + [1950]
    assert table[5]["status"] == "failed" and "bad.png" in table[5]["error"]
    manifest = pq.read_table(out / "_pentimento/manifest.parquet")
    assert manifest.num_rows == 6
    again = pentimento.ray.restore(folder, out, concurrency=1, **options)
    assert (again.restored, again.kept, again.failed) == (0, 5, 1), str(again)


def test_a_pipeline_of_ones_own(cluster):
    files, alone = table_rows()
    options = dict(name="name", model=SMALL.read_bytes())
    done = ray.data.from_items(files).map_batches(
        pentimento.ray.RestoreBatch, fn_constructor_kwargs=options, batch_size=2, concurrency=1
    )
    table = sorted(done.take_all(), key=lambda row: row["name"])
    assert [row["restored"] for row in table[:5]] == alone
    assert table[5]["restored"] is None and "bad.png" in table[5]["error"]


def test_what_makes_no_sense_is_refused(cluster, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    options = dict(model=SMALL, detector=None, progress=False)
    with pytest.raises(FileNotFoundError, match="no picture"):
        pentimento.ray.restore(folder, tmp_path / "out", **options)
    with pytest.raises(FileNotFoundError, match="missing"):
        pentimento.ray.restore(tmp_path / "missing", tmp_path / "out", **options)
    image.fromarray(picture(1)).save(folder / "a.png")
    with pytest.raises(ValueError, match="the source itself"):
        pentimento.ray.restore(folder, folder, force=True, **options)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="force=True"):
        pentimento.ray.restore(folder, tmp_path / "full", **options)
    # What the sentence advises.
    assert pentimento.ray.restore(folder, tmp_path / "full", force=True, **options).restored == 1


def test_the_command(cluster, tmp_path):
    folder, out = tmp_path / "album", tmp_path / "out"
    folder.mkdir()
    image.fromarray(picture(1)).save(folder / "a.png")
    command = [sys.executable, "-m", "pentimento.ray", str(folder), "-o", str(out)]
    command += ["--address", cluster.address, "--model", str(SMALL), "--aligned"]
    command += ["--report", str(tmp_path / "report.parquet"), "--concurrency", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("1 restored in "), done.stdout
    assert list(results(out)) == ["a.png"]
    assert pq.read_table(tmp_path / "report.parquet").num_rows == 1
