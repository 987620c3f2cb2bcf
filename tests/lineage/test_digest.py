"""A model's digest says which files it has, under which names, and nothing else."""

import hashlib
import os
import socket

import pytest

from letterlock.errors import InputError
from letterlock.lineage.digest import Weights, digest_of


@pytest.fixture
def model(tmp_path):
    """Give a folder with two files, one in a folder of its own."""
    folder = tmp_path / "model"
    (folder / "part").mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"abc")
    (folder / "part" / "config.json").write_bytes(b"{}")
    return folder


def test_the_digest_is_what_the_specification_says(model):
    """It is written out here by hand, in plain JSON."""
    config, weights = (hashlib.sha256(data).hexdigest() for data in (b"{}", b"abc"))
    text = f'[["part/config.json",2,"{config}"],["weights.safetensors",3,"{weights}"]]'
    assert digest_of(model) == Weights(hashlib.sha256(text.encode()).hexdigest(), 2, 5)


def test_only_files_and_their_names_count(model, tmp_path):
    """Another place, another time and an empty folder are the same model."""
    before = digest_of(model)
    (model / "empty").mkdir()
    os.utime(model / "weights.safetensors", (1, 1))
    moved = model.rename(tmp_path / "elsewhere")
    assert digest_of(moved) == before


@pytest.mark.parametrize("change", ["renamed", "moved", "longer", "other", "one more"])
def test_every_change_is_another_model(model, change):
    """A name, a place, a byte and a file more are told apart."""
    before = digest_of(model).digest
    weights = model / "weights.safetensors"
    if change == "renamed":
        weights.rename(model / "weights.bin")
    elif change == "moved":
        weights.rename(model / "part" / "weights.safetensors")
    elif change == "longer":
        weights.write_bytes(b"abcd")
    elif change == "other":
        weights.write_bytes(b"abd")
    else:
        (model / "more").write_bytes(b"")
    assert digest_of(model).digest != before


def test_what_is_no_file_is_refused(model):
    """A link could lead anywhere, and a socket has no bytes."""
    link = model / "link"
    link.symlink_to("weights.safetensors")
    with pytest.raises(InputError, match="link"):
        digest_of(model)
    link.unlink()
    link.symlink_to("part", target_is_directory=True)
    with pytest.raises(InputError, match="link"):
        digest_of(model)
    link.unlink()
    here = os.getcwd()  # noqa: PTH109 - a socket's path is short, so it is bound from within
    os.chdir(model)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        os.chdir(here)
        with pytest.raises(InputError, match="none of them"):
            digest_of(model)


def test_no_folder_no_files_and_no_names_are_refused(tmp_path):
    """Each of them says which."""
    with pytest.raises(InputError, match="No such file"):
        digest_of(tmp_path / "nothing")
    with pytest.raises(InputError, match="no file in it"):
        digest_of(tmp_path)
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    with pytest.raises(InputError, match="is text"):
        digest_of(tmp_path)
