"""The metrics by which runs are compared: one function over a finished run, and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from results import stability
from results.metrics import conduct, energy, grid, market, money, vehicles, voltage
from results.metrics.grid import EXPORT, IMPORT
from results.metrics.metric import Metric

_CURRENCY, _PRICE = "currency", "currency/kWh"
_EN_50160 = "EN 50160"
_LUTHANDER = "Luthander et al., Applied Energy 142, 2015"

_TABLE = (
    # wires
    Metric(
        "peak_import_kw", "kW", "less", "largest flow down through any transformer", "", grid.peak_of_all_kw(IMPORT)
    ),
    Metric("peak_export_kw", "kW", "less", "largest flow up through any transformer", "", grid.peak_of_all_kw(EXPORT)),
    Metric(
        "load_factor",
        "1",
        "more",
        "mean flow over peak flow, both without sign, of the transformer with the greatest peak",
        "IEC 60050-691",
        grid.load_factor,
    ),
    Metric(
        "ramp_kw",
        "kW",
        "less",
        "largest change of a transformer's flow from one interval to the next",
        "",
        grid.ramp_kw,
    ),
    Metric(
        "overload_import_min",
        "min",
        "less",
        "minutes in which a transformer's apparent power was above its limit (strictly) while it imported, added up",
        "",
        grid.overload_min(IMPORT),
    ),
    Metric("overload_export_min", "min", "less", "the same while it exported", "", grid.overload_min(EXPORT)),
    Metric(
        "overload_import_kvah",
        "kVAh",
        "less",
        "apparent energy above the limit of transformers that imported, at their low-voltage side",
        "",
        grid.overload_kvah(IMPORT),
    ),
    Metric("overload_export_kvah", "kVAh", "less", "the same of those that exported", "", grid.overload_kvah(EXPORT)),
    Metric(
        "limit_use_max",
        "1",
        "less",
        "largest loading of a transformer as a share of what its limit allows in that direction",
        "",
        grid.limit_use_max,
    ),
    Metric("loading_max", "1", "less", "largest loading of a transformer, of its nameplate", "", grid.loading_max),
    Metric(
        "above_rating_min",
        "min",
        "less",
        "minutes above the nameplate, of all transformers and lines added up",
        "",
        grid.above_rating_min,
    ),
    Metric(
        "oscillation_alarm_min",
        "min",
        "less",
        "minutes in which flows of transformers swung to and fro, added up",
        "",
        stability.alarm_min,
    ),
    Metric(
        "reverse_limit_share",
        "1",
        "less",
        "share of the intervals in which an export limit held the clearing",
        "",
        grid.reverse_share,
    ),
    Metric(
        "voltage_outside_bus_min",
        "min",
        "less",
        "minutes that buses spent outside the scenario's band of voltages, added up",
        _EN_50160,
        voltage.outside_bus_min,
    ),
    Metric("voltage_lowest_pu", "1", "", "lowest voltage of any bus and phase", _EN_50160, voltage.lowest_pu),
    Metric("voltage_highest_pu", "1", "", "highest voltage of any bus and phase", _EN_50160, voltage.highest_pu),
    Metric(
        "voltage_deviation_pu",
        "1",
        "less",
        "mean distance of voltages from their nominal value, of all buses, phases and intervals",
        "",
        voltage.deviation_pu,
    ),
    Metric(
        "voltage_unbalance_max",
        "1",
        "less",
        "largest ratio of negative to positive sequence voltage at any bus; of feeders with three phases",
        "IEC 61000-4-30",
        voltage.unbalance_max,
    ),
    # energy
    Metric("imported_kwh", "kWh", "", "energy drawn from the upstream grid", "", energy.imported_kwh),
    Metric("exported_kwh", "kWh", "", "energy sent to the upstream grid", "", energy.exported_kwh),
    Metric("losses_kwh", "kWh", "less", "energy lost in lines and transformers", "", energy.losses_kwh),
    Metric(
        "curtailed_kwh", "kWh", "less", "solar energy that was there and was not delivered", "", energy.curtailed_kwh
    ),
    Metric(
        "self_consumption",
        "1",
        "more",
        "share of the solar energy used on the feeder in the interval it was made in",
        _LUTHANDER,
        energy.self_consumption,
    ),
    Metric(
        "autarky",
        "1",
        "more",
        "share of the withdrawn energy that came from the sun in the same interval",
        _LUTHANDER,
        energy.autarky,
    ),
    Metric(
        "ev_unserved_kwh", "kWh", "less", "energy that cars were short of when they left", "", vehicles.unserved_kwh
    ),
    Metric(
        "ev_missed_deadlines",
        "cars",
        "less",
        f"cars that left short of more than {vehicles.MISSED_KWH:g} kWh",
        "",
        vehicles.missed_deadlines,
    ),
    Metric(
        "shed_kwh", "kWh", "less", "demand that the market cut although no curve had offered it", "", energy.shed_kwh
    ),
    Metric("without_supply_kwh", "kWh", "less", "demand at buses without supply", "", energy.without_supply_kwh),
    # prices and money
    Metric(
        "mean_price_per_kwh",
        _PRICE,
        "",
        "mean price of a kWh to be withdrawn, over all connections",
        "",
        market.mean_price,
    ),
    Metric(
        "price_std_per_kwh",
        _PRICE,
        "less",
        "standard deviation over time of the interval's price: the mean of what those pay who withdraw, by power",
        "",
        market.price_std,
    ),
    Metric(
        "price_step_per_kwh",
        _PRICE,
        "less",
        "mean absolute change of that price from one interval to the next",
        "",
        market.price_step,
    ),
    Metric(
        "congestion_rent",
        _CURRENCY,
        "",
        "what clearings left with the market for the grid operator: the rent of limits that bound, or a policy's spread",
        "",
        market.rent,
    ),
    Metric(
        "loss_surplus", _CURRENCY, "", "what prices of marginal losses brought beyond that", "", market.loss_surplus
    ),
    Metric(
        "cost_per_consumer",
        _CURRENCY,
        "less",
        "mean net payment of a connection point, all devices behind it together",
        "",
        money.cost_per_consumer,
    ),
    Metric("operator_net", _CURRENCY, "", "what whoever runs the market ends with", "", money.operator_net),
    Metric(
        "operator_surplus",
        _CURRENCY,
        "",
        "the same without its declared fees: the budget is balanced at 0, but for amounts rounded one by one",
        "",
        money.operator_surplus,
    ),
    Metric(
        "ledger_gap",
        _CURRENCY,
        "less",
        "sum of all accounts, without sign; anything but 0 is a bug",
        "",
        money.ledger_gap,
    ),
    # conduct
    Metric(
        "physics_gap_kw",
        "kW",
        "less",
        "largest distance of a transformer's flow on the wires from the one that was cleared",
        "",
        grid.physics_gap_kw,
    ),
    Metric(
        "cleared_again",
        "intervals",
        "less",
        "intervals cleared more than once because the power flow broke a limit",
        "",
        conduct.cleared_again,
    ),
    Metric("fallbacks", "intervals", "less", "intervals in which the fallback policy served", "", conduct.fallbacks),
    Metric(
        "policy_stops",
        "intervals",
        "less",
        "intervals in which the policy failed or broke a promise and was stopped",
        "",
        conduct.stops,
    ),
    Metric(
        "uncertified",
        "intervals",
        "less",
        "intervals in which not every promise was found kept",
        "",
        conduct.uncertified,
    ),
    Metric(
        "unsolved", "intervals", "less", "intervals for which the power flow found no solution", "", conduct.unsolved
    ),
    Metric("messages", "messages", "less", "messages delivered, those sent again included", "", conduct.message_count),
    Metric("message_bytes", "B", "less", "bytes of the bodies of these messages", "", conduct.message_bytes),
    Metric("run_s", "s", "less", "seconds that the run took on its machine", "", conduct.seconds, repeatable=False),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _TABLE}
"""Every metric of a run, by name."""
