"""What all readings of a contract share: who takes part, what was agreed, where signals come from."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, cast

import jsonpath
import msgspec

from sim.contracts.agreement import (
    ABSENT,
    SOURCE_PREFIXES,
    Basis,
    Constant,
    Derived,
    Field,
    Key,
    OpenRole,
    Output,
    Party,
    Quantity,
    Source,
    State,
    StateValue,
    Tax,
)
from sim.contracts.contract import Role
from sim.contracts.document import Document, Reader, kind, pointer, rfc3339
from sim.contracts.formula import Formula, compile_formula, variable_name
from sim.contracts.units import Unit, parse_unit, unit_of_name
from sim.errors import ContractError, nearest

if TYPE_CHECKING:
    from sim.contracts.script import Script

ROLES = tuple(role.value for role in Role)
READ = (
    "contractId", "currency", "roles", "inputParameters", "inputSignals", "telemetrySources", "revenueFlows", "variables",
    "states", "settlement", "script", "fulfillmentMode", "billingInterval", "timeWindow", "status", "templateId",
    "ricardianContract",
)  # fmt: skip
CARRIES_NO_MONEY = (
    "@context", "@id", "@type", "createdAt", "updatedAt", "description", "intentIds", "settlementCycles",
    "qualityMetrics", "credentials", "verification", "integrity", "events",
)  # fmt: skip
_ROLE_KEYS = ("@type", "role", "filledBy", "filled", "roleInputs", "expectedRoleInputs", "description")
_STATUSES = ("PENDING", "ACTIVE", "COMPLETED", "TERMINATED")
_SIGNALS = ("inputSignals", "signalId", "signalType")
_TELEMETRY = ("telemetrySources", "sourceId", "sourceType")
_MOMENTS: tuple[Literal["before", "after"], ...] = ("before", "after")
_SOURCE_KEYS = (
    "@type", "signalId", "signalType", "sourceId", "sourceType", "source", "format", "refreshInterval", "fields", "unit",
    "value", "timestamp", "fallback", "onMissing", "description", "price", "clearedPowerKW", "offsetKW", "curtailedKW",
    "firm", "gridNode", "era", "meterId", "endpoint",
)  # fmt: skip
_VARIABLE_KEYS = ("source", "path", "unit", "transform", "constant", "formula", "description")


class Shared:
    """The parts of one document that every reading has.  Faults go to ``reader``."""

    def __init__(self, reader: Reader, document: Document) -> None:
        self.reader = reader
        self.document = document
        self.id = reader.text(document.get("contractId", ABSENT), "/contractId")

    def roles(self) -> tuple[tuple[Party, ...], tuple[OpenRole, ...]]:
        """Filled roles and open ones, of ``roles[{role, filledBy, roleInputs}]``."""
        filled: list[tuple[str, str, str, Mapping[str, object]]] = []
        still_open: list[OpenRole] = []
        for where, entry in self.reader.objects(self.document.get("roles", ABSENT), "/roles"):
            self.reader.keys(entry, _ROLE_KEYS, where)
            role = self.role(entry.get("role", ABSENT), f"{where}/role")
            inputs = self.reader.mapping(entry.get("roleInputs", {}), f"{where}/roleInputs")
            if entry.get("filledBy") is None:
                still_open.append(OpenRole(role, tuple(_expected(entry)), where))
                continue
            era = self.reader.text(entry["filledBy"], f"{where}/filledBy")
            if (role, era) in [(r, e) for _, r, e, _ in filled]:
                self.reader.add(where, f"{era} fills the role {role} twice")
            filled.append((where, role, era, inputs))
        return seated(filled), tuple(still_open)

    def role(self, value: object, where: str) -> str:
        """A role by its name; CONSUMER is another word for BUYER."""
        role = self.reader.text(value, where)
        role = {"CONSUMER": "BUYER"}.get(role, role)
        if role and role not in ROLES:
            self.reader.add(where, f"{role} is not a role", nearest(role, ROLES))
        return role

    def parameters(self) -> Document:
        """Values agreed for the contract as a whole."""
        return self.reader.mapping(self.document.get("inputParameters", {}), "/inputParameters")

    def sources(self) -> tuple[Source, ...]:
        """Declared signals and telemetry."""
        found: list[Source] = []
        for key, id_key, kind_key in (_SIGNALS, _TELEMETRY):
            for where, entry in self.reader.objects(self.document.get(key, []), f"/{key}"):
                name = self.reader.text(entry.get(id_key, ABSENT), f"{where}/{id_key}")
                if name in [source.id for source in found]:
                    self.reader.add(f"{where}/{id_key}", f"{name} is declared twice")
                else:
                    found.append(self._source(name, entry, kind_key, where))
        return tuple(found)

    def _source(self, name: str, entry: Document, kind_key: str, where: str) -> Source:
        self.reader.keys(entry, _SOURCE_KEYS, where)
        refresh = entry.get("refreshInterval")
        missing = self.reader.choice(entry.get("onMissing", "WAIT"), ("WAIT", "ESTIMATE"), f"{where}/onMissing")
        fallback = entry.get("fallback", {})
        fallback = fallback if isinstance(fallback, dict) else {"value": fallback}
        origin = entry.get("source", entry)
        return Source(
            id=name,
            kind=str(entry.get(kind_key, "")),
            fields=dict(self._fields(entry, where)),
            where=where,
            refresh_s=None if refresh is None else self.seconds(refresh, f"{where}/refreshInterval"),
            fallback={k: self.reader.number(v, f"{where}/fallback/{k}", k) for k, v in fallback.items()},
            estimate=missing == "ESTIMATE",
            meter=str(origin.get("meterId", "")) if isinstance(origin, dict) else "",
            bound=isinstance(origin, dict) and any(origin.get(k) for k in ("era", "meterId", "endpoint")),
        )

    def _fields(self, entry: Document, where: str) -> Iterator[tuple[str, Unit | None]]:
        """Fields as names, or as ``{name, unit}``; a sample's own ``value`` has the unit that stands beside it."""
        for k, item in enumerate(self.reader.array(entry.get("fields", []), f"{where}/fields")):
            place = f"{where}/fields/{k}"
            stated = item if isinstance(item, dict) else {"name": item}
            name = self.reader.text(stated.get("name", ABSENT), place)
            yield name, self.unit(stated.get("unit"), place, name)
        if isinstance(entry.get("unit"), str):
            yield "value", self.unit(entry["unit"], f"{where}/unit", "value")

    def unit(self, value: object, where: str, name: str) -> Unit | None:
        """A stated unit, else the one that the name says."""
        if value is None:
            return unit_of_name(name)
        try:
            return parse_unit(self.reader.text(value, where))
        except ContractError as error:
            self.reader.take(error, where)
            return None

    def seconds(self, value: object, where: str) -> int | None:
        """Whole seconds of an ISO 8601 duration."""
        text = self.reader.text(value, where)
        try:
            seconds = msgspec.convert(text, datetime.timedelta).total_seconds() if text else None
        except (msgspec.ValidationError, OverflowError):
            seconds = 0
        if seconds is not None and (seconds < 1 or not seconds.is_integer()):
            self.reader.add(where, f"{text!r} is no duration", "such as PT15M, PT1H or P1D")
            return None
        return None if seconds is None else int(seconds)

    def script(self, value: object, where: str) -> tuple[Script | None, tuple[Quantity, ...]]:
        """A script and the quantities it computes: ``{language, text, outputs: {name: unit}}``."""
        if value is None:
            return None, ()
        from sim.contracts.script import compile_script  # noqa: PLC0415

        stated = self.reader.mapping(value, where)
        self.reader.keys(stated, ("language", "text", "outputs"), where)
        language = stated.get("language", "STARLARK")
        if language != "STARLARK":
            what = f"{kind(language)} is no language of scripts"
            self.reader.add(f"{where}/language", what, "STARLARK is; others cannot be bounded or are not repeatable")
        outputs = self.reader.mapping(stated.get("outputs", ABSENT), f"{where}/outputs")
        quantities = tuple(
            Quantity(
                pointer(f"{where}/outputs", name),
                (f"script.{name}", name),
                Output(name),
                self.unit(unit, pointer(f"{where}/outputs", name), name),
            )
            for name, unit in outputs.items()
        )
        try:
            text = self.reader.text(stated.get("text", ABSENT), f"{where}/text")
            return (compile_script(text, outputs=tuple(outputs), who=f"{where}/text") if text else None), quantities
        except ContractError as error:
            self.reader.take_inner(error)
            return None, quantities

    def states(self) -> tuple[tuple[State, ...], tuple[Quantity, ...]]:
        """Accumulated states: ``[{stateId, kind: SUM | MAXIMUM, formula, unit, initial}]``."""
        found: list[State] = []
        quantities: list[Quantity] = []
        names: list[str] = []
        for where, entry in self.reader.objects(self.document.get("states", []), "/states"):
            self.reader.keys(entry, ("stateId", "kind", "formula", "unit", "initial", "description"), where)
            name = self.reader.text(entry.get("stateId", ABSENT), f"{where}/stateId")
            how = self.reader.choice(entry.get("kind", ABSENT), ("SUM", "MAXIMUM"), f"{where}/kind")
            formula = self.reader.formula(entry.get("formula", ABSENT), f"{where}/formula")
            initial = self.reader.number(entry.get("initial", 0), f"{where}/initial", "initial")
            unit = self.unit(entry.get("unit"), f"{where}/unit", name)
            if name in names:
                self.reader.add(f"{where}/stateId", f"{name} is declared twice")
                continue
            names.append(name)
            for when in _MOMENTS:
                spellings = (f"states.{variable_name(name, when)}", variable_name(name, when))
                quantities.append(Quantity(where, spellings, StateValue(name, when), unit))
            if formula is not None and how:
                found.append(State(name, cast(Literal["SUM", "MAXIMUM"], how), formula, initial, where, unit))
        return tuple(found), tuple(quantities)

    def settlement(self) -> tuple[Basis | None, tuple[Quantity, ...]]:
        """Which energy counts: ``settlement: {basis, contracted, source, target}``, each of the latter a formula in kWh.

        It names ``deliveredKWh``, the sum over intervals of the lesser of source and target; ``contractedKWh``;
        ``settledKWh``, which the basis decides; and ``deviationKWh``, delivered less contracted.
        """
        if "settlement" not in self.document:
            return None, ()
        where = "/settlement"
        stated = self.reader.mapping(self.document["settlement"], where)
        self.reader.keys(stated, ("basis", "contracted", "source", "target", "description"), where)
        basis = self.reader.choice(stated.get("basis", ABSENT), tuple(Basis), f"{where}/basis")
        needed = ("source",) if basis == Basis.DELIVERED else ("source", "contracted")
        texts = {key: self.reader.text(stated[key], f"{where}/{key}") for key in _QUANTITIES if key in stated}
        if any(text and self.reader.formula(text, f"{where}/{key}") is None for key, text in texts.items()):
            return None, ()
        for key in needed:
            if basis and key not in stated:
                self.reader.add(f"{where}/{key}", f"{basis} needs it", "a formula in kWh")
                return None, ()
        if not basis:
            return None, ()
        delivered = f"min({texts['source']}, {texts['target']})" if "target" in texts else texts["source"]
        formulas = {"deliveredKWh": f"sum({delivered})"}
        if "contracted" in texts:
            formulas |= {"contractedKWh": texts["contracted"], "deviationKWh": "deliveredKWh - contractedKWh"}
        formulas["settledKWh"] = {
            Basis.CONTRACTED: "contractedKWh",
            Basis.DELIVERED: "deliveredKWh",
            Basis.MIN_OF_TWO: "min(contractedKWh, deliveredKWh)",
        }[Basis(basis)]
        quantities = tuple(self._derived(name, text, where) for name, text in formulas.items())
        return Basis(basis), tuple(q for q in quantities if q is not None)

    def _derived(self, name: str, text: str, where: str) -> Quantity | None:
        formula = self.reader.formula(text, where)
        if formula is None:
            return None
        return Quantity(where, (f"settlement.{name}", name), Derived(formula), parse_unit("kWh"))

    def variables(self, stated: Mapping[str, object], where: str) -> tuple[Quantity, ...]:
        """Named quantities: ``{name: {source, path, transform: multiply, constant, formula, unit}}``."""
        return tuple(
            quantity for name, entry in stated.items() for quantity in self._variable(name, entry, pointer(where, name))
        )

    def _variable(self, name: str, entry: object, where: str) -> Iterator[Quantity]:
        stated = self.reader.mapping(entry, where)
        self.reader.keys(stated, _VARIABLE_KEYS, where)
        unit = self.unit(stated.get("unit"), f"{where}/unit", name)
        names = (variable_name("variables", name), variable_name(name))
        if "formula" in stated:
            formula = self.reader.formula(stated["formula"], f"{where}/formula")
            if formula is not None:
                yield Quantity(where, names, Derived(formula), unit)
        elif "source" not in stated:
            yield Quantity(where, names, Constant(stated.get("constant", ABSENT)), unit)
        elif "transform" in stated or "constant" in stated:
            yield from self._transformed(name, names, stated, where, unit)
        else:
            yield self._from_source(names, stated, where, unit)

    def _transformed(
        self, name: str, names: tuple[str, ...], stated: Document, where: str, unit: Unit | None
    ) -> Iterator[Quantity]:
        self.reader.choice(stated.get("transform", "multiply"), ("multiply",), f"{where}/transform")
        factor = self.reader.number(stated.get("constant", ABSENT), f"{where}/constant", "constant")
        raw = variable_name("variables", name, "raw")
        yield self._from_source((raw,), stated, where, None)
        formula = self.reader.formula(f"{raw} * {factor:f}" if factor >= 0 else f"-({raw} * {-factor:f})", where)
        if formula is not None:
            yield Quantity(where, names, Derived(formula), unit)

    def _from_source(self, names: tuple[str, ...], stated: Document, where: str, unit: Unit | None) -> Quantity:
        source = self.reader.text(stated["source"], f"{where}/source")
        keys = None if "path" not in stated else self.keys(stated["path"], f"{where}/path")
        if source == "inputParameters" and keys:
            return Quantity(
                where,
                names,
                Derived(compile_formula(variable_name("inputParameters", *map(str, keys)), who=where)),
                unit,
            )
        if source in SOURCE_PREFIXES and keys:
            source, keys = str(keys[0]), keys[1:] or None
        return Quantity(where, names, Field(source, keys), unit)

    def keys(self, value: object, where: str) -> tuple[Key, ...] | None:
        """The keys that a JSONPath goes by.  One that may find several places, or none, is refused."""
        text = self.reader.text(value, where)
        try:
            path = jsonpath.compile(text)
        except jsonpath.JSONPathError:
            if text and "$" not in text:
                return tuple(text.split("."))  # a dotted path with characters that JSONPath wants quoted
            self.reader.add(where, f"{text!r} is no JSONPath", "such as $.energyFlow")
            return None
        if not isinstance(path, jsonpath.JSONPath) or not path.singular_query():
            self.reader.add(
                where, f"{text} may find several places", "a path to one value, such as $.readings[0].energyKWh"
            )
            return None
        found = [selector for segment in path.segments for selector in segment.selectors]
        return tuple(s.name if hasattr(s, "name") else s.index for s in found)  # type: ignore[attr-defined]

    def tax(self, value: object, where: str) -> Tax | None:
        """``{rate, base: [flow names], inclusive, components: [{name, rate}]}``; rates are shares."""
        if value is None:
            return None
        stated = self.reader.mapping(value, where)
        self.reader.keys(stated, ("rate", "base", "inclusive", "components", "description"), where)
        rate = self.reader.number(stated.get("rate", ABSENT), f"{where}/rate", "rate")
        base = [
            self.reader.text(n, f"{where}/base/{k}")
            for k, n in enumerate(self.reader.array(stated.get("base", ABSENT), f"{where}/base"))
        ]
        inclusive = self.reader.flag(stated.get("inclusive", ABSENT), f"{where}/inclusive")
        components = [
            (
                self.reader.text(part.get("name", ABSENT), f"{place}/name"),
                self.reader.number(part.get("rate", ABSENT), f"{place}/rate", "rate"),
            )
            for place, part in self.reader.objects(stated.get("components", []), f"{where}/components")
        ]
        if not 0 <= rate <= 1:
            self.reader.add(f"{where}/rate", f"the rate {rate} is no share of 0..1", "0.18 for 18 %")
        if any(part < 0 for _, part in components):
            self.reader.add(f"{where}/components", "a rate is negative")
        if components and sum(part for _, part in components) != rate:
            total = sum(part for _, part in components)
            self.reader.add(f"{where}/components", f"the rates sum to {total}, and the tax has {rate}")
        return Tax(rate, tuple(base), inclusive, tuple(components))

    def rules(self, value: object, where: str) -> Formula | None:
        """Ordered guarded formulas ``[{when, then}, …, {then}]``: the first whose condition holds; the last has none."""
        pieces: list[str] = []
        entries = self.reader.objects(value, where)
        if not entries:
            self.reader.add(where, "has no rule", "[{when, then}, …, {then}]")
        for k, (place, entry) in enumerate(entries):
            self.reader.keys(entry, ("when", "then", "description"), place)
            then = self.reader.text(entry.get("then", ABSENT), f"{place}/then")
            # Each by itself first: what closes a parenthesis that it did not open would change the others.
            when = str(entry.get("when", "1 > 0"))
            pieces_by_themselves = ((then, "then"), (f"1 if {when} else 0", "when"))
            if any(text and self.reader.formula(text, f"{place}/{key}") is None for text, key in pieces_by_themselves):
                return None
            last = k == len(entries) - 1
            if last == ("when" in entry):
                what = (
                    "the last rule holds where no other does and has no condition"
                    if last
                    else "only the last has no condition"
                )
                self.reader.add(f"{place}/when", what)
                return None
            pieces.append(
                f"({then})" if last else f"({then}) if ({self.reader.text(entry['when'], f'{place}/when')}) else"
            )
        return self.reader.formula(" ".join(pieces), where) if pieces else None

    def common(self) -> dict[str, object]:
        """Arguments of ``Agreement`` that no reading has a way of its own for."""
        document, reader = self.document, self.reader
        mode = document.get("fulfillmentMode", "POST_FULFILLMENT")
        reader.choice(mode, ("POST_FULFILLMENT", "INCREMENTAL"), "/fulfillmentMode")
        billing = document.get("billingInterval")
        status = document.get("status", "PENDING")
        reader.choice(status, _STATUSES, "/status")
        return {
            "id": self.id,
            "template_id": str(document.get("templateId", "")),
            "status": str(status),
            "parameters": self.parameters(),
            "sources": self.sources(),
            "incremental": mode == "INCREMENTAL",
            "billing_s": None if billing is None else self.seconds(billing, "/billingInterval"),
            "window": self._window(),
            "ricardian": reader.mapping(document.get("ricardianContract", {}), "/ricardianContract"),
        }

    def _window(self) -> tuple[str, str] | None:
        if "timeWindow" not in self.document:
            return None
        stated = self.reader.mapping(self.document["timeWindow"], "/timeWindow")
        ends = [self.reader.moment(stated.get(end, ABSENT), f"/timeWindow/{end}") for end in ("start", "end")]
        if ends[0] is None or ends[1] is None:
            return None
        if ends[1] <= ends[0]:
            self.reader.add("/timeWindow/end", "is not after the start")
            return None
        return rfc3339(ends[0]), rfc3339(ends[1])


_QUANTITIES = ("contracted", "source", "target")


def seated(filled: list[tuple[str, str, str, Mapping[str, object]]]) -> tuple[Party, ...]:
    """Parties with their seats, of (pointer, role, ERA, inputs)."""
    shared = [role for _, role, _, _ in filled]
    return tuple(
        Party(role, era, role if shared.count(role) == 1 else era, inputs, where) for where, role, era, inputs in filled
    )


def _expected(entry: Document) -> Iterator[str]:
    stated = entry.get("expectedRoleInputs", [])
    items = stated.items() if isinstance(stated, dict) else enumerate(stated if isinstance(stated, list) else [])
    for key, item in items:
        name = item.get("inputName", item.get("name", key)) if isinstance(item, dict) else item
        if not (isinstance(item, dict) and item.get("optional") is True):
            yield str(name)
