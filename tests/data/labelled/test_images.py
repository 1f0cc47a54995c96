import io
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harmonia.core.errors import InputError, MissingExtraError
from harmonia.data.labelled import open_labelled
from harmonia.data.labelled.images import read_image, read_image_folder, read_image_table

Image = pytest.importorskip("PIL.Image")
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 6, 8, 3), np.uint8)


def png(pixels, mode=None, **options):
    out = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(out, "PNG", **options)
    return out.getvalue()


RAW = [png(pixels) for pixels in PIXELS]


def fill(root, layout):
    for name, raw in layout.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return root


def test_pixels_come_back_channels_first():
    assert np.array_equal(read_image(RAW[0], "a"), PIXELS[0].transpose(2, 0, 1))
    grey = read_image(RAW[0], "a", grey=True)
    weights = PIXELS[0] @ np.array([0.299, 0.587, 0.114])
    assert grey.shape == (1, 6, 8) and np.abs(grey[0] - weights).max() <= 1
    assert read_image(png(PIXELS[0, :, :, 0]), "a").shape == (1, 6, 8)
    assert read_image(png(PIXELS[0, :, :, 0]), "a", grey=False).shape == (3, 6, 8)


def test_resizing_cuts_out_the_middle():
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 200
    assert (read_image(png(wide), "a", size=4) == 200).all()
    smooth = read_image(png(np.full((40, 40), 77, np.uint8)), "a", size=7)
    assert smooth.shape == (1, 7, 7) and (smooth == 77).all()


def test_what_is_transparent_is_white():
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    found = read_image(png(pixels), "a")
    assert found[:, 0, 0].tolist() == [10, 20, 30] and (found[:, 1] == 255).all()


def test_images_that_cannot_be_used():
    with pytest.raises(InputError, match="where: not a readable image .*; mend it or leave it out"):
        read_image(b"GIF89a nothing", "where")
    with pytest.raises(InputError, match="where: not a readable image"):
        read_image(RAW[0][:60], "where")
    with pytest.raises(InputError, match=r"where: has more than 8 bits per channel \(mode I;16\); convert it to 8"):
        read_image(png(np.full((3, 3), 4000, np.uint16)), "where")


def test_without_pillow_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"PIL is not installed; install it with: pip install 'harmonia\[fed"):
        read_image(RAW[0], "a")


def test_a_folder_per_class(tmp_path):
    fill(tmp_path, {f"{'cat' if i % 2 else 'dog'}/{i}.png": raw for i, raw in enumerate(RAW)} | {"cat/notes.txt": b"x"})
    data = open_labelled(tmp_path, test_share=0.34)
    assert data.kind == "image" and data.classes == ("cat", "dog") and data.train.inputs.shape == (8, 3, 6, 8)
    assert np.bincount(data.test.labels).tolist() == [2, 2] and not data.train.columns
    for image, label in zip(data.train.inputs, data.train.labels, strict=True):
        place = int(np.flatnonzero((PIXELS.transpose(0, 3, 1, 2) == image).all(axis=(1, 2, 3)))[0])
        assert data.classes[label] == ("cat" if place % 2 else "dog")
    small = open_labelled(tmp_path, size=4, test_share=0.34)
    assert small.train.inputs.shape == (8, 3, 4, 4) and np.array_equal(small.train.labels, data.train.labels)


def test_names_of_files_decide_nothing(tmp_path):
    one = fill(tmp_path / "a", {f"{'cat' if i % 2 else 'dog'}/{i}.png": raw for i, raw in enumerate(RAW)})
    two = fill(tmp_path / "b", {f"{'cat' if i % 2 else 'dog'}/{99 - i}.PNG": raw for i, raw in enumerate(RAW)})
    assert open_labelled(one).fingerprint() == open_labelled(two).fingerprint()


def test_domains_and_parts_by_folder(tmp_path):
    layout = {f"{'photo' if i < 6 else 'sketch'}/{'cat' if i % 2 else 'dog'}/{i}.png": r for i, r in enumerate(RAW)}
    fill(tmp_path / "plain", layout)
    data = open_labelled(tmp_path / "plain")
    assert sorted(np.r_[data.train.columns["domain"], data.test.columns["domain"]]) == ["photo"] * 6 + ["sketch"] * 6
    fill(tmp_path / "told", {f"{'test' if i in (2, 5) else 'train'}/{n}": r for i, (n, r) in enumerate(layout.items())})
    told = open_labelled(tmp_path / "told")
    assert len(told.test) == 2 and set(told.test.columns["domain"]) == {"photo"}


def test_a_grey_image_among_coloured_ones_gets_three_channels(tmp_path):
    fill(tmp_path, {"a/1.png": RAW[0], "b/2.png": png(PIXELS[1, :, :, 0])})
    data = read_image_folder(tmp_path, test_share=0)
    grey = data.train.subset(np.flatnonzero(data.train.labels == 1)).inputs[0]
    assert grey.shape == (3, 6, 8) and np.array_equal(grey[0], PIXELS[1, :, :, 0]) and (grey[0] == grey[2]).all()
    assert read_image_folder(tmp_path, test_share=0, grey=True).train.inputs.shape == (2, 1, 6, 8)


@pytest.mark.parametrize(
    "layout, message",
    [
        ({"1.png": RAW[0]}, r"1\.png: lies at no class; expected class/name\.png or domain/class/name\.png"),
        ({"a/b/c/1.png": RAW[0]}, r"1\.png: lies at no class"),
        ({"a/1.png": RAW[0], "b/c/2.png": RAW[1]}, r"2\.png: lies 2 folders deep, .*1\.png 1; make all"),
        ({"a/1.png": RAW[0], "b/2.png": b"x"}, r"b/2\.png: not a readable image"),
        ({"a/1.png": RAW[0], "b/2.png": png(PIXELS[0, :4])}, r"b/2\.png: is 4 x 8, .*a/1\.png 6 x 8; .* --size"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, layout, message):
    with pytest.raises(InputError, match=message):
        open_labelled(fill(tmp_path, layout))


def test_the_folder_is_the_label_and_an_empty_one_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no image; expected class/name\.png"):
        read_image_folder(tmp_path)
    fill(tmp_path, {"a/1.png": RAW[0]})
    with pytest.raises(InputError, match="the folder of an image is its label; leave out --label"):
        open_labelled(tmp_path, label="x")


@pytest.mark.parametrize("nested", [False, True])
def test_a_table_of_images(tmp_path, nested):
    cells = [{"bytes": raw, "path": f"{i}.png"} for i, raw in enumerate(RAW)] if nested else RAW
    names = ["cat" if i % 2 else "dog" for i in range(12)]
    domains = pa.array([f"d{i % 3}" for i in range(12)]).dictionary_encode()
    columns = {"jpeg": cells, "label": names, "domain": domains, "split": ["train"] * 9 + ["test"] * 3}
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    data = open_labelled(tmp_path / "d.parquet")
    assert data.kind == "image" and len(data.test) == 3 and list(data.train.columns) == ["domain"]
    fill(tmp_path / "folder", {f"{name}/{i}.png": raw for i, (name, raw) in enumerate(zip(names, RAW, strict=True))})
    both = np.concatenate([data.train.inputs, data.test.inputs])
    other = read_image_folder(tmp_path / "folder", test_share=0).train.inputs
    assert sorted(map(bytes, both)) == sorted(map(bytes, other))


def test_tables_that_cannot_be_used(tmp_path):
    def write(cells):
        pq.write_table(pa.table({"image": cells, "label": [0, 1]}), tmp_path / "d.parquet")
        return tmp_path / "d.parquet"

    with pytest.raises(InputError, match=r"d\.parquet row 2: 'image': not a readable image"):
        open_labelled(write([RAW[0], b"no"]))
    with pytest.raises(InputError, match=r"d\.parquet row 2: 'image' holds no bytes; embed the image"):
        open_labelled(write([{"bytes": RAW[0], "path": "a"}, {"bytes": None, "path": "b"}]))
    with pytest.raises(InputError, match=r"d\.parquet row 2: is 4 x 8, .*d\.parquet row 1 6 x 8"):
        open_labelled(write([RAW[0], png(PIXELS[0, :4])]))
    with pytest.raises(InputError, match=r"no column of image bytes \(it has: image, label\)"):
        read_image_table(str(write([1, 2])))
