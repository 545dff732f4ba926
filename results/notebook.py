"""Frames that know what their columns mean, and pictures, for whoever looks at a run by hand.

``run.prices.plot()`` draws prices over local time, ``run.prices.about`` says what the columns are and in which units, and
``picture(run, "transformer")`` shows any picture of ``degsim list plots``.  Everything else is pandas: what is computed from
such a frame is a plain ``DataFrame``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.plotting import PlotAccessor

from results.tables import TABLES, unit_of

if TYPE_CHECKING:
    from results.plots.shown import Shown
    from results.run import Run
    from sim.clock import Calendar


class Table(pd.DataFrame):
    """A table of a run, as its ``run`` has read it.

    What is derived from it is a plain ``DataFrame``: units and meanings are of the columns as they were read.
    """

    _name: str
    _manifest: Mapping[str, Any]
    _calendar: Callable[[], Calendar]

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def __reduce__(self) -> tuple[Any, ...]:
        return pd.DataFrame, (pd.DataFrame(self),)

    @property
    def about(self) -> pd.DataFrame:
        """Every column with its type, its unit and its meaning."""
        schema = TABLES[self._name]
        said = {
            "type": [str(field.type) for field in schema],
            "unit": [unit_of(self._name, field.name, str(self._manifest["currency"])) for field in schema],
            "meaning": [field.metadata[b"description"].decode() for field in schema],
        }
        return pd.DataFrame(said, index=pd.Index(schema.names, name="column"))

    def _over_time(self) -> Shown:
        from results.plots.over_time import draw  # noqa: PLC0415  heavy: brings in matplotlib
        from results.plots.shown import drawn  # noqa: PLC0415

        return drawn(lambda: draw(self, self._name, self._manifest, self._calendar()))

    @property
    def plot(self) -> _Plot:
        """Called without arguments: the table over local time.  Everything else is pandas' own ``plot``."""
        return _Plot(self)


class _Plot(PlotAccessor):
    """What pandas draws, and what it draws when nobody says what."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._table = table

    def __call__(self, *args: Any, **options: Any) -> Any:
        """A picture of the whole table that a notebook shows, or with arguments what pandas makes of them."""
        if args or options:
            return super().__call__(*args, **options)
        return self._table._over_time()


def picture(run: Run, name: str, interval: int | None = None) -> Shown:
    """A picture of a run by its name, as a notebook shows it; some are of one interval, and choose a telling one for None.

    Raises ``RunError`` for a picture that does not exist, and for an interval outside the run.
    """
    from results import plots  # noqa: PLC0415  heavy: brings in matplotlib
    from results.plots.shown import drawn  # noqa: PLC0415

    plots.refuse(run, (name,), (), interval)
    return drawn(lambda: plots.PLOTS[name].draw(run, interval))


def as_table(frame: pd.DataFrame, name: str, manifest: Mapping[str, Any], calendar: Callable[[], Calendar]) -> Table:
    """The frame of a run's table of this name.  calendar: gives the run's, when something is drawn."""
    table = Table(frame)
    for attribute, value in {"_name": name, "_manifest": manifest, "_calendar": calendar}.items():
        object.__setattr__(table, attribute, value)  # or pandas takes it for a column
    return table
