"""Lays pictures out as a table: one row per folder, one column per file name.

    python tools/contact_sheet.py docs/first-light.png degraded restored original --below photo.png photo_x4.png

Needs Pillow. Pictures of one table are scaled to the same cell; those after `--below` follow in a
row of their own, as high as they are wide together with the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
GAP = 4


def pictures(folder: Path) -> dict[str, Path]:
    """Pictures of a folder by the part of their name before the first dot."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    return {p.name.split(".")[0]: p for p in files}


def table(folders: list[Path], columns: int, cell: int) -> Image.Image:
    """One row per folder, one column per name that all folders have."""
    rows = [pictures(folder) for folder in folders]
    names = [name for name in rows[0] if all(name in row for row in rows)][:columns]
    if not names:
        raise SystemExit("the folders have no picture in common")
    step = cell + GAP
    sheet = Image.new("RGB", (step * len(names) - GAP, step * len(rows) - GAP), "white")
    for y, row in enumerate(rows):
        for x, name in enumerate(names):
            picture = Image.open(row[name]).convert("RGB").resize((cell, cell), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x * step, y * step))
    return sheet


def row(files: list[Path], width: int) -> Image.Image:
    """Pictures side by side, together `width` wide, each enlarged without smoothing."""
    each = (width - GAP * (len(files) - 1)) // len(files)
    opened = [Image.open(file).convert("RGB") for file in files]
    height = max(each * p.height // p.width for p in opened)
    sheet = Image.new("RGB", (width, height), "white")
    for x, picture in enumerate(opened):
        filter_ = Image.Resampling.NEAREST if picture.width < each else Image.Resampling.LANCZOS
        scaled = picture.resize((each, each * picture.height // picture.width), filter_)
        sheet.paste(scaled, (x * (each + GAP), 0))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--cell", type=int, default=192, help="side of a picture in pixels")
    parser.add_argument("--below", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    sheet = table(args.folders, args.columns, args.cell)
    if args.below:
        below = row(args.below, sheet.width)
        both = Image.new("RGB", (sheet.width, sheet.height + 3 * GAP + below.height), "white")
        both.paste(sheet, (0, 0))
        both.paste(below, (0, sheet.height + 3 * GAP))
        sheet = both
    sheet.save(args.output, optimize=True)


if __name__ == "__main__":
    main()
