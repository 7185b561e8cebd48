"""Restores the faces in a folder of pictures: folder.py IN OUT [--model M] [--detector D] …"""

import argparse
import pathlib

from PIL import Image, ImageOps

import pentimento

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--model", help="a .safetensors or .pth file")
    parser.add_argument("--detector", help="finds faces; without it, a picture is one aligned face")
    parser.add_argument("--device", help="by default the best GPU")
    arguments = parser.parse_args()

    arguments.output.mkdir(parents=True, exist_ok=True)
    paths = sorted(p for p in arguments.input.iterdir() if p.suffix.lower() in ENDINGS)
    failed = 0
    with pentimento.Restorer(
        arguments.model, detector=arguments.detector, device=arguments.device
    ) as restorer:
        print(f"{restorer.architecture} on {restorer.device}")
        for path in paths:
            try:
                with Image.open(path) as picture:
                    restored = restorer.restore(ImageOps.exif_transpose(picture))
                restored.save(arguments.output / path.name)
            except (OSError, ValueError, pentimento.PentimentoError) as error:
                print(f"{path}: {error}")
                failed += 1
            else:
                print(f"{path}: {restored.width}x{restored.height}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
