"""What every folder of results has in common: a manifest that is written last, and nothing that is half written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim.errors import RunError

DRAFT = ".tmp"
"""How the names of files end that are being written, or that nobody came to finish."""


def stated(folder: Path, manifest: str, versions: Sequence[int], what: str) -> dict[str, Any]:
    """What the manifest of a folder says, which makes it a ``what`` of a version that can be read, finished or not.

    versions: those of its format that are read, the newest last.  Raises ``RunError`` where it is none.
    """
    source = str(folder)
    if not folder.is_dir():
        raise RunError(source, "is a file, no folder" if folder.exists() else "there is no such folder")
    try:
        said = json.loads((folder / manifest).read_bytes())
    except FileNotFoundError:
        raise RunError(source, f"has no {manifest}: this is no {what} folder, or the {what} never finished") from None
    except OSError as error:
        raise RunError(source, f"{manifest} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(source, f"{manifest} is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise RunError(source, f"{manifest} is not an object")
    version = said.get("format")
    if version not in versions:
        known = f"{versions[0]} to {versions[-1]}" if len(versions) > 1 else f"{versions[0]}"
        newer = isinstance(version, int) and version > versions[-1]
        remedy = "; a newer degsim wrote it and can read it" if newer else ""
        raise RunError(source, f"{manifest} has format {version!r}, and this version reads {known}{remedy}")
    return said


def finished(folder: Path, manifest: str, versions: Sequence[int], what: str) -> dict[str, Any]:
    """As ``stated``; raises ``RunError`` also where the folder was never finished."""
    said = stated(folder, manifest, versions, what)
    if said.get("complete") is not True:
        raise RunError(str(folder), f"{manifest} does not say that the {what} is complete")
    return said


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_at_once(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Write under another name and rename, so that no reader ever sees half of it, and that several may write at once.

    It goes through a link, and into a device or a pipe as it comes.  lasting: it is on the disk before it is there for others;
    where it will be replaced in a moment, that would only cost time.  An ``OSError`` names the path.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            path.write_bytes(content)
        else:
            _write_beside(path.resolve(), content, lasting)
    except OSError as error:
        # Not the name of the draft, which nobody has heard of; that a disk is full is said without any.
        error.filename, error.filename2 = str(path), None
        raise


def _write_beside(path: Path, content: bytes, lasting: bool) -> None:
    draft = path.with_suffix(f".{os.getpid()}{DRAFT}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
