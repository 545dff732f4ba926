"""The notebooks under ``docs``, executed: ``python -m tests.notebooks`` (``make notebooks``) writes what their cells give.

A notebook finds the folders that ``RUNS`` says beside it.  It is executed by this very Python, whatever kernels the user has,
and keeps nothing that depends on the machine or the hour.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from scenarios.reader import read
from scenarios.runner import execute
from tests.conftest import ROOT, STREET

NOTEBOOKS = ROOT / "docs" / "notebooks"
RUNS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "a-day-on-a-street": {"street": (), "street-none": ("market.policy=none",)},
}
"""The runs of the street that each notebook opens: the names of their folders, with overrides."""

LONGEST_S = 120
"""Seconds that a cell may take."""


def prepare(name: str, folder: Path) -> None:
    """Make the runs of this notebook in a folder."""
    for run, overrides in RUNS[name].items():
        execute(read(STREET, overrides), folder / run)


def executed(name: str, folder: Path) -> Any:
    """The notebook of this name with what its cells give in a folder; a cell that fails ends it."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=LONGEST_S, resources={"metadata": {"path": str(folder)}})
    with tempfile.TemporaryDirectory() as home:
        manager = client.create_kernel_manager()
        manager.transport, manager.connection_file = "ipc", f"{home}/kernel.json"  # no port, and nothing of the user's
        places = {place: home for place in ("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")}
        asyncio.run(client.async_execute(env={**os.environ, **places, "PYTHONPATH": str(ROOT)}))
    for cell in notebook.cells:
        cell.metadata.clear()
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    return notebook


def shown(notebook: Any) -> list[list[tuple[str, str]]]:
    """What each cell of code gives: text as it is, of pictures that there is one."""
    return [[_said(output) for output in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]


def _said(output: Any) -> tuple[str, str]:
    if output.output_type == "stream":
        return output.name, output.text
    if "image/png" in output.data:
        return "image/png", ""
    return "text/plain", output.data["text/plain"]


def main(arguments: Sequence[str]) -> None:
    """Execute every notebook where it lies, or into a folder."""
    target = Path(arguments[0]) if arguments else NOTEBOOKS
    for name in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            prepare(name, Path(folder))
            nbformat.write(executed(name, Path(folder)), target / f"{name}.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
