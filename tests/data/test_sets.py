"""Labelled folders, tables and .npz sets, and one clear line for each way to get them wrong."""

from __future__ import annotations

import os
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tinymnist import load_model
from tinymnist.data import load_set, pictures_in
from tinymnist.errors import InputError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a picture, for all we know")
    return folder


def write_table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "labels.csv").write_text(text, encoding=encoding)
    return folder


def test_a_folder_a_class(tmp_path: Path) -> None:
    labelled = load_set(touch(tmp_path, "3/b.png", "3/a.JPG", "7/deep/c.png", "9/notes.txt"))
    assert [path.name for path in labelled.images] == ["a.JPG", "b.png", "c.png"]
    assert labelled.labels.tolist() == [3, 3, 7]
    assert labelled.class_names == tuple("0123456789")
    assert labelled.files == labelled.images and not labelled.is_mnist


def test_classes_that_are_no_digits_are_sorted(tmp_path: Path) -> None:
    labelled = load_set(touch(tmp_path, "tick/a.png", "cross/b.png"))
    assert labelled.class_names == ("cross", "tick")
    assert labelled.labels.tolist() == [0, 1]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "3/a.png", "3/.b.png", ".git/c.png", "3/.thumbs/d.png")
    assert len(load_set(tmp_path).images) == 1


def test_what_a_mac_puts_into_a_zip_is_no_class(tmp_path: Path) -> None:
    touch(tmp_path, "tick/a.png", "cross/b.png", "__MACOSX/tick/._a.png", "__MACOSX/c.png")
    assert load_set(tmp_path).class_names == ("cross", "tick")


def test_files_that_are_no_pictures_by_name_are_told_of_once(tmp_path: Path) -> None:
    touch(tmp_path, "tick/a.png", "cross/b.png", "tick/c.HEIC", "tick/d.heic", "tick/e")
    touch(tmp_path, "tick/Thumbs.db", "tick/desktop.ini", "cross/notes.md", "cross/.f.xmp")
    with pytest.warns(UserWarning) as told:
        assert len(load_set(tmp_path).images) == 2
    assert [str(w.message) for w in told] == [
        f"{tmp_path / 'tick'}: 3 files are not pictures by name (.heic, no suffix): left out"
    ]


def test_a_set_of_nothing_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 file.*\(\.heic\)"):
        load_set(touch(tmp_path, "tick/a.heic"))


def test_no_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(touch(tmp_path, "tick/a.png"))
    assert len(load_set(".").images) == 1
    with pytest.raises(InputError, match="no set ''"):
        load_set("")


@pytest.mark.parametrize("name", ["", "tick", "labels.csv"])
def test_what_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Root may read everything, so the system is made to refuse."""
    touch(tmp_path, "tick/a.png")
    if name == "labels.csv":
        write_table(tmp_path, "file,label\ntick/a.png,3\n")
    locked = tmp_path / name

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: object, *more: Any, **named: Any) -> Any:
            if path == locked:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *more, **named)

        return call

    monkeypatch.setattr(Path, "iterdir", refusing(Path.iterdir))
    monkeypatch.setattr("os.scandir", refusing(os.scandir))
    monkeypatch.setattr("builtins.open", refusing(open))
    monkeypatch.setattr("os.open", refusing(os.open))
    with pytest.raises(InputError, match=r"cannot read.*Permission denied"):
        load_set(tmp_path)


def test_a_table_with_further_columns(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "sub/b.png")
    write_table(tmp_path, "label,file,pen\n 7 ,a.png,thin\n3.0,sub/b.png,\n", "utf-8-sig")
    labelled = load_set(tmp_path)
    assert labelled.labels.tolist() == [7, 3]
    assert labelled.columns == {"pen": ["thin", ""]}
    assert load_set(tmp_path / "labels.csv").labels.tolist() == [7, 3]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", "holds no pictures"),
        ("file,label\n", "holds no pictures"),
        ("picture,label\na.png,3\n", "no column file"),
        ("file;label\na.png;3\n", "no column file and label"),
        ("file,label\ngone.png,3\n", "'gone.png'"),
        ("file,label\n../outside.png,3\n", "outside of its folder"),
        ("file,label\na.png,3\na.png,4\n", "twice"),
        ("file,label\na.png,\n", "line 2 has no label"),
        ("file,label\na.png\n", "line 2 has no label"),
        (f"file,label\n{'x' * 300},3\n", "xxx"),
        ("file,label\na\0.png,3\n", "a.x00.png|NUL"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, table: str, complaint: str) -> None:
    folder = touch(tmp_path / "set", "a.png")
    touch(tmp_path, "outside.png")
    with pytest.raises(InputError, match=complaint):
        load_set(write_table(folder, table))


def pack(folder: Path, archive: Path, *, below: str = "") -> Path:
    """A .zip or .tar of what is in a folder."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for file in sorted(folder.rglob("*.*")):
                packed.write(file, below + file.relative_to(folder).as_posix())
    else:
        with tarfile.open(archive, "w") as packed_tar:
            packed_tar.add(folder, below or ".")
    return archive


@pytest.mark.parametrize(
    ("name", "below"), [("a.zip", ""), ("a.zip", "my/digits/"), ("a.tar", ""), ("a.tar", "digits")]
)
@pytest.mark.parametrize("table", ["", "file,label,kind\n7/b.png,3,ink\n3/a.png,7,pen\n"])
def test_an_archive_is_the_folder_in_it(tmp_path: Path, name: str, below: str, table: str) -> None:
    folder = touch(tmp_path / "in", "7/b.png", "3/a.png", "3/.c.png", "__MACOSX/3/d.png")
    if table:
        write_table(folder, table)
    packed = load_set(pack(folder, tmp_path / name, below=below))
    plain = load_set(folder)
    assert packed.labels.tolist() == plain.labels.tolist() and packed.columns == plain.columns
    names = [packed.name_of(number) for number in range(2)]
    assert [Path(file).name for file in names] == [file.name for file in plain.files]
    assert all(file.startswith(f"{tmp_path / name}/") for file in names) and not packed.files
    assert packed.images[0] == plain.files[0].read_bytes()


def test_an_archive_that_is_not_a_set_is_refused(tmp_path: Path) -> None:
    folder = touch(tmp_path / "in", "a.png", "notes.heic")
    with pytest.raises(InputError, match=r"a\.tar: is not a labelled set.*\.heic"):
        load_set(pack(folder, tmp_path / "a.tar"))
    write_table(folder, "file,label\n../b.png,3\n")
    with pytest.raises(InputError, match=r"labels\.csv: names a file that does not exist"):
        load_set(pack(folder, tmp_path / "a.tar"))
    damaged = pack(touch(tmp_path / "in", "3/b.png"), tmp_path / "a.zip")
    damaged.write_bytes(damaged.read_bytes().replace(b"a picture, for", b"a picture, FOR"))
    with pytest.raises(InputError, match=r"a\.zip/.*\.png: cannot be read: Bad CRC"):
        load_set(damaged)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00\xd8" * 5)
    with pytest.raises(InputError, match="cannot be read as a table"):
        load_set(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/3/xyz\.png"):
        load_set(tmp_path)
    with pytest.raises(InputError, match="holds no pictures"):
        pictures_in(tmp_path)


@pytest.mark.parametrize("labels", [[3, 1], np.array(["3", "1"])], ids=["numbers", "names"])
def test_an_npz(tmp_path: Path, labels: ArrayLike) -> None:
    np.savez(tmp_path / "s.npz", images=np.zeros((2, 16, 16), np.uint8), labels=labels)
    labelled = load_set(tmp_path / "s.npz")
    assert labelled.name == "s"
    assert isinstance(labelled.images, np.ndarray)
    assert labelled.images.shape == (2, 16, 16)
    assert labelled.labels.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"images": np.zeros((2, 8, 8))}, "no array labels"),
        ({"images": np.zeros((2, 8)), "labels": np.zeros(2, int)}, "images must be"),
        ({"images": np.zeros((0, 8, 8)), "labels": np.zeros(0, int)}, "images must be"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.zeros(3, int)}, "labels must be"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.zeros(2)}, "labels must be"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.array(["a", " "])}, "picture 1 has no label"),
        ({"images": np.array([{}, {}]), "labels": np.zeros(2, int)}, "Object arrays|pickle"),
    ],
)
def test_a_wrong_npz_is_refused(tmp_path: Path, arrays: dict[str, Any], complaint: str) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(InputError, match=complaint):
        load_set(tmp_path / "s.npz")


def test_names_in_an_npz_are_taken_as_in_a_table(tmp_path: Path) -> None:
    names = np.array(["cross ", "cross", " tick"])
    np.savez(tmp_path / "s.npz", images=np.zeros((3, 8, 8)), labels=names)
    assert load_set(tmp_path / "s.npz").class_names == ("cross", "tick")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_npz_is_refused(tmp_path: Path, save: Callable[..., None]) -> None:
    """Every byte of it, one after another: each is an honest set, or one clear error."""
    path = tmp_path / "s.npz"
    save(
        path,
        images=np.arange(8, dtype=np.uint8).reshape(2, 2, 2),
        labels=np.array([1, 2], np.uint8),
    )
    sound, refused = path.read_bytes(), 0
    for place in range(len(sound)):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0xFF]) + sound[place + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, of old headers
            try:
                load_set(path)
            except InputError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize("name", ["s.npy", "s.npz"])
def test_a_single_array_is_refused(tmp_path: Path, name: str) -> None:
    with open(tmp_path / name, "wb") as file:
        np.save(file, np.zeros((2, 8, 8)))
    with pytest.raises(InputError, match=r"single array; save images and labels with np\.savez"):
        load_set(tmp_path / name)


@pytest.mark.parametrize("name", ["s.npz", "photo.png", "photo.heic"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(InputError, match="not a set of pictures; expected a folder") as refusal:
        load_set(tmp_path / name)
    assert "pickle" not in str(refusal.value)


def test_an_unknown_set_lists_what_is_possible() -> None:
    with pytest.raises(InputError, match=r"mnist-test, mnist-train, .*a folder"):
        load_set("imagenet")


def test_real_sets(shared_folder: Path) -> None:
    own = load_set(shared_folder / "data" / "own")
    assert len(own.images) == 363
    assert len(set(own.columns["source"])) == 18
    assert len(load_set(shared_folder / "data" / "sets" / "usps_train.npz").labels) == 7291


def test_a_part_of_mnist_ships_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYMNIST_DATA", "nowhere")
    sample = load_set("mnist-sample")
    assert sample.is_mnist and np.asarray(sample.images).shape == (1000, 28, 28)
    assert np.bincount(sample.labels).tolist() == [100] * 10
    model = load_model("mlp")
    x = np.asarray(sample.images, np.float32)[:100, :, :, None] / 255
    assert (model.predict(x).argmax(axis=1) == sample.labels[:100]).mean() > 0.95
