"""What every picture has to keep, whatever it shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


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
