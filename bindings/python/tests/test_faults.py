"""System calls fail while the package restores: it raises an exception that names the cause, and the
same process restores the picture afterwards. A GPU that is lost leaves its place to the CPU.

As in tests/cli/faults.rs, some places of each sweep are taken, and all of them with
``PENTIMENTO_FAULTS=all``."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SMALL = ROOT / "tests/goldens/mmrbnet/default_32/checkpoint.safetensors"
SOME = 3

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the faults are Linux's")

# Prints a digest of the result, or the exception and then what another attempt comes to.
PROGRAM = """
import ctypes, hashlib, pathlib, sys
import numpy as np
import pentimento
picture = (np.arange(32 * 32 * 3) * 7 % 256).astype(np.uint8).reshape(32, 32, 3)
begin = getattr(ctypes.CDLL(None), "faults_begin", None)
if begin:
    begin()
for _ in range(2):
    try:
        with pentimento.Restorer("model.safetensors", device="cpu") as restorer:
            result = restorer.restore(picture)
        print("result", hashlib.sha256(result.tobytes()).hexdigest())
        break
    except (pentimento.PentimentoError, OSError, MemoryError, RuntimeError) as error:
        print("raised", type(error).__name__, error)
    sys.stdout.flush()
"""

LOST = """
import sys, warnings
import numpy as np
import pentimento
picture = (np.arange(32 * 32 * 3) * 7 % 256).astype(np.uint8).reshape(32, 32, 3)
expected = pentimento.restore(picture, sys.argv[1], device="cpu").astype(int)
device = sys.argv[2] if len(sys.argv) > 2 else None
def restored():
    with pentimento.Restorer(sys.argv[1], device=device) as restorer:
        result = restorer.restore(picture)
        assert abs(result.astype(int) - expected).max() <= 1
        return restorer.device
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        print("restored by", restored())
    except pentimento.DeviceLost as error:
        print("lost", error)
    for warning in caught:
        print(warning.category.__name__, warning.message)
print("then by", restored())
"""


def built(name, folder):
    library = folder / f"{name}.so"
    source = ROOT / "tools/faults" / f"{name}.c"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wl,-z,nodelete", "-o", library, source, "-ldl"]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler for what makes calls fail")
    return library


def run(program, *arguments, cwd, **variables):
    environment = {**os.environ, "RAYON_NUM_THREADS": "2", "NODEVICE_SELECT": "1", **variables}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env={name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        timeout=60,
    )


def note(kind, *counts):
    table = os.environ.get("PENTIMENTO_FAULTS_TABLE")
    if table:
        with open(table, "a") as file:
            file.write(f"| the Python package | {kind} | {' | '.join(map(str, counts))} | 0 | |\n")


@pytest.mark.parametrize("kind", ["eio", "eio+", "emfile", "eacces", "eintr", "memory", "thread"])
def test_a_failed_call_is_an_exception_and_the_process_goes_on(kind, tmp_path):
    library = built("faults", tmp_path)
    log = tmp_path / "met"
    work = tmp_path / "work"
    work.mkdir()
    (work / "model.safetensors").write_bytes(SMALL.read_bytes())
    expected = run(PROGRAM, cwd=work).stdout.splitlines()
    assert len(expected) == 1 and expected[0].startswith("result ")
    place, places, unharmed, said, ended = 1, 0, 0, 0, 0
    while True:
        log.unlink(missing_ok=True)
        done = run(
            PROGRAM,
            cwd=work,
            LD_PRELOAD=library,
            FAULTS=f"{kind}:{place}",
            FAULTS_UNDER=work,
            FAULTS_LOG=log,
            FAULTS_LATER=1,
        )
        if not log.exists():
            break
        what = f"{kind}:{place} ({log.read_text().strip()}): {done.stdout}{done.stderr}"
        places += 1
        lines = done.stdout.splitlines()
        assert all(line in expected or line.startswith("raised ") for line in lines), what
        assert "panicked" not in done.stderr, what
        if done.returncode == -signal.SIGABRT and kind == "memory":
            ended += 1
        elif done.returncode == 0 and lines == expected:
            unharmed += 1
        else:
            assert done.returncode == 0 and len(lines) == 2 and len(lines[0]) > 30, what
            assert kind.endswith("+") or lines[1:] == expected, what
            said += 1
        place += 1 if os.environ.get("PENTIMENTO_FAULTS") == "all" else 1 + place // SOME
    assert places > 0
    note(kind, places, unharmed, said, ended)


def test_the_cpu_takes_the_place_of_a_lost_gpu_unless_it_was_named(tmp_path):
    name = "a GPU with faults"
    layer = {
        "name": "VK_LAYER_PENTIMENTO_faults",
        "type": "GLOBAL",
        "library_path": str(built("vulkan", tmp_path)),
        "api_version": "1.3.0",
        "implementation_version": "1",
        "description": "fails calls",
    }
    manifest = {"file_format_version": "1.1.2", "layer": layer}
    (tmp_path / "faults.json").write_text(json.dumps(manifest))

    def lost(fault, *device):
        variables = {"VK_LAYER_PATH": tmp_path, "VK_INSTANCE_LAYERS": layer["name"], "FAULTS_GPU": fault}
        done = run(LOST, SMALL, *device, cwd=tmp_path, **variables)
        assert done.returncode == 0, f"{fault}: {done.stdout}{done.stderr}"
        return done.stdout.splitlines()

    if name not in lost("lost:0")[0]:
        pytest.skip("there is no Vulkan driver that runs on the CPU")
    for fault in ("lost:1", "lost-while-waiting:1", "device:1"):
        first, warning, then = lost(fault)
        assert first.startswith("restored by CPU"), first
        assert warning.startswith("RuntimeWarning ") and name in warning and "the CPU" in warning
        assert name in then, then
    said, then = lost("lost:1", "vulkan")
    assert said.startswith("lost ") and name in then, (said, then)
