"""Cut one street and two weeks out of SimBench: ``python -m grid_models.convert_simbench [DIRECTORY]``.

Needed once, to make or to change the data set; nothing at run time imports it.  SimBench (381 MB installed) is a tool of
this script and no dependency of the project: install it, with pandapower and pyarrow, in an environment of its own.
What was changed on the way is listed in the notes beside the data.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

CODE = "1-LV-semiurb4--0-sw"
NAME = "simbench-semiurb4"
WEEKS = (("2016-05-16", "2016-05-22"), ("2016-12-05", "2016-12-11"))
"""First and last day of each stored window: a sunny one of early summer and the one of the highest evening peak."""

PV = tuple(f"PV{i}" for i in range(1, 9))
"""Every photovoltaic profile of SimBench: eight sites, so that the roofs of one street need not share each cloud."""

DECIMALS_KW = 4
"""0.1 W, a tenth of what a household meter resolves; the file halves."""


def _simbench() -> Any:
    try:
        return importlib.import_module("simbench")
    except ImportError as error:
        raise SystemExit("simbench is missing: `pip install simbench` in an environment of its own") from error


def _add_buses(street: Any, source: Any) -> None:
    import pandapower as pp  # noqa: PLC0415

    for i, bus in source.bus.iterrows():
        x, y = json.loads(bus.geo)["coordinates"]
        pp.create_bus(street, vn_kv=float(bus.vn_kv), name=bus["name"], index=int(i), type=bus.type, geodata=(x, y))
    for grid in source.ext_grid.itertuples():
        pp.create_ext_grid(street, int(grid.bus), vm_pu=float(grid.vm_pu), name=grid.name)


def _add_lines(street: Any, source: Any) -> None:
    import pandapower as pp  # noqa: PLC0415

    parameters = ("length_km", "r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km", "max_i_ka")
    for line in source.line.itertuples():
        pp.create_line_from_parameters(
            street,
            int(line.from_bus),
            int(line.to_bus),
            name=line.name,
            type=line.type,
            **{key: float(getattr(line, key)) for key in parameters},
        )


def _add_transformers(street: Any, source: Any) -> None:
    import pandapower as pp  # noqa: PLC0415

    rating = ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent", "pfe_kw", "i0_percent", "shift_degree")
    tap = ("tap_neutral", "tap_min", "tap_max", "tap_step_percent", "tap_step_degree", "tap_pos")
    for number, trafo in enumerate(source.trafo.itertuples(), 1):
        pp.create_transformer_from_parameters(
            street,
            int(trafo.hv_bus),
            int(trafo.lv_bus),
            name=f"trafo-{number}",  # it takes part under this name; the source's has spaces and names two other grids
            tap_side=trafo.tap_side,
            tap_changer_type="Ratio",
            vector_group="Dyn5",
            **{key: float(getattr(trafo, key)) for key in (*rating, *tap)},
        )


def _add_customers(street: Any, source: Any) -> None:
    import pandapower as pp  # noqa: PLC0415

    for kind, create in (("load", pp.create_load), ("sgen", pp.create_sgen)):
        for customer in source[kind].itertuples():
            create(street, int(customer.bus), p_mw=customer.p_mw, q_mvar=customer.q_mvar, name=customer.name)
        street[kind]["profile"] = source[kind]["profile"].astype(str).to_numpy()


def street(source: Any) -> Any:
    """The network rebuilt with pandapower's own constructors, which type every column; the source has object columns.

    Its switches are all closed and are left out.  Raises ``SystemExit`` if one is not: it would be a different network.
    """
    import pandapower as pp  # noqa: PLC0415

    if not source.switch.closed.all():
        raise SystemExit(f"{CODE}: has open switches, which this script does not carry over")
    net = pp.create_empty_network(name=NAME)
    for add in (_add_buses, _add_lines, _add_transformers, _add_customers):
        add(net, source)
    return net


def profile_table(simbench: Any, net: Any) -> Any:
    """Arrow table of both weeks: ``time``, kW and kvar of each load, and each PV profile per unit of installed power."""
    import pandas as pd  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    folder = Path(simbench.sb_dir) / "networks" / "1-complete_data-mixed-all-0-sw"
    year = {name: pd.read_csv(folder / f"{name}Profile.csv", sep=";") for name in ("Load", "RES")}
    times = pd.to_datetime(year["Load"].pop("time"), format="%d.%m.%Y %H:%M")
    days = times.dt.strftime("%Y-%m-%d")
    kept = sum((days.between(first, last) for first, last in WEEKS), start=days == "").astype(bool)
    fields, columns = [pa.field("time", pa.timestamp("s"))], [pa.array(times[kept], pa.timestamp("s"))]
    for load in net.load.itertuples():
        for unit, base_mw, suffix in (("kW", load.p_mw, "pload"), ("kvar", load.q_mvar, "qload")):
            values = (year["Load"][f"{load.profile}_{suffix}"][kept] * base_mw * 1e3).round(DECIMALS_KW)
            about = {"bus": net.bus.name.at[load.bus], "profile": load.profile}
            fields.append(pa.field(f"{load.name} {unit}", pa.float64(), metadata=about))
            columns.append(pa.array(values))
    for name in PV:
        fields.append(pa.field(f"{name} pu", pa.float64()))
        columns.append(pa.array(year["RES"][name][kept]))
    return pa.table(columns, schema=pa.schema(fields))


def main(directory: str) -> None:
    """Write ``net.json`` and ``profiles.parquet`` into the directory."""
    simbench = _simbench()
    import pandapower as pp  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    net = street(simbench.get_simbench_net(CODE))
    pp.to_json(net, str(target / "net.json"))
    pq.write_table(profile_table(simbench, net), target / "profiles.parquet", compression="zstd", compression_level=19)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parent / "data" / NAME))
