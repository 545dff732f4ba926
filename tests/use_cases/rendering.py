"""Mermaid diagrams drawn by a real browser.

``python -m tests.use_cases.rendering FOLDER`` draws every diagram of ``docs/use_cases`` into ``FOLDER``, as PNG.  It takes node,
npm, and a Chromium (Debian: ``apt-get install npm chromium``); Mermaid itself is fetched from npm into a folder of its own.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "use_cases"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MERMAID = "mermaid@11"
PATIENCE_S = 180
_PAGE = """<!doctype html><meta charset="utf-8"><body style="margin:0;background:white">
<script src="{script}"></script><div id="drawn"></div><pre id="found"></pre><script>
const texts = {texts};
mermaid.initialize({{startOnLoad: false}});  // with the limits that a page meets elsewhere
(async () => {{
  const found = {{}};
  let number = 0;
  for (const [name, text] of Object.entries(texts)) {{
    try {{
      const drawn = await mermaid.render("d" + number++, text);
      document.getElementById("drawn").innerHTML = drawn.svg;
      const [, , width, height] = document.querySelector("#drawn svg").getAttribute("viewBox").split(" ").map(Number);
      const words = [...document.querySelectorAll("#drawn svg text")].map(text => text.textContent);
      found[name] = {{error: "", width, height, words}};
      const svg = document.querySelector("#drawn svg");
      svg.style.maxWidth = "none"; svg.setAttribute("width", width); svg.setAttribute("height", height);
    }} catch (error) {{
      found[name] = {{error: String(error), width: 0, height: 0, words: []}};
    }}
  }}
  document.getElementById("found").textContent = JSON.stringify(found);
  if ({hide}) document.getElementById("found").remove();
}})();
</script></body>"""


@dataclass(frozen=True)
class Drawn:
    """What became of a diagram.  error: empty where it was understood.  width, height: in pixels.  words: every text in it."""

    error: str
    width: float
    height: float
    words: tuple[str, ...]


def missing() -> str:
    """What it would take to draw here; empty where everything is there."""
    lacking = [name for name in ("node", "npm") if shutil.which(name) is None]
    lacking += [] if _browser() else ["chromium"]
    return f"drawing needs {', '.join(lacking)}" if lacking else ""


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def fetch(folder: Path) -> Path:
    """Mermaid's script, from npm.  Raises ``OSError`` where npm cannot get it."""
    done = subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), MERMAID],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        raise OSError(f"npm install {MERMAID}: {done.stderr.strip() or done.stdout.strip()}")
    return folder / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"


def draw(texts: Mapping[str, str], script: Path, folder: Path) -> dict[str, Drawn]:
    """Every diagram drawn once by the browser; what it made of each."""
    page = _page(texts, script, folder, hide=False)
    dom = _run(folder, "--dump-dom", page.as_uri())
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    if found is None or not found[1]:
        raise OSError("the browser has drawn nothing")
    drawn = json.loads(html.unescape(found[1]))
    return {name: Drawn(one["error"], one["width"], one["height"], tuple(one["words"])) for name, one in drawn.items()}


def picture(text: str, size: tuple[float, float], script: Path, folder: Path, target: Path) -> None:
    """One diagram as a PNG."""
    page = _page({"one": text}, script, folder, hide=True)
    window = f"--window-size={int(size[0]) + 1},{int(size[1]) + 1}"
    _run(folder, window, f"--screenshot={target.resolve()}", page.as_uri())


def _page(texts: Mapping[str, str], script: Path, folder: Path, hide: bool) -> Path:
    page = folder / "page.html"
    inline = json.dumps(dict(texts)).replace("</", "<\\/")
    filled = _PAGE.format(script=script.as_uri(), texts=inline, hide=json.dumps(hide))
    page.write_text(filled, encoding="utf-8")
    return page


def _run(folder: Path, *arguments: str) -> str:
    browser = _browser()
    if browser is None:
        raise OSError(missing())
    profile = f"--user-data-dir={folder / 'profile'}"
    # In a container there is no sandbox to be had and little shared memory; the pages are our own.
    quiet = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
    done = subprocess.run(
        [browser, *quiet, profile, "--virtual-time-budget=120000", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        raise OSError(f"{browser}: {done.stderr.strip()[-500:]}")
    return done.stdout


def diagrams(pages: Path = PAGES) -> dict[str, str]:
    """Every diagram of the pages, by page."""
    found = {}
    for path in sorted(pages.glob("*.md")):
        for number, text in enumerate(re.findall(r"```mermaid\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)):
            found[f"{path.stem}{number or ''}"] = text
    return found


def main(arguments: Sequence[str]) -> int:
    """Draw all into a folder."""
    target = Path(arguments[0])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        script = fetch(Path(folder))
        texts = diagrams()
        drawn = draw(texts, script, Path(folder))
        for name, one in drawn.items():
            if not one.error:
                picture(texts[name], (one.width, one.height), script, Path(folder), target / f"{name}.png")
            sys.stdout.write(f"{name}: {one.error or f'{one.width:.0f} x {one.height:.0f}'}\n")
    return int(any(one.error for one in drawn.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
