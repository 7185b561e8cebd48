"""The album of the long tests: photos of one small face, some of them broken, and what the command
line makes of it."""

import io
import json
import os
import pathlib
import subprocess
import time

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
POISON = "poison.png"
# One of this many pictures is broken.
BROKEN = 20
# Rows and columns of the photos in docs/whole-photo.jpg, and a photo's side in pixels.
FACES, SIDE = [(0, 0), (0, 1), (1, 1), (1, 0), (3, 0), (2, 1)], 320


def small_network():
    """The bytes of a network that takes a millisecond and that a photo accepts: the golden network of
    32 pixels, whose result is now the face with a twentieth of what it computes added."""
    data = (ROOT / "tests/goldens/mmrbnet/default_32/checkpoint.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, values = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    config = json.loads(header["__metadata__"]["config"])
    header["__metadata__"]["config"] = json.dumps({**config, "input_skip": True})
    for name, tensor in header.items():
        if name.endswith((".to_rgb.weight", ".to_rgb.bias")):
            start, end = tensor["data_offsets"]
            part = np.frombuffer(values[start:end], np.float32) * np.float32(0.05)
            values[start:end] = part.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(values)


def make_album(folder, count, poison=True, size=None):
    """``count`` photos that differ, of three formats in ten folders. Every twentieth is broken, and
    the last one is POISON. With a ``size``, JPEG files of so many columns and rows, all whole. How
    many are whole, without that one."""
    faces, broken = _faces(), 0
    for i in range(count - poison):
        path = folder / f"{i % 10}" / f"{i:05}.{'jpg' if size else ['png', 'jpg', 'ppm'][i % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = _large_photo(faces, i, size) if size else _photo(faces, i, path.suffix)
        if i % BROKEN == 7 and not size:
            data = _broken(data, broken)
            broken += 1
        path.write_bytes(data)
    if poison:
        (folder / POISON).write_bytes(_photo(faces, count, ".png"))
    return count - poison - broken


def _faces():
    """Photos of one face each. PENTIMENTO_PHOTO names another one."""
    given = os.environ.get("PENTIMENTO_PHOTO")
    if given:
        with Image.open(given) as photo:
            return [photo.convert("RGB")]
    with Image.open(ROOT / "docs/whole-photo.jpg") as photo:
        places = [(SIDE * x, SIDE * y, SIDE * (x + 1), SIDE * (y + 1)) for x, y in FACES]
        return [photo.convert("RGB").crop(place) for place in places]


def _photo(faces, i, suffix):
    face = faces[i % len(faces)].copy()
    face.thumbnail((88, 88))
    photo = Image.new("RGB", (104 + 8 * (i % 3), 112), (i % 256, 99, 120))
    photo.paste(face, (i // 6 % 17, i // 100 % 25))
    data = io.BytesIO()
    photo.save(data, {".png": "png", ".jpg": "jpeg", ".ppm": "ppm"}[suffix])
    return data.getvalue()


def _large_photo(faces, i, size):
    """A photo of a camera's size: one face before something that is out of focus, with grain."""
    chance = np.random.default_rng(i)
    behind = chance.integers(40, 200, (6, 8, 3), np.uint8)
    photo = Image.fromarray(behind).resize(size, Image.Resampling.BICUBIC)
    face = faces[i % len(faces)]
    room = [side - SIDE for side in size]
    photo.paste(face, tuple(int(chance.integers(0, most)) for most in room))
    grain = chance.normal(0, 4, (size[1], size[0], 1))
    photo = Image.fromarray(np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8))
    data = io.BytesIO()
    photo.save(data, "jpeg", quality=92)
    return data.getvalue()


def _broken(data, kind):
    return [b"this is no picture", b"", data[: len(data) // 3], data[:4] + bytes(64)][kind % 4]


def results(folder):
    """The bytes of all files of a folder but the hidden and the program's own, by their names."""
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {n.as_posix(): (folder / n).read_bytes() for n in names if n.parts[0][0] not in "._"}


class Line:
    """What the command line makes of an album: results, and what became of each picture."""

    def __init__(self, source, out, network):
        report = out.with_suffix(".json")
        if not report.exists():
            # Where other work takes turns, several threads wait for each other with such a network.
            os.environ["RAYON_NUM_THREADS"] = "1"
            run_line(source, out, "--model", network, "--report", report)
            del os.environ["RAYON_NUM_THREADS"]
        self.results = results(out)
        self.results.pop(POISON, None)
        pictures = json.loads(report.read_text())["pictures"]
        self.ends = {os.path.relpath(p["input"], source): end_of(p, p["input"]) for p in pictures}
        self.ends[POISON] = "killed"

    def check(self, rows, found, root):
        """Compares with it the manifest and the results of an album below ``root``."""
        names = [row["input"] for row in rows]
        assert len(names) == len(set(names)) == len(self.ends), (len(names), len(self.ends))
        for row in rows:
            name = row["input"][len(root) :].strip("/")
            if name == POISON:
                assert (row["status"], row["attempts"]) == ("killed", 2), row
                continue
            ended = end_of(row, row["input"])
            assert ended == self.ends[name], f"{name}: {ended}, not {self.ends[name]}"
        assert found.keys() == self.results.keys(), found.keys() ^ self.results.keys()
        differ = [name for name in found if found[name] != self.results[name]]
        assert not differ, f"{len(differ)} results differ, as {differ[0]}"


def end_of(picture, name):
    """What became of a picture, as its row and the report both tell it: its error without its name
    and without advice, or its sizes and faces."""
    if picture.get("error"):
        return picture["error"].replace(name, "").partition(";")[0]
    faces = [(np.float32(face["score"]), face.get("skipped")) for face in picture["faces"] or []]
    return picture["input_size"], picture["output_size"], picture["copied"], faces


def run_line(source, out, *options, cores=None):
    """The command line's seconds for an album."""
    command = [os.environ["PENTIMENTO_PROGRAM"], "restore", source, "-o", out, "--quiet"]
    command += ["--device", "cpu", *options]
    if cores:
        command = ["taskset", "-c", cores, *command]
    start = time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL, check=False)
    assert ended.returncode in (0, 1), f"the command line ended with {ended.returncode}"
    return time.monotonic() - start
