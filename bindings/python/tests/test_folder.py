"""examples/folder.py against the command line, where PENTIMENTO_PROGRAM names that."""

import os
import subprocess
import sys

import numpy as np
import pytest

from test_pentimento import ROOT, SMALL, picture

image = pytest.importorskip("PIL.Image")


def test_a_folder_equals_the_command_line(tmp_path):
    program = os.environ.get("PENTIMENTO_PROGRAM")
    if not program:
        pytest.skip("PENTIMENTO_PROGRAM does not name the command line's program")
    album, own, line = tmp_path / "album", tmp_path / "own", tmp_path / "line"
    album.mkdir()
    for seed, size in enumerate([(32, 32), (41, 40), (64, 64)]):
        image.fromarray(picture(seed, *size)).save(album / f"{seed}.ppm")
    example = [sys.executable, str(ROOT / "examples/folder.py"), str(album), str(own)]
    subprocess.run([*example, "--model", str(SMALL), "--device", "cpu"], check=True)
    options = ["--model", str(SMALL), "--device", "cpu", "--aligned", "--quiet"]
    subprocess.run([program, "restore", str(album), "-o", str(line), *options], check=True)
    names = sorted(path.name for path in own.iterdir())
    assert names == ["0.ppm", "1.ppm", "2.ppm"]
    for name in names:
        # Behind the header, which says the same in other words, the files are bytes of pixels.
        pixels = [np.asarray(image.open(folder / name)).tobytes() for folder in (own, line)]
        ends = [(folder / name).read_bytes()[-len(pixels[0]) :] for folder in (own, line)]
        assert pixels == ends and ends[0] == ends[1], name
    assert np.asarray(image.open(own / "0.ppm")).shape == (32, 32, 3)
