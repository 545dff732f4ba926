"""Files of results are written whole or not at all, wherever somebody wants them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from results.files import write_at_once


def test_a_file_is_replaced_through_its_link(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "link").symlink_to("old")
    write_at_once(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "old").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "old"]


def test_a_device_is_written_into_and_stays_a_device() -> None:
    write_at_once(Path(os.devnull), b"heard by nobody")
    assert Path(os.devnull).is_char_device()


def test_a_disk_that_is_full_is_named() -> None:
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_at_once(Path("/dev/full"), b"too much")
    assert caught.value.filename == "/dev/full"


@pytest.mark.parametrize(
    ("place", "why"), [("", "Is a directory"), (".", "Is a directory"), ("no/where", "No such file")]
)
def test_what_cannot_be_written_is_named_as_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=why) as caught:
        write_at_once(Path(place), b"content")
    assert caught.value.filename == str(Path(place))
    assert not list(tmp_path.iterdir())
