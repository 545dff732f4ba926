"""How a page is put together: sections with their data, scripts and styles become one file without a link to anywhere.

Data is JSON, deflated and written in base64 (a browser inflates it on its own), so that a name in it can never be taken for
markup.  The page's own content security policy allows these scripts, by their digests, and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
import html
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from results.files import write_at_once
from results.report import vega

T = TypeVar("T")

PAGE = "report.html"
"""Name of a page in the folder that it shows."""

CORE_SCRIPTS = ("degsim.js", "format.js", "table.js", "chart.js")
CORE_STYLES = ("page.css",)


@dataclass(frozen=True, slots=True)
class Content:
    """Data of a section that is more than JSON: ``value`` is its JSON, ``blobs`` are bytes that its scripts decode.

    Blobs are written as they are, in base64; whoever makes them compresses them.  Scripts ask for the blob ``archive`` of
    the section ``messages`` by ``degsim.bytes("messages/archive")``.
    """

    value: Any
    blobs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section(Generic[T]):
    """One part of a page about a ``T``.

    name: how links and scripts call it.  title: what its heading says.
    data: what its scripts get from ``degsim.data(name)``: whatever JSON can say, NaN and infinity become null, decimals
    become text; or a ``Content``.  None leaves the section out of this page.
    scripts, styles: files of ``assets``; each is written once, whoever asks for it.
    timed: whether the section follows the interval of the slider, which is shown with it.
    """

    name: str
    title: str
    data: Callable[[T], Any]
    scripts: tuple[str, ...]
    styles: tuple[str, ...] = ()
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says of itself.

    moments: start of every interval as local RFC 3339, which the slider walks through; empty for a page without time.
    first: interval at which the slider stands when the page is opened.
    details: more for scripts, as ``degsim.page.details``.
    """

    title: str
    subtitle: str
    moments: tuple[str, ...] = ()
    first: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


def assemble(subject: T, sections: Sequence[Section[T]], page: Page) -> str:
    """The page of a subject.  Raises ``RunError`` where the library that draws the charts is not installed."""
    library = vega.library()
    contents = {section: _content(section.data(subject)) for section in sections}
    shown = [section for section in sections if contents[section].value is not None]
    about = {
        "title": page.title,
        "moments": page.moments,
        "first": page.first,
        "details": page.details,
        "sections": [{"name": each.name, "title": each.title, "timed": each.timed} for each in shown],
    }
    data = {"page": _deflated(about), "vega": zlib.compress(library, 9)}
    for section in shown:
        data[section.name] = _deflated(contents[section].value)
        data |= {f"{section.name}/{name}": blob for name, blob in contents[section].blobs.items()}
    styles = dict.fromkeys([*CORE_STYLES, *(style for section in shown for style in section.styles)])
    names = dict.fromkeys([*CORE_SCRIPTS, *(script for section in shown for script in section.scripts)])
    scripts = [_asset(name) for name in names]
    return Template(_asset("page.html")).substitute(
        title=html.escape(page.title),
        subtitle=html.escape(page.subtitle),
        policy=_security(scripts),
        style="\n".join(map(_asset, styles)),
        links="\n".join(map(_link, shown)),
        sections="\n".join(map(_frame, shown)),
        data="\n".join(_block(name, content) for name, content in data.items()),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def put_down(page: str, path: Path) -> Path:
    """Write a page, whole or not at all, with the folders that lead to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_at_once(path, page.encode())
    return path


def _content(value: Any) -> Content:
    return value if isinstance(value, Content) else Content(value)


def _asset(name: str) -> str:
    return (files("results.report") / "assets" / name).read_text(encoding="utf-8")


def _security(scripts: Sequence[str]) -> str:
    """Scripts of this page by their digests, and the chart library, which compiles its expressions; nothing from outside.

    Base and forms are named too: what holds for everything else does not hold for them.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval' blob:; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _link(section: Section[T]) -> str:
    return f'<a href="#{section.name}">{html.escape(section.title)}</a>'


def _frame(section: Section[T]) -> str:
    return (
        f'<section id="{section.name}" aria-labelledby="{section.name}-heading" hidden>'
        f'<h2 id="{section.name}-heading" tabindex="-1">{html.escape(section.title)}</h2><div class="body"></div></section>'
    )


def _block(name: str, content: bytes) -> str:
    return f'<script type="application/octet-stream" id="data:{name}">{base64.b64encode(content).decode()}</script>'


def _deflated(value: Any) -> bytes:
    return zlib.compress(msgspec.json.encode(value, enc_hook=_plain, order=None), 9)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise NotImplementedError(f"{type(value).__name__} cannot be said in JSON")
