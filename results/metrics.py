"""What a run amounts to, in numbers: a fold over its tables.

Powers and energies follow the run's tables: + is injection for participants and import for transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from results.run import Run
from sim import ledger, tolerances

EN_50160_PU = (0.9, 1.1)
"""Voltages a customer must accept in 95 % of the 10-minute means of a week; the band where a scenario names none."""

MISSED_KWH = 0.01
"""A vehicle leaves short of energy only beyond this: a minute of charging at the lowest current."""

Flows = Mapping[tuple[str, str, str], Decimal]
"""Signed money by (ERA, term, currency)."""


@dataclass(frozen=True, slots=True)
class Header:
    """Which run this is.  stopped: when and why its policy was first stopped, if it was; stops: in how many intervals."""

    name: str
    policy: str
    seed: int
    intervals: int
    unsolved: int
    fallbacks: int
    stops: int
    stopped: str
    uncertified: int
    interval_min: float
    start: str
    time_zone: str
    currency: str


@dataclass(frozen=True, slots=True)
class Energy:
    """Where the energy came from and went, by kind of participant, in kWh; every number is positive.

    shed_kwh: withdrawals that the market had to cut although their curves offered no price for it.  unserved_kwh: demand
    at buses without supply.
    self_consumption: share of the solar energy used on the feeder while it was made.  autarky: share of the withdrawn
    energy that this covers.  Both are sums of the smaller of the two per interval, and NaN where the whole is zero.
    """

    imported_kwh: float
    exported_kwh: float
    withdrawn_kwh: Mapping[str, float]
    injected_kwh: Mapping[str, float]
    pv_available_kwh: float
    pv_curtailed_kwh: float
    self_consumption: float
    autarky: float
    shed_kwh: float
    unserved_kwh: float
    losses_kwh: float


@dataclass(frozen=True, slots=True)
class NodePrice:
    """Prices of a node over the run [currency/kWh]; the mean is over time.  NaN where the policy has no prices."""

    node: str
    lowest: float
    mean: float
    highest: float
    adder_lowest: float
    adder_highest: float


@dataclass(frozen=True, slots=True)
class Parted:
    """For how long prices differed [h]: at all, between nodes, by a bound beside the tree, and for losses alone."""

    hours: float
    nodes_h: float
    bounds_h: float
    losses_h: float


@dataclass(frozen=True, slots=True)
class Transformer:
    """What a transformer went through.  Peaks are positive in both directions; over is time or energy beyond the limit.

    rated: the full limit, without the margin that the market keeps.  A flow counts as over only beyond it by more than
    ``tolerances.LOADING`` of it.  loading: of the nameplate, which is the limit only where the limit's share is 1.
    market_gap_kw: largest distance of the flow on the wires from the one that was cleared; NaN where nothing was.
    """

    node: str
    peak_import_kw: float
    peak_export_kw: float
    rated_import_kw: float
    rated_export_kw: float
    loading_max: float
    over_import_min: float
    over_export_min: float
    over_import_kwh: float
    over_export_kwh: float
    binding_forward: int
    binding_reverse: int
    market_gap_kw: float


@dataclass(frozen=True, slots=True)
class Physics:
    """What the wires answered.

    repeated: intervals that were cleared more than once, because the power flow of an outcome broke a limit.
    repeated_fallbacks: those of them in which the fallback served in the end.  compared: power flows of which the reference
    made its own, and reference_gap_pu the largest voltage difference; NaN where none was made.
    """

    repeated: int
    repeated_fallbacks: int
    compared: int
    reference_gap_pu: float
    residual_max_w: float


@dataclass(frozen=True, slots=True)
class Vehicles:
    """Charging sessions, and the energy that those whose departure lies in the run asked for, got and missed.

    underway_kwh: what those that leave later have got so far.
    """

    sessions: int
    finished: int
    need_kwh: float
    served_kwh: float
    unserved_kwh: float
    missed: int
    underway_kwh: float


@dataclass(frozen=True, slots=True)
class Extreme:
    """A voltage that no other goes beyond, with its bus and local time; NaN and empty where there is none."""

    v_pu: float
    bus: str
    moment: str


@dataclass(frozen=True, slots=True)
class Voltages:
    """Extremes over all buses, phases and intervals, and the minutes each bus spent outside the band, added up."""

    band_pu: tuple[float, float]
    lowest: Extreme
    highest: Extreme
    outside_bus_min: float


@dataclass(frozen=True, slots=True)
class Account:
    """What all participants of a kind together have received less what they have paid."""

    kind: str
    parties: int
    currency: str
    net: Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """Who ends with what.

    turnover: by (term, currency), each party's own payments and receipts of a term set off.
    net: sum of all accounts by currency: zero, or money was made or lost.
    rent: congestion rent that the clearings left, without what losses brought.  unsettled: contracts that have not ended.
    """

    accounts: tuple[Account, ...]
    turnover: Mapping[tuple[str, str], Decimal]
    net: Mapping[str, Decimal]
    rent: float
    postings: int
    unsettled: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in numbers."""

    header: Header
    energy: Energy
    prices: tuple[NodePrice, ...]
    parted: Parted
    transformers: tuple[Transformer, ...]
    physics: Physics
    vehicles: Vehicles
    voltages: Voltages
    money: Money
    messages: Mapping[str, int]
    refused: Mapping[str, int]
    seconds: Mapping[str, float]


def summarise(run: Run) -> Summary:
    """Fold a run's tables into numbers.  Intervals without a power flow count in no flow, loss or voltage."""
    messages = run.manifest["messages"]
    return Summary(
        header=_header(run),
        energy=_energy(run),
        prices=tuple(_node_price(node, rows) for node, rows in run.prices.groupby("node", sort=False)),
        parted=_parted(run),
        transformers=tuple(_transformer(node, rows, run.hours) for node, rows in run.nodes.groupby("node", sort=False)),
        physics=_physics(run),
        vehicles=_vehicles(run.sessions),
        voltages=_voltages(run),
        money=_money(run),
        messages={action: count["ack"] + count["nack"] for action, count in messages.items()},
        refused={action: count["nack"] for action, count in messages.items() if count["nack"]},
        seconds=dict(run.manifest["durations"]),
    )


def band_pu(run: Run) -> tuple[float, float]:
    """Lowest and highest voltage that the run's scenario allows its buses [per unit]."""
    limits = run.manifest["scenario"].get("feeder", {}).get("limits", {})
    return limits.get("v_min_pu", EN_50160_PU[0]), limits.get("v_max_pu", EN_50160_PU[1])


def own_adders(run: Run) -> pd.DataFrame:
    """What each participant's price lies above its node's, as ``own_per_kwh``, by ``interval``, ``era`` and ``node``.

    Of those below a node, and only where both have a price: bounds beside the tree and losses set them apart.
    """
    places = run.participants.loc[run.participants["node"] != "", ["era", "node"]]
    own = run.setpoints[["interval", "era", "price_per_kwh"]].merge(places, on="era")
    rows = own.merge(run.prices, on=["interval", "node"], suffixes=("", "_of_node"))
    rows["own_per_kwh"] = rows["price_per_kwh"] - rows["price_per_kwh_of_node"]
    return rows.loc[rows["own_per_kwh"].notna(), ["interval", "era", "node", "own_per_kwh"]]


def priced_bounds(run: Run) -> pd.DataFrame:
    """Rows of ``bounds`` in which another unit of the bound would have been worth something."""
    return run.bounds[run.bounds["price_per_unit"] > tolerances.PRICE_PER_KWH]


def parted(run: Run) -> pd.DataFrame:
    """By interval: whether prices differ at all (``any``), between ``nodes``, and by ``bounds`` beside the tree."""
    prices = run.prices.groupby("interval")["price_per_kwh"]
    nodes = (prices.max() - prices.min()) > tolerances.PRICE_PER_KWH
    own = own_adders(run)
    differ = set(own.loc[own["own_per_kwh"].abs() > tolerances.PRICE_PER_KWH, "interval"])
    bounds = set(priced_bounds(run)["interval"])
    found = pd.DataFrame({"nodes": nodes, "bounds": nodes.index.isin(bounds), "own": nodes.index.isin(differ)})
    return found.assign(any=found.any(axis=1))


def _parted(run: Run) -> Parted:
    found = parted(run)
    losses = found["own"] & ~found["nodes"] & ~found["bounds"]
    parts = (found["any"], found["nodes"], found["bounds"], losses)
    return Parted(*(float(part.sum()) * run.hours for part in parts))


def over_kw(rows: pd.DataFrame, direction: str) -> pd.Series[float]:
    """Flow beyond the full limit in kW, by row of ``nodes``; 0 up to the tolerance.  direction: ``import`` or ``export``."""
    flow = rows["wire_lv_kw"] if direction == "import" else -rows["wire_lv_kw"]
    rated = rows[f"rated_{direction}_kw"]
    beyond = flow - rated
    return beyond.where(flow > rated * (1 + tolerances.LOADING), 0.0)


def _header(run: Run) -> Header:
    manifest, intervals = run.manifest, run.intervals
    stops: Mapping[str, str] = manifest.get("policyStopped", {})
    return Header(
        name=manifest["name"],
        policy=manifest["policy"],
        seed=manifest["seed"],
        intervals=len(intervals),
        unsolved=int((intervals["status"] != "OK").sum()),
        fallbacks=int(intervals["fallback"].sum()),
        stops=len(stops),
        stopped=next(
            (f"at {run.calendar.local(int(k) * run.calendar.interval_s):%a %H:%M}: {why}" for k, why in stops.items()),
            "",
        ),
        uncertified=int((~intervals["certified"]).sum()),
        interval_min=manifest["intervalS"] / 60,
        start=f"{run.calendar.start:%a %Y-%m-%d %H:%M}",
        time_zone=manifest["timeZone"],
        currency=manifest["currency"],
    )


def _energy(run: Run) -> Energy:
    intervals, metered = run.intervals, _metered(run)
    withdrawn, injected = _by_kind(metered, -1), _by_kind(metered, +1)
    solar = metered[metered["kind"] == "solar"]
    spare_kw = (solar["available_kw"] - solar["delivered_kw"]).clip(lower=0)
    used_kwh, made_kwh, needed_kwh = _used_at_once(metered)
    return Energy(
        imported_kwh=intervals["slack_kw"].clip(lower=0).sum() * run.hours,
        exported_kwh=(-intervals["slack_kw"]).clip(lower=0).sum() * run.hours,
        withdrawn_kwh=withdrawn,
        injected_kwh=injected,
        pv_available_kwh=solar["available_kw"].sum() * run.hours,
        pv_curtailed_kwh=spare_kw.sum() * run.hours,
        self_consumption=share(used_kwh, made_kwh),
        autarky=share(used_kwh, needed_kwh),
        shed_kwh=metered["curtailed_kw"].clip(lower=0).sum() * run.hours,
        unserved_kwh=intervals["unserved_kwh"].sum(),
        losses_kwh=intervals["losses_kw"].sum() * run.hours,
    )


def _metered(run: Run) -> pd.DataFrame:
    """Setpoints of participants with a connection: an aggregator's row repeats what its members' meters count."""
    connected = run.participants[run.participants["bus"] != ""]
    rows = run.setpoints.merge(connected[["era", "kind"]], on="era")
    return rows.assign(energy_kwh=rows["energy_wh"] / 1000)


def _by_kind(metered: pd.DataFrame, sign: int) -> dict[str, float]:
    energy_kwh = (metered["energy_kwh"] * sign).clip(lower=0).groupby(metered["kind"]).sum()
    return {str(kind): float(value) for kind, value in energy_kwh.sort_values(ascending=False).items() if value > 0}


def _used_at_once(metered: pd.DataFrame) -> tuple[float, float, float]:
    """Solar energy used on the feeder in the interval it was made, solar energy, withdrawn energy [kWh]."""
    interval = metered["interval"]
    solar_kwh = metered["energy_kwh"].where(metered["kind"] == "solar", 0.0).clip(lower=0).groupby(interval).sum()
    load_kwh = (-metered["energy_kwh"]).clip(lower=0).groupby(interval).sum()
    return float(np.minimum(solar_kwh, load_kwh).sum()), float(solar_kwh.sum()), float(load_kwh.sum())


def _largest(values: pd.Series[Any]) -> float:
    return float(values.max()) if values.notna().any() else float("nan")


def _node_price(node: object, rows: pd.DataFrame) -> NodePrice:
    price, adder = rows["price_per_kwh"], rows["adder_per_kwh"]
    return NodePrice(str(node), price.min(), price.mean(), price.max(), adder.min(), adder.max())


def _transformer(node: object, rows: pd.DataFrame, hours: float) -> Transformer:
    over_import, over_export = over_kw(rows, "import"), over_kw(rows, "export")
    return Transformer(
        node=str(node),
        peak_import_kw=max(0.0, _largest(rows["wire_lv_kw"])),
        peak_export_kw=max(0.0, _largest(-rows["wire_lv_kw"])),
        rated_import_kw=rows["rated_import_kw"].min(),
        rated_export_kw=rows["rated_export_kw"].min(),
        loading_max=_largest(rows["loading"]),
        over_import_min=(over_import > 0).sum() * hours * 60,
        over_export_min=(over_export > 0).sum() * hours * 60,
        over_import_kwh=over_import.sum() * hours,
        over_export_kwh=over_export.sum() * hours,
        binding_forward=int((rows["binding"] == "FORWARD").sum()),
        binding_reverse=int((rows["binding"] == "REVERSE").sum()),
        market_gap_kw=_largest((rows["wire_lv_kw"] - rows["market_flow_kw"]).abs()),
    )


def _vehicles(sessions: pd.DataFrame) -> Vehicles:
    done = sessions[sessions["finished"]]
    return Vehicles(
        sessions=len(sessions),
        finished=len(done),
        need_kwh=done["need_kwh"].sum(),
        served_kwh=done["served_kwh"].sum(),
        unserved_kwh=done["unserved_kwh"].sum(),
        missed=int((done["unserved_kwh"] > MISSED_KWH).sum()),
        underway_kwh=sessions.loc[~sessions["finished"], "served_kwh"].sum(),
    )


def _physics(run: Run) -> Physics:
    intervals = run.intervals
    again = intervals["rounds"] > 1
    return Physics(
        repeated=int(again.sum()),
        repeated_fallbacks=int((again & intervals["fallback"]).sum()),
        compared=int(intervals["reference_gap_pu"].count()),
        reference_gap_pu=intervals["reference_gap_pu"].max(),
        residual_max_w=_largest(intervals["residual_kw"].abs() * 1000),
    )


def _voltages(run: Run) -> Voltages:
    rows = run.voltages
    low, high = band_pu(run)
    outside = rows[(rows["v_pu"] < low) | (rows["v_pu"] > high)].drop_duplicates(["interval", "bus"])
    known = rows[rows["v_pu"].notna()]
    return Voltages(
        band_pu=(low, high),
        lowest=_extreme(run, known, int(known["v_pu"].argmin()) if len(known) else None),
        highest=_extreme(run, known, int(known["v_pu"].argmax()) if len(known) else None),
        outside_bus_min=len(outside) * run.hours * 60,
    )


def _extreme(run: Run, rows: pd.DataFrame, place: int | None) -> Extreme:
    if place is None:
        return Extreme(float("nan"), "", "")
    row = rows.iloc[place]
    start_s = run.calendar.interval(int(row["interval"])).start_s
    return Extreme(float(row["v_pu"]), str(row["bus"]), f"{run.calendar.local(start_s):%a %H:%M}")


def _money(run: Run) -> Money:
    flows = ledger.by_term(run.ledger)
    parties = dict.fromkeys((run.kinds.get(era, era), currency) for era, _, currency in flows)
    accounts = [_account(kind, currency, flows, run.kinds) for kind, currency in parties]
    turnover: dict[tuple[str, str], Decimal] = {}
    for (_, term, currency), amount in flows.items():
        if amount > 0:
            turnover[term, currency] = turnover.get((term, currency), Decimal(0)) + amount
    return Money(
        accounts=tuple(sorted(accounts, key=lambda account: (account.currency, account.net, account.kind))),
        turnover=turnover,
        net=ledger.net_by_currency(ledger.balances(run.ledger)),
        rent=run.intervals["rent"].sum(),
        postings=len(run.ledger),
        unsettled=len(run.manifest.get("unsettledContracts", ())),
    )


def _account(kind: str, currency: str, flows: Flows, kinds: Mapping[str, str]) -> Account:
    own = {key: amount for key, amount in flows.items() if (kinds.get(key[0], key[0]), key[2]) == (kind, currency)}
    return Account(kind, len({era for era, _, _ in own}), currency, sum(own.values(), Decimal(0)))


def share(part: float, whole: float) -> float:
    """Part of a whole; NaN where there is no whole."""
    return part / whole if whole else float("nan")
