"""Contact sheets: pictures in rows, with a word below each, as one HTML or PNG file."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from pipeline.errors import InputError
from pipeline.report.thumbnails import Read, Wanted, data_uri, make_thumbnails, webp
from pipeline.system.files import check_free, output_path
from pipeline.system.visible import told

SIDE, GAP, QUALITY = 160, 8, 80
MOST_PNG = 400
SUFFIXES = (".html", ".png")


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet: where it is, its content, and what to say of it."""

    path: str
    digest: bytes
    caption: str
    read: Read


def check_sheet(out: Path, overwrite: bool) -> None:
    """Refuse a place, or a suffix, where no sheet can be written; raises InputError."""
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"expected out that ends in .html or .png, received out={out}")
    check_free(out, overwrite)


def write_sheet(out: Path, rows: Sequence[Sequence[Tile]]) -> None:
    """Write a sheet; a picture that cannot be shown stays an empty place with its word.

    Args:
        out: File that ends in .html or .png.
        rows: Pictures from left to right, rows from above.
    """
    images = [[_small(tile) for tile in row] for row in rows]
    with output_path(out) as temporary:
        if out.suffix.lower() == ".png":
            _png(images, rows).save(temporary, "PNG")
        else:
            temporary.write_text(_html(images, rows), "utf-8")


def _small(tile: Tile) -> Image.Image | None:
    wanted = [Wanted(tile.path, tile.digest, (SIDE,))]
    ((small,),) = make_thumbnails(tile.read, wanted)
    return small.image


def _html(images: Sequence[Sequence[Image.Image | None]], rows: Sequence[Sequence[Tile]]) -> str:
    lines = []
    for row, tiles in zip(images, rows, strict=True):
        cells = []
        for image, tile in zip(row, tiles, strict=True):
            shown = "" if image is None else f'<img alt="" src="{data_uri(webp(image, QUALITY))}">'
            path, caption = html.escape(told(tile.path)), html.escape(told(tile.caption))
            word = f"<figcaption>{caption}</figcaption>"
            cells.append(f'<figure title="{path}">{shown}{word}</figure>')
        lines.append(f"<section>{''.join(cells)}</section>")
    style = (
        f"section{{display:flex;flex-wrap:wrap;gap:{GAP}px;border-bottom:1px solid #888}}"
        f"figure{{margin:{GAP}px;width:{SIDE}px;font:12px sans-serif;overflow-wrap:anywhere}}"
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Pictures</title>'
        f"<style>{style}</style><body>{''.join(lines)}</body></html>\n"
    )


def _png(
    images: Sequence[Sequence[Image.Image | None]], rows: Sequence[Sequence[Tile]]
) -> Image.Image:
    step, line = SIDE + GAP, SIDE + 3 * GAP
    n_columns = max(map(len, rows))
    if sum(map(len, rows)) > MOST_PNG:
        raise InputError(
            f"expected at most {MOST_PNG} pictures in a PNG, received {sum(map(len, rows))}: write "
            f"an .html file, or ask for fewer"
        )
    page = Image.new("RGB", (n_columns * step + GAP, len(rows) * line + GAP), "white")
    draw = ImageDraw.Draw(page)
    for y, (row, tiles) in enumerate(zip(images, rows, strict=True)):
        for x, (image, tile) in enumerate(zip(row, tiles, strict=True)):
            place = (x * step + GAP, y * line + GAP)
            if image is not None:
                page.paste(image, place)
            short = told(tile.caption).encode("latin-1", "replace").decode("latin-1")[:26]
            draw.text((place[0], place[1] + SIDE), short, fill="black")
    return page
