import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import pentimento

ROOT = pathlib.Path(__file__).resolve().parents[3]
SMALL = ROOT / "tests/goldens/mmrbnet/default_32/checkpoint.safetensors"


def picture(seed, height=32, width=32, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture()
def restorer():
    with pentimento.Restorer(SMALL, device="cpu") as restorer:
        yield restorer


def tensors():
    """The small model's tensors as numpy arrays, and its metadata."""
    data = SMALL.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    arrays = {
        name: np.frombuffer(
            data[8 + length + entry["data_offsets"][0] : 8 + length + entry["data_offsets"][1]],
            {"F32": np.float32, "F16": np.float16, "I64": np.int64}[entry["dtype"]],
        ).reshape(entry["shape"])
        for name, entry in header.items()
    }
    return arrays, metadata


def test_an_array_becomes_an_array_of_its_own(restorer):
    face = picture(1)
    restored = restorer.restore(face)
    assert restored.shape == (32, 32, 3) and restored.dtype == np.uint8
    assert (restored == restorer.restore(face)).all(), "the same picture gave another result"
    assert (restored != face).any()
    restored[0, 0] = 0


def test_strides_and_transparency(restorer):
    face = picture(2)
    expected = restorer.restore(face)
    assert (restorer.restore(face[:, ::-1][:, ::-1]) == expected).all()
    assert (restorer.restore(np.asfortranarray(face)) == expected).all()
    alpha = picture(3, channels=1)
    restored = restorer.restore(np.concatenate([face, alpha], 2))
    assert (restored[..., :3] == expected).all() and (restored[..., 3:] == alpha).all()


def test_pil_images(restorer):
    image = pytest.importorskip("PIL.Image")
    face = picture(4)
    restored = restorer.restore(image.fromarray(face))
    assert restored.mode == "RGB" and restored.size == (32, 32)
    assert (np.asarray(restored) == restorer.restore(face)).all()
    gray = image.fromarray(face[..., 0])
    assert restorer.restore(gray).mode == "RGB"


def test_files_have_the_formats_of_the_command_line(restorer):
    image = pytest.importorskip("PIL.Image")
    features = pytest.importorskip("PIL.features")
    for kind in ("webp", "avif"):
        if not features.check(kind):
            pytest.skip(f"this Pillow writes no {kind}")
        data = io.BytesIO()
        image.fromarray(picture(8)).save(data, kind, quality=80)
        result, about = restorer.restore_file(data.getvalue(), f"a.{kind}", "a.webp", quality=80)
        assert about["input_size"] == (32, 32) and about["notes"] == []
        assert result[12:16] == b"VP8 ", "a lossy picture of a quality"


def test_batches_and_progress(restorer):
    faces = [picture(5), picture(6, 40, 50), picture(7)]
    told = []
    restored = restorer.restore_batch(faces, progress=told.append)
    assert [r.shape for r in restored] == [(32, 32, 3)] * 3
    assert (restored[2] == restorer.restore(faces[2])).all()
    assert told == sorted(told) and told[0] == 0 and told[-1] == 1
    assert restorer.restore_batch([]) == []


def test_what_progress_raises_is_raised(restorer):
    def stops(done):
        if done > 0.5:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        restorer.restore(picture(8), progress=stops)
    restorer.restore(picture(8))


def test_a_callback_that_calls_back_is_refused(restorer):
    with pytest.raises(pentimento.PentimentoError, match="at work"):
        restorer.restore(picture(9), progress=lambda _: restorer.restore(picture(9)))


def test_bad_input_is_an_error(restorer, tmp_path):
    for wrong in [
        picture(1).astype(np.float32),
        picture(1)[..., 0],
        picture(1)[..., :2],
        np.zeros((0, 5, 3), np.uint8),
    ]:
        with pytest.raises(ValueError):
            restorer.restore(wrong)
    with pytest.raises(TypeError):
        restorer.restore("face.png")
    with pytest.raises(FileNotFoundError):
        pentimento.Restorer(tmp_path / "missing.pth")
    with pytest.raises(pentimento.PentimentoError):
        pentimento.Restorer(b"junk")
    with pytest.raises(pentimento.PentimentoError, match="no device"):
        pentimento.Restorer(SMALL, device="abacus")
    for options in [{"precision": "f64"}, {"which": "none"}, {"scale": 2}, {"detector": SMALL}]:
        with pytest.raises(ValueError):
            pentimento.Restorer(SMALL, device="cpu", **options)


DETECTOR = ROOT / "weights/face-detector.safetensors"


# The sentences of tests/photo/front_door.rs.
@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"background": SMALL}, "background needs a detector, or faces that are given"),
        ({"scale": 2}, "scale needs a detector, or faces that are given"),
        (
            {"parser": SMALL, "strength": 0.5},
            "parser and strength need a detector, or faces that are given",
        ),
        ({"detector": SMALL}, "MMRB-Net finds no faces; use a detector"),
        (
            {"detector": "default", "background": SMALL},
            "MMRB-Net enlarges no pictures; use an upscaling model as background",
        ),
        (
            {"detector": "default", "parser": SMALL},
            "MMRB-Net does not say what a face's pixels show; use a parser",
        ),
        (
            {"detector": "default", "scale": 9},
            "strength and grain lie between 0 and 1, the scale between 1 and 4",
        ),
        (
            {"model": DETECTOR},
            "YuNet looks at pictures, it does not restore any; use another model",
        ),
    ],
)
def test_what_does_not_fit_is_said_at_once(options, sentence):
    with pytest.raises(ValueError) as raised:
        pentimento.Restorer(**{"model": SMALL, "device": "cpu", **options})
    assert str(raised.value) == sentence


def test_a_closed_restorer_says_so():
    with pentimento.Restorer(SMALL.read_bytes(), device="cpu") as restorer:
        assert not restorer.closed
        assert restorer.architecture == "MMRB-Net" and restorer.device.startswith("CPU")
    assert restorer.closed
    with pytest.raises(ValueError, match="closed"):
        restorer.restore(picture(1))
    restorer.close()


def test_other_threads_run_meanwhile():
    done = threading.Event()
    seen = []

    def look():
        while not done.wait(0.001):
            seen.append(time.monotonic())

    thread = threading.Thread(target=look)
    thread.start()
    start = time.monotonic()
    pentimento.restore(picture(1, 256, 256), device="cpu")
    end = time.monotonic()
    done.set()
    thread.join()
    inside = [start, *(at for at in seen if start < at < end), end]
    # Had the work kept the interpreter to itself, there would be one pause as long as it took.
    assert max(np.diff(inside)) < (end - start) / 2


def test_the_models_inside_of_the_package_and_devices():
    restored = pentimento.restore(picture(1, 64, 64), device="cpu")
    assert restored.shape == (256, 256, 3)
    assert pentimento.devices()[-1]["kind"] == "cpu"


def test_numpy_state_dict(restorer):
    face = picture(10)
    state, metadata = tensors()
    state["num_batches_tracked"] = np.array(3)
    with pentimento.from_state_dict(state, metadata=metadata, device="cpu") as other:
        assert (other.restore(face) == restorer.restore(face)).all()
    with pytest.raises(pentimento.PentimentoError, match="no known architecture"):
        pentimento.from_state_dict(state, device="cpu")
    with pytest.raises(ValueError, match="complex64"):
        pentimento.from_state_dict({"a": np.zeros(3, np.complex64)})


def test_torch_state_dict(restorer):
    torch = pytest.importorskip("torch")
    face = picture(11)
    arrays, metadata = tensors()
    state = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
    with pentimento.from_state_dict(state, metadata=metadata, device="cpu") as other:
        assert (other.restore(face) == restorer.restore(face)).all()
    halves = {name: value.to(torch.bfloat16) for name, value in state.items()}
    rounded = {name: value.to(torch.float32) for name, value in halves.items()}
    results = []
    for values in (halves, rounded):
        with pentimento.from_state_dict(values, metadata=metadata, device="cpu") as other:
            results.append(other.restore(face))
    assert (results[0] == results[1]).all()


def test_a_torch_module_is_recognised_from_its_tensors():
    torch = pytest.importorskip("torch")
    # SRVGGNetCompact of Real-ESRGAN: three convolutions and two PReLUs, which double a picture.
    layers = [torch.nn.Conv2d(3, 8, 3, 1, 1), torch.nn.PReLU(8)]
    layers += [torch.nn.Conv2d(8, 8, 3, 1, 1), torch.nn.PReLU(8), torch.nn.Conv2d(8, 12, 3, 1, 1)]
    module = torch.nn.Module()
    module.body = torch.nn.ModuleList(layers)
    with pentimento.from_state_dict(module.state_dict(), device="cpu") as restorer:
        small = picture(12, 10, 14)
        large = restorer.restore(small)
    x = torch.from_numpy(small.copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        out = x
        for layer in layers:
            out = layer(out)
        out = torch.nn.functional.pixel_shuffle(out, 2)
        out = out + torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")
    expected = (out[0].permute(1, 2, 0).clamp(0, 1) * 255).round().numpy()
    assert large.shape == (20, 28, 3) and abs(large - expected).max() <= 1


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_control_c_stops_the_work():
    code = (
        "import numpy, os, pentimento, signal\n"
        "def press(done):\n"
        "    if done > 0.3: os.kill(os.getpid(), signal.SIGINT)\n"
        f"pentimento.restore(numpy.zeros((32, 32, 3), 'uint8'), {str(SMALL)!r}, device='cpu',"
        " progress=press)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode in (-signal.SIGINT, 130) and "KeyboardInterrupt" in result.stderr


@pytest.mark.parametrize("detector", ["default", "yunet_n.pth"])
def test_whole_photos(detector):
    shared = os.environ.get("PENTIMENTO_SHARED")
    if not shared:
        pytest.skip("PENTIMENTO_SHARED does not name the folder with detectors and photos")
    if detector != "default":
        detector = pathlib.Path(shared, "models", detector)
    image = pytest.importorskip("PIL.Image")
    photo = sorted(pathlib.Path(shared, "data/photos").glob("*.jpg"))[0]
    photo = np.asarray(image.open(photo).convert("RGB").resize((512, 512)))
    with pentimento.Restorer(detector=detector, device="cpu", scale=2) as restorer:
        restored = restorer.restore(photo)
        assert restored.shape == (1024, 1024, 3)
        (face,) = restorer.faces
    assert face["restored"] and face["skipped"] is None and not face["printed"]
    assert len(face["landmarks"]) == 5
