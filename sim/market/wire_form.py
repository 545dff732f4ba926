"""One market from a file: the parsed JSON of an ``aggregate`` message in, its ``on_aggregate`` out.

Reading is strict and tells everything that is wrong at once, each with its JSON pointer.  Published spellings are read
too: a curve is ``offerCurve`` or ``bidCurve``, an object or a bare list of points; bounds may stand in ``constraints``;
a grid node is named by ``era`` or ``nodeId``.  Keys of JSON-LD (``@type``) are ignored anywhere, and what is optional may
be null.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import cast

from sim.curves import NOTHING, OfferCurve, Point
from sim.errors import CurveError, Fault, MarketError, MessageError, nearest
from sim.market import gaps
from sim.market.certificate import Certificate, Violation, certify
from sim.market.economics import uplift_per_h
from sim.market.equilibrium import Zone, zones
from sim.market.policy import Policy
from sim.market.problem import DEFAULT_NODE, Clearing, Limit, LinearLimit, Offer, Problem, Sharing

MAX_POINTS = 4096
"""Points of one curve on the wire."""

_REQUEST = (
    "participants",
    "gridNodes",
    "aggregationType",
    "timeWindow",
    "k",
    "priceFloor",
    "priceCap",
    "slack",
    "linearLimits",
    "sharing",
    "seed",
)
_CURVE_NAMES = ("offerCurve", "bidCurve", "offerCurveData", "bidCurveData")
_PARTICIPANT = (
    "era",
    "gridNode",
    *_CURVE_NAMES,
    "constraints",
    "baselineKW",
    "adderPerKWh",
    "minRunKW",
    "locationalPriceAdder",
)
_CURVE = ("currency", "minExport", "maxExport", "interpolation", "curve", "constraints")
_BOUNDS = ("minPowerKW", "maxPowerKW", "rampRateKWPerMin")
_NODE = ("era", "nodeId", "gridNode", "gridConstraints", "nodeType", "locationalPriceAdder", "distance", "adderPerKWh")
_LINEAR = ("id", "maximum", "weights")
_WEIGHT = ("era", "weight")
_LIMITS = ("maxForwardFlowKW", "maxReverseFlowKW", "currentLoadKW", "capacityKW")

_UNREADABLE: Mapping[str, object] = MappingProxyType({})


def clear_message(data: object, policy: Policy, source: str) -> dict[str, object]:
    """The answer to an ``aggregate`` message: cleared by this policy, with its certificate and all that is known of it.

    data: a whole message, or its body, or the bare request; the answer has the same wrapping.
    Raises ``MessageError(source, ...)`` with every fault.
    """
    problem = read_problem(data, source)
    try:
        done = gaps.clear(problem, policy.clear)
    except MarketError as error:
        raise MessageError(source, tuple(unsolved(error, data, problem))) from error
    result = result_of(problem, done.clearing, certify(problem, done.clearing))
    return _wrapped(data, {"aggregationResult": {**result, **_more(problem, done)}})


def read_problem(data: object, source: str) -> Problem:
    """The market problem that an ``aggregate`` message poses.  Raises ``MessageError`` with every fault."""
    read = _Reader()
    request, where = _request_in(read, data)
    offers = _offers(read, request.get("participants", []), f"{where}/participants")
    limits = _limits(read, request.get("gridNodes", []), f"{where}/gridNodes")
    linear = _linear_limits(read, request.get("linearLimits"), f"{where}/linearLimits")
    bounds = read.number(request, "priceFloor", where, -math.inf), read.number(request, "priceCap", where, math.inf)
    slack, sharing = read.text(request, "slack", where), read.text(request, "sharing", where) or "PRO_RATA"
    placed = _placed(read, offers, [limit.node for _, limit in limits], where)
    try:
        problem = Problem(
            placed,
            tuple(limit for _, limit in limits),
            read.number(request, "k", where, 0.5),
            *bounds,
            slack,
            tuple(one.limit for one in linear),
            sharing=cast(Sharing, sharing),  # the problem refuses any other
            seed=read.count(request, "seed", where),
        )
    except MarketError as error:
        places = {"offers": [index for index, _ in offers], "limits": [index for index, _ in limits]}
        read.faults.extend(_pointed(error, where, places, linear))
    if read.faults:
        raise MessageError(source, tuple(read.faults))
    return problem


def result_of(problem: Problem, clearing: Clearing, certificate: Certificate) -> dict[str, object]:
    """The ``aggregationResult`` of a clearing.  A price that nothing determines is null; the root's is then left out."""
    root_price = clearing.price_per_kwh[problem.tree.names[0]]
    return {
        "policy": clearing.policy,
        **({} if root_price is None else {"clearingPrice": root_price}),
        "clearingQuantityKW": clearing.quantity_kw,
        "setpoints": [_setpoint(clearing, offer.era) for offer in problem.offers],
        "gridNodes": [_node_result(clearing, limit.node) for limit in problem.limits],
        "welfare": clearing.welfare,
        "certificate": {
            "certified": certificate.certified,
            "violations": [_violation(found) for found in certificate.violations],
        },
        **({"notes": list(clearing.notes)} if clearing.notes else {}),
        **({"linearLimits": [_linear_result(clearing, limit) for limit in problem.linear]} if problem.linear else {}),
    }


def _violation(found: Violation) -> dict[str, object]:
    """A violation; how much an infinite one is, JSON cannot say."""
    amount = {"amount": found.amount} if math.isfinite(found.amount) else {}
    return {"condition": found.condition, "who": found.who, "what": found.what, **amount}


def _more(problem: Problem, done: gaps.Decided) -> dict[str, object]:
    """What a market by itself also answers, where there is any of it."""
    clearing = done.clearing
    uplift = zip(problem.offers, uplift_per_h(problem, clearing).tolist(), strict=True)
    found = {
        "deals": [
            {
                "seller": deal.seller,
                "buyer": deal.buyer,
                "powerKW": deal.kw,
                "paidPerKWh": deal.paid_per_kwh,
                "receivedPerKWh": deal.received_per_kwh,
            }
            for deal in clearing.deals
        ],
        "accounts": [{"name": name, "amountPerH": amount} for name, amount in clearing.accounts.items()],
        "upliftPerH": [{"era": offer.era, "amountPerH": lost} for offer, lost in uplift if lost > _NOTHING_PER_H],
        "equilibria": [_equilibrium(zone) for zone in zones(problem, clearing)],
        "integralityGapPerH": done.gap_per_h,
    }
    return {name: value for name, value in found.items() if value}


_NOTHING_PER_H = 1e-6
"""Amounts up to this [currency/h] are the rounding of a clearing."""


def _equilibrium(zone: Zone) -> dict[str, object]:
    ends = {"priceLow": zone.price_lo, "priceHigh": zone.price_hi}
    cut = {"unservedKW": zone.unserved_kw, "spilledKW": zone.spilled_kw}
    known = {
        "clearingType": zone.kind,
        **{name: price for name, price in ends.items() if price is not None and math.isfinite(price)},
        "marginalSide": zone.marginal,
        "marginalKW": zone.marginal_kw if zone.marginal else None,
        "theta": zone.theta,
        **{name: kw for name, kw in cut.items() if kw},
        "indicativePrice": zone.indicative_price,
    }
    return {
        "gridNodes": list(zone.nodes),
        "quantityLowKW": zone.quantity_lo,
        "quantityHighKW": zone.quantity_hi,
        **{name: value for name, value in known.items() if value is not None},
    }


def _setpoint(clearing: Clearing, era: str) -> dict[str, object]:
    return {
        "era": era,
        "setpointKW": clearing.setpoint_kw[era],
        "price": clearing.participant_price[era],
        **({"offsetKW": clearing.offset_kw[era]} if era in clearing.offset_kw else {}),
        **({"curtailedKW": clearing.curtailed_kw[era]} if era in clearing.curtailed_kw else {}),
    }


def _node_result(clearing: Clearing, node: str) -> dict[str, object]:
    return {
        "era": node,
        "locationalPrice": clearing.price_per_kwh[node],
        "locationalPriceAdder": clearing.adder_per_kwh[node],
        "flowKW": clearing.flow_kw[node],
        "binding": clearing.binding[node],
    }


def _linear_result(clearing: Clearing, limit: LinearLimit) -> dict[str, object]:
    value = clearing.linear_value[limit.name]
    return {
        "id": limit.name,
        "price": clearing.linear_price[limit.name],
        "value": value,
        "binding": value >= limit.most - limit.tolerance,
    }


def _wrapped(data: object, answer: dict[str, object]) -> dict[str, object]:
    """The answer in the wrapping of the question; only the action of its context changes."""
    if not isinstance(data, Mapping) or "message" not in data:
        return answer
    context = {"context": {**data["context"], "action": "on_aggregate"}} if "context" in data else {}
    return {**context, "message": answer}


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reader:
    """Takes values out of parsed JSON, and keeps a list of all that was wrong with them."""

    faults: list[Fault] = field(default_factory=list)

    def fault(self, where: str, what: str, remedy: str = "") -> None:
        self.faults.append(Fault(where or "/", what, remedy))

    def mapping(self, value: object, where: str, known: Sequence[str]) -> Mapping[str, object]:
        """An object that has only known keys; ``_UNREADABLE`` in the place of anything else."""
        if not isinstance(value, Mapping):
            self.fault(where, f"expected an object, found {_shown(value)}")
            return _UNREADABLE
        for key in value:
            if key not in known and not key.startswith("@"):
                self.fault(f"{where}/{_escaped(key)}", "unknown key", nearest(key, known))
        return value

    def items(self, value: object, where: str) -> Iterator[tuple[int, str, object]]:
        """The items of an array, each with its index and pointer."""
        if isinstance(value, list):
            yield from ((index, f"{where}/{index}", item) for index, item in enumerate(value))
        else:
            self.fault(where, f"expected an array, found {_shown(value)}")

    def number(self, values: Mapping[str, object], key: str, where: str, default: float) -> float:
        """A finite number of an object; the default where there is none, and in the place of anything else."""
        value = values.get(key)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300:
            return float(value)
        self.fault(f"{where}/{key}", f"expected a finite number, found {_shown(value)}")
        return default

    def count(self, values: Mapping[str, object], key: str, where: str) -> int:
        """A whole number >= 0 of an object; 0 where there is none, and in the place of anything else."""
        value = values.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if value is not None:
            self.fault(f"{where}/{key}", f"expected a whole number >= 0, found {_shown(value)}")
        return 0

    def text(self, values: Mapping[str, object], key: str, where: str) -> str | None:
        """A text of an object that is not empty; None where there is none, and in the place of anything else."""
        value = values.get(key)
        if value is None or (isinstance(value, str) and value):
            return value
        self.fault(f"{where}/{key}", f"expected a text, found {_shown(value)}")
        return None

    def one_of(self, values: Mapping[str, object], where: str, *names: str) -> str | None:
        """Which of these keys the object has: exactly one of them is needed."""
        present = [name for name in names if values.get(name) is not None]
        for name in present[1:]:
            self.fault(f"{where}/{name}", f"given beside {present[0]}; one of them is enough")
        if not present and values is not _UNREADABLE:
            self.fault(where, f"{names[0]} is missing")
        return present[0] if present else None


def _request_in(read: _Reader, data: object) -> tuple[Mapping[str, object], str]:
    """The request within a message, and its pointer."""
    where = ""
    for wrapping, known in (("message", ("context", "message")), ("aggregationRequest", ("aggregationRequest",))):
        if isinstance(data, Mapping) and wrapping in data:
            outer = read.mapping(data, where, known)
            _check_action(read, outer.get("context"))
            data, where = outer[wrapping], f"{where}/{wrapping}"
    request = read.mapping(data, where, _REQUEST)
    if isinstance(data, Mapping) and "participants" not in request:
        read.fault(where, "participants is missing", "an aggregate message has message.aggregationRequest.participants")
    return request, where


def _check_action(read: _Reader, context: object) -> None:
    if context is not None:
        action = context.get("action", "aggregate") if isinstance(context, Mapping) else context
        if action != "aggregate":
            read.fault("/context/action", f"expected aggregate, found {_shown(action)}")


def _offers(read: _Reader, participants: object, where: str) -> list[tuple[int, Offer]]:
    """What the participants offer, each with its index; a curve that cannot be read counts as zero."""
    currencies: dict[str, str] = {}
    offers = []
    for index, place, item in read.items(participants, where):
        values = read.mapping(item, place, _PARTICIPANT)
        era = _named(read, values, place, "era")
        node = read.text(values, "gridNode", place)
        baseline = read.number(values, "baselineKW", place, 0.0) if values.get("baselineKW") is not None else None
        adder = read.number(values, "adderPerKWh", place, 0.0)
        least = read.number(values, "minRunKW", place, 0.0)
        curve = _curve(read, values, place, currencies)
        if era:
            offers.append((index, Offer(era, node or "", curve, baseline, adder, least)))
    return offers


def _named(read: _Reader, values: Mapping[str, object], where: str, *names: str) -> str | None:
    name = read.one_of(values, where, *names)
    return read.text(values, name, where) if name else None


def _curve(read: _Reader, participant: Mapping[str, object], where: str, currencies: dict[str, str]) -> OfferCurve:
    name = read.one_of(participant, where, *_CURVE_NAMES)
    if name is None:
        return NOTHING
    where, value = f"{where}/{name}", participant[name]
    values: Mapping[str, object] = {"curve": value} if isinstance(value, list) else read.mapping(value, where, _CURVE)
    points_at = where if isinstance(value, list) else f"{where}/curve"
    _check_currency(read, values, where, currencies)
    points = _points(read, values["curve"], points_at) if read.one_of(values, where, "curve") else [(0.0, 0.0)]
    lowest, highest = _bounds(read, participant, values, where)
    for index, (_, power) in enumerate(points):
        if not lowest <= power <= highest:
            read.fault(f"{points_at}/{index}/powerKW", f"{power:g} kW is outside its bounds {lowest:g}..{highest:g} kW")
    try:
        return OfferCurve.of(points, step=_is_step(read, values, where))
    except CurveError as error:
        read.faults.extend(Fault(points_at + f.where.removeprefix("curve"), f.what, f.remedy) for f in error.faults)
        return NOTHING


def _points(read: _Reader, value: object, where: str) -> list[Point]:
    """The points of a curve; none if any of them cannot be read, since the others alone are another curve."""
    before = len(read.faults)
    points = []
    for _, place, item in read.items(value, where):
        point = read.mapping(item, place, ("price", "powerKW"))
        for name in ("price", "powerKW"):
            read.one_of(point, place, name)
        points.append((read.number(point, "price", place, 0.0), read.number(point, "powerKW", place, 0.0)))
    if len(points) > MAX_POINTS:
        read.fault(where, f"has {len(points)} points; {MAX_POINTS} are allowed")
    return points if len(read.faults) == before else [(0.0, 0.0)]


def _bounds(
    read: _Reader, participant: Mapping[str, object], curve: Mapping[str, object], where: str
) -> tuple[float, float]:
    """The least and greatest power that the participant states, beside its curve or in it."""
    lowest, highest = (
        read.number(curve, "minExport", where, -math.inf),
        read.number(curve, "maxExport", where, math.inf),
    )
    for values, place in ((participant, where.rpartition("/")[0]), (curve, where)):
        if values.get("constraints") is not None:
            stated = read.mapping(values["constraints"], f"{place}/constraints", _BOUNDS)
            lowest = max(lowest, read.number(stated, "minPowerKW", f"{place}/constraints", -math.inf))
            highest = min(highest, read.number(stated, "maxPowerKW", f"{place}/constraints", math.inf))
    if lowest > highest:
        read.fault(where, f"the least power {lowest:g} kW is above the greatest {highest:g} kW")
        return -math.inf, math.inf
    return lowest, highest


def _is_step(read: _Reader, curve: Mapping[str, object], where: str) -> bool:
    interpolation = read.text(curve, "interpolation", where)
    if interpolation not in (None, "LINEAR", "STEP"):
        read.fault(f"{where}/interpolation", f"{interpolation} is not known", "use LINEAR or STEP")
    return interpolation == "STEP"


def _check_currency(read: _Reader, curve: Mapping[str, object], where: str, seen: dict[str, str]) -> None:
    """All curves of one market are in one currency; ``seen`` remembers where the first one was named."""
    currency, where = read.text(curve, "currency", where), f"{where}/currency"
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        read.fault(where, f"{currency} is not an ISO 4217 code", "three capital letters, such as EUR")
    elif currency:
        first, first_where = next(iter(seen.items()), (currency, where))
        seen.setdefault(currency, where)
        if currency != first:
            read.fault(where, f"{currency}, but {first} at {first_where}", "a market is in one currency")


def _limits(read: _Reader, nodes: object, where: str) -> list[tuple[int, Limit]]:
    """The nodes of the grid, each with its index."""
    limits = []
    for index, place, item in read.items(nodes, where):
        values = read.mapping(item, place, _NODE)
        name = _named(read, values, place, "era", "nodeId")
        held_at = f"{place}/gridConstraints"
        held = read.mapping(values.get("gridConstraints", {}), held_at, _LIMITS)
        forward = read.number(held, "maxForwardFlowKW", held_at, math.inf)
        reverse = read.number(held, "maxReverseFlowKW", held_at, math.inf)
        if name:
            distance = read.number(values, "distance", place, 1.0)
            adder = read.number(values, "adderPerKWh", place, 0.0)
            parent = read.text(values, "gridNode", place)
            limits.append((index, Limit(name, parent, forward, reverse, distance, adder)))
    return limits


@dataclass(frozen=True, slots=True)
class _Linear:
    """A linear limit, its index in the message, and that of each of its weights by era."""

    limit: LinearLimit
    index: int
    weights: Mapping[str, int]


def _linear_limits(read: _Reader, limits: object, where: str) -> list[_Linear]:
    """The linear limits, each with where it and its weights stand."""
    found = []
    for index, place, item in read.items([] if limits is None else limits, where):
        values = read.mapping(item, place, _LINEAR)
        name = _named(read, values, place, "id")
        read.one_of(values, place, "maximum")
        read.one_of(values, place, "weights")
        most = read.number(values, "maximum", place, math.inf)
        at, weights = _weights(read, values.get("weights"), f"{place}/weights")
        if name:
            found.append(_Linear(LinearLimit(name, weights, most), index, at))
    return found


def _weights(read: _Reader, value: object, where: str) -> tuple[dict[str, int], dict[str, float]]:
    """By era, where its weight stands and what it is."""
    at: dict[str, int] = {}
    weights: dict[str, float] = {}
    for index, place, item in read.items([] if value is None else value, where):
        values = read.mapping(item, place, _WEIGHT)
        era = _named(read, values, place, "era")
        read.one_of(values, place, "weight")
        weight = read.number(values, "weight", place, 0.0)
        if era in weights:
            read.fault(f"{place}/era", f"{era} has a weight before", "one weight for each era")
        elif era:
            at[era], weights[era] = index, weight
    return at, weights


def _placed(read: _Reader, offers: list[tuple[int, Offer]], nodes: list[str], where: str) -> tuple[Offer, ...]:
    """Offers at nodes.  Where no nodes are described all offers are at one; where only one is, it need not be named."""
    if not nodes:
        named = sorted({offer.node for _, offer in offers if offer.node})
        return tuple(replace(offer, node=named[0] if len(named) == 1 else DEFAULT_NODE) for _, offer in offers)
    for index, offer in offers:
        if not offer.node and len(nodes) > 1:
            read.fault(f"{where}/participants/{index}", "gridNode is missing", "there are several grid nodes")
    return tuple(replace(offer, node=offer.node or nodes[0]) for _, offer in offers)


_POINTERS = {
    "node": "/gridNode",
    "curve": "",
    "parent": "/gridNode",
    "baseline_kw": "/baselineKW",
    "import_limit_kw": "/gridConstraints/maxForwardFlowKW",
    "export_limit_kw": "/gridConstraints/maxReverseFlowKW",
    "adder_per_kwh": "/adderPerKWh",
    "min_run_kw": "/minRunKW",
    "distance": "/distance",
    "market": "",
    "price_floor": "/priceFloor",
    "price_cap": "/priceCap",
}


def _pointed(
    error: MarketError, where: str, places: Mapping[str, Sequence[int]], linear: Sequence[_Linear]
) -> Iterator[Fault]:
    """The faults of a market problem, at the places of the message that they come from."""
    lists = {"offers": "participants", "limits": "gridNodes"}
    for fault in error.faults:
        head, *rest = fault.where.split("/", 3)
        if head in lists and rest:
            tail = _POINTERS[rest[1]] if len(rest) > 1 else "/era"
            pointer = f"/{lists[head]}/{places[head][int(rest[0])]}{tail}"
        elif head == "linear":
            pointer = _linear_pointer(linear[int(rest[0])], rest[1:])
        else:
            pointer = "/gridNodes" if head == "limits" else _POINTERS.get(head, f"/{head}")
        yield Fault(where + pointer or "/", fault.what, fault.remedy)


def unsolved(error: MarketError, data: object, problem: Problem) -> Iterator[Fault]:
    """The faults of a policy that cannot clear what a message asks for; everything in it was read, in its order."""
    _, where = _request_in(_Reader(), data)
    places = {"offers": range(len(problem.offers)), "limits": range(len(problem.limits))}
    linear = [
        _Linear(limit, index, {era: place for place, era in enumerate(limit.weight)})
        for index, limit in enumerate(problem.linear)
    ]
    return _pointed(error, where, places, linear)


def _linear_pointer(found: _Linear, rest: Sequence[str]) -> str:
    """Where in the message a part of a linear limit stands: itself, its ``most``, or the ``weight`` of an era."""
    part, *era = rest or ("id",)
    tails = {"id": "/id", "most": "/maximum"}
    return f"/linearLimits/{found.index}" + (tails.get(part) or f"/weights/{found.weights[era[0]]}")


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'the text "{value[:40]}"'
    names = {dict: "an object", list: "an array", type(None): "nothing"}
    return names.get(type(value), str(value)[:40])


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
