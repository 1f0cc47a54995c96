"""Images with labels: a folder per class, a folder per domain and class, or a table with a column of image files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.errors import InputError, require
from harmonia.data.labelled.examples import Labelled
from harmonia.data.labelled.held_out import Gathered, labelled, split_word, told_parts
from harmonia.data.labelled.read_table import gathered
from harmonia.data.labelled.table import Piece, Table

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")


def read_image(raw: bytes, where: str, size: int | None = None, grey: bool | None = None) -> np.ndarray:
    """Return an image file as numbers: (C, H, W) uint8, C = 1 grey or 3 RGB.

    Args:
        raw: a file of any format that Pillow reads. What is transparent is put on white.
        where: for messages.
        size: the sides of the result; the middle is cut out where they differ. None keeps them.
        grey: whether it becomes grey; None keeps what it is.

    Raises:
        InputError: it is no readable image, or has more than 8 bits per channel.
        MissingExtraError: Pillow is not installed.
    """
    require("PIL", "federate")
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(raw)) as file:
            image: Image.Image = ImageOps.exif_transpose(file)
            image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: not a readable image ({error}); mend it or leave it out") from error
    if image.mode.startswith(("I", "F")):
        raise InputError(f"{where}: has more than 8 bits per channel (mode {image.mode}); convert it to 8")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    coloured = image.mode not in ("1", "L", "LA") if grey is None else not grey
    image = image.convert("RGB" if coloured else "L")
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return _channels_first(image)


def read_image_folder(
    folder: str | Path,
    *,
    size: int | None = None,
    grey: bool | None = None,
    test_share: float = 0.2,
    seed: int = 0,
) -> Labelled:
    """Return the images of ``class/name.png`` or ``domain/class/name.png``, where the domain becomes a column.

    Folders ``train`` and ``test`` around them tell the parts.

    Args:
        folder: where.
        size: the sides of the images; None when all are alike.
        grey: whether they become grey; None for grey where none has colour.
        test_share: share held out, unless folders say what is the test set.
        seed: of what is held out.

    Raises:
        InputError: no image, an image at another depth than the first, one that cannot be read, or sizes that differ.
        MissingExtraError: Pillow is not installed.
    """
    root = Path(folder)
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in EXTENSIONS and _seen(file, root))
    if not files:
        raise InputError(f"{root}: no image; expected class/name.png or domain/class/name.png")
    inside = [file.relative_to(root).parts[:-1] for file in files]
    told = None
    if all(parts and split_word(parts[0]) for parts in inside):
        told = told_parts(np.array([parts[0] for parts in inside]))
        inside = [parts[1:] for parts in inside]
    depth = len(inside[0])
    for file, parts in zip(files, inside, strict=True):
        if len(parts) not in (1, 2):
            raise InputError(f"{file}: lies at no class; expected class/name.png or domain/class/name.png in {root}")
        if len(parts) != depth:
            raise InputError(
                f"{file}: lies {len(parts)} folders deep, {files[0]} {depth}; make all class/name.png or all "
                "domain/class/name.png"
            )
    content = [_bytes(file) for file in files]
    images = [read_image(raw, str(file), size, grey) for file, raw in zip(files, content, strict=True)]
    columns = {"domain": np.array([parts[0] for parts in inside])} if depth == 2 else {}
    labels = np.array([parts[-1] for parts in inside])
    inputs = _stacked(images, [str(file) for file in files])
    return labelled(Gathered(str(root), inputs, content, labels, columns, told), str(root), "image", test_share, seed)


def read_image_table(
    place: str,
    *,
    label: str | None = None,
    size: int | None = None,
    grey: bool | None = None,
    test_share: float = 0.2,
    seed: int = 0,
) -> Labelled:
    """Return images from a column of image files, plain bytes or the ``{bytes, path}`` of Hugging Face data sets.

    Every other column of text, integers or booleans becomes a column.

    Args:
        place: a file, folder, glob or URL of Parquet or Arrow.
        label: the label's column; None for one of the usual names.
        size: the sides of the images; None when all are alike.
        grey: whether they become grey; None for grey where none has colour.
        test_share: share held out, unless a column ``split`` or the names of files say what is the test set.
        seed: of what is held out.

    Raises:
        InputError: no image or label column, an image that cannot be read, or sizes that differ.
        MissingExtraError: Pillow is not installed.
    """
    table = Table(place, label)
    column = table.image()
    if column is None:
        raise InputError(f"{place}: no column of image bytes (it has: {', '.join(table.schema.names)})")
    images: list[np.ndarray] = []
    places: list[str] = []

    def read(piece: Piece) -> tuple[np.ndarray, list[bytes]]:
        raws = []
        for row, value in enumerate(piece.table[column].to_pylist()):
            raw = value.get("bytes") if isinstance(value, dict) else value
            where = piece.where(row)
            if raw is None:
                raise InputError(f"{where}: {column!r} holds no bytes; embed the image or leave the row out")
            images.append(read_image(raw, f"{where}: {column!r}", size, grey))
            places.append(where)
            raws.append(raw)
        return np.arange(len(raws))[:, None], raws

    found = gathered(table, [column], read)
    whole = Gathered(found.place, _stacked(images, places), found.content, found.labels, found.columns, found.told)
    return labelled(whole, place, "image", test_share, seed)


def _stacked(images: list[np.ndarray], places: list[str]) -> np.ndarray:
    """Return (n, C, H, W): grey images among coloured ones get three channels."""
    sides = images[0].shape[1:]
    for image, place in zip(images, places, strict=True):
        if image.shape[1:] != sides:
            raise InputError(
                f"{place}: is {image.shape[1]} x {image.shape[2]}, {places[0]} {sides[0]} x {sides[1]}; "
                "give them one size with --size"
            )
    channels = max(len(image) for image in images)
    found = np.empty((len(images), channels, *sides), np.uint8)
    for row, image in enumerate(images):
        found[row] = image
    return found


def _channels_first(image: Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from error


def _seen(file: Path, root: Path) -> bool:
    return file.is_file() and not any(part.startswith(".") for part in file.relative_to(root).parts)
