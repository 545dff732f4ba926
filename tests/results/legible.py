"""What every picture has to keep, whatever it shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from results.plots import style


def with_texts(draw: Callable[[], Figure]) -> tuple[Figure, list[Text]]:
    """A picture, and the texts that were really drawn: an axis also keeps labels for ticks that are out of sight."""
    seen: dict[Text, None] = {}
    draw_text = Text.draw

    def record(self: Text, renderer: RendererBase) -> None:
        seen[self] = None
        draw_text(self, renderer)

    with style.applied(), pytest.MonkeyPatch.context() as patch:
        figure = draw()
        patch.setattr(Text, "draw", record)
        figure.draw_without_rendering()
    return figure, [text for text in seen if text.get_visible() and text.get_text().strip()]


def check_legible(
    figure: Figure, texts: Sequence[Text], may_overlap: Callable[[Text, Text], bool] = lambda one, other: False
) -> None:
    """No text lies on another or leaves the picture, once it has been drawn."""
    boxes = {text: text.get_window_extent() for text in texts}
    for one, other in itertools.combinations(boxes, 2):
        both = Bbox.intersection(boxes[one], boxes[other])
        overlap = 0.0 if both is None else min(both.width, both.height)
        assert overlap < 1.5 or may_overlap(one, other), f"{one.get_text()!r} and {other.get_text()!r} overlap"
    page = figure.bbox.padded(1)
    for text, box in boxes.items():
        assert page.containsx(box.x0), text.get_text()
        assert page.containsx(box.x1), text.get_text()
        assert page.containsy(box.y0), text.get_text()
        assert page.containsy(box.y1), text.get_text()
