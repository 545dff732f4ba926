"""The contracts of a local market, as data: who pays whom, by which formula.

Signals of one interval, by name: ``energyKWh`` metered and ``clearedKWh`` cleared, both + when injected;
``pricePerKWh`` where the party stands; ``importPricePerKWh`` and ``exportPricePerKWh`` of the retailer per kWh.
"""

from __future__ import annotations

from decimal import Decimal

from sim.contracts.contract import Role, Template, Term
from sim.contracts.formula import compile_formula

PARTY_SIGNALS = ("energyKWh", "clearedKWh", "pricePerKWh", "importPricePerKWh", "exportPricePerKWh")
WIRES_SIGNALS = ("supplyKWh", "clearedKWh", "meteredKWh", "importPricePerKWh", "exportPricePerKWh")

_CLEARED = "clearedKWh * pricePerKWh"
_RETAIL = "max(energyKWh, 0) * exportPricePerKWh - max(-energyKWh, 0) * importPricePerKWh"
_DEVIATION = (
    "max(energyKWh - clearedKWh, 0) * (exportPricePerKWh - penaltyPerKWh)"
    " + min(energyKWh - clearedKWh, 0) * (importPricePerKWh + penaltyPerKWh)"
)


def party_signals(
    energy_wh: int | None,
    cleared_kw: float | None,
    price_per_kwh: float | None,
    retail_prices: tuple[float, float],
    hours: float,
) -> dict[str, Decimal]:
    """The signals of one party's contract for one interval of this many hours.

    energy_wh: metered, + injected; None for a party without a meter, which delivers what it was cleared for.  cleared_kw,
    price_per_kwh: the award; None where there was none.  retail_prices: import and export price per kWh.
    """
    cleared = Decimal(0) if cleared_kw is None else Decimal(f"{cleared_kw * hours:.6f}")
    return {
        "energyKWh": cleared if energy_wh is None else Decimal(energy_wh).scaleb(-3),
        "clearedKWh": cleared,
        "pricePerKWh": Decimal(0) if price_per_kwh is None else Decimal(repr(price_per_kwh)),
        "importPricePerKWh": Decimal(repr(retail_prices[0])),
        "exportPricePerKWh": Decimal(repr(retail_prices[1])),
    }


def _term(name: str, payer: Role, payee: Role, formula: str) -> Term:
    return Term(name, payer, payee, compile_formula(formula, who=name))


def _wheeling(party: Role) -> Term:
    return _term("wheeling", party, Role.GRID_OPERATOR, "max(-energyKWh, 0) * wheelingPerKWh")


def cleared_prosumer(host: Role) -> Template:
    """A site that trades through ``host`` at the cleared price.

    Energy is paid as cleared; what the meter says differently is bought from or sold to the grid operator at the retailer's
    price, a penalty apart, untaxed; wheeling on what is drawn; tax on the energy bought in the market.
    """
    party = Role.PROSUMER
    return Template(
        id=f"prosumer-of-{host.lower().replace('_', '-')}",
        roles=(party, host, Role.GRID_OPERATOR, Role.GOVERNMENT),
        terms=(
            _term("energy", host, party, _CLEARED),
            _term("deviation", Role.GRID_OPERATOR, party, _DEVIATION),
            _wheeling(party),
            _term("fee", party, host, "abs(clearedKWh) * feePerKWh"),
            _term("tax", party, Role.GOVERNMENT, "taxRate * max(-clearedKWh, 0) * max(pricePerKWh, 0)"),
        ),
        inputs=("wheelingPerKWh", "feePerKWh", "penaltyPerKWh", "taxRate"),
        signals=PARTY_SIGNALS,
        description="Energy at the cleared price; deviations with the grid operator.",
    )


def retail_prosumer(host: Role) -> Template:
    """A site that pays and earns the retailer's tariff on what its meter says; the host is a party without a claim."""
    party = Role.PROSUMER
    return Template(
        id=f"retail-prosumer-of-{host.lower().replace('_', '-')}",
        roles=(party, host, Role.SELLER, Role.GRID_OPERATOR, Role.GOVERNMENT),
        terms=(
            _term("energy", Role.SELLER, party, _RETAIL),
            _wheeling(party),
            _term("tax", party, Role.GOVERNMENT, "taxRate * max(-energyKWh, 0) * importPricePerKWh"),
        ),
        inputs=("wheelingPerKWh", "taxRate"),
        signals=PARTY_SIGNALS,
        description="Energy at the retailer's tariff.",
    )


def cleared_party(role: Role, *, fee: bool) -> Template:
    """A party without a meter of its own (an aggregator's portfolio, the retailer) that trades at the cleared price."""
    market = Role.MARKET_CLEARING_AGENT
    terms = [_term("energy", market, role, _CLEARED)]
    if fee:
        terms.append(_term("fee", role, market, "abs(clearedKWh) * feePerKWh"))
    return Template(
        id=f"cleared-{role.lower()}",
        roles=(role, market),
        terms=tuple(terms),
        inputs=("feePerKWh",) if fee else (),
        signals=PARTY_SIGNALS,
        description="Energy at the cleared price.",
    )


def retail_party(role: Role) -> Template:
    """The same party where nobody trades: its members or customers settle with the retailer, and nothing is left to pay."""
    return Template(
        id=f"retail-{role.lower()}",
        roles=(role, Role.MARKET_CLEARING_AGENT),
        terms=(),
        signals=PARTY_SIGNALS,
        description="No claims: customers settle with the retailer.",
    )


def congestion_rent() -> Template:
    """What a market is left with where prices part belongs to the grid operator.

    rent: Σ adder · flow over the nodes, and what linear limits are worth.  lossSurplus: what marginal losses bring; the grid
    operator buys the losses, which cost about half of it.  undelivered: less what the market lacks because participants without
    supply are not settled.
    """
    return Template(
        id="congestion-rent",
        roles=(Role.MARKET_CLEARING_AGENT, Role.GRID_OPERATOR),
        terms=(
            _term("congestion rent", Role.MARKET_CLEARING_AGENT, Role.GRID_OPERATOR, "rent"),
            _term("loss surplus", Role.MARKET_CLEARING_AGENT, Role.GRID_OPERATOR, "lossSurplus"),
            _term("undelivered", Role.MARKET_CLEARING_AGENT, Role.GRID_OPERATOR, "undelivered"),
        ),
        signals=("rent", "lossSurplus", "undelivered"),
        description="Congestion rent, and what marginal losses bring.",
    )


def portfolio_balance() -> Template:
    """What an aggregator settles with the grid operator for what lies below it, so that it keeps fees and margins alone.

    energyKWh: what its members have taken over of its award, ``clearedKWh``; the rest never reached them, and is bought or sold
    back at the retailer's price, a penalty apart, as it is for a site whose meter says differently.  rent: Σ adder · flow over
    the grid nodes between it and its members.  undelivered: what it was paid for members whom no supply reached.
    """
    party, grid = Role.AGGREGATOR, Role.GRID_OPERATOR
    return Template(
        id="portfolio-balance",
        roles=(party, grid),
        terms=(
            _term("deviation", grid, party, _DEVIATION),
            _term("congestion rent", party, grid, "rent"),
            _term("undelivered", party, grid, "undelivered"),
        ),
        inputs=("penaltyPerKWh",),
        signals=(*PARTY_SIGNALS[:2], *PARTY_SIGNALS[3:], "rent", "undelivered"),
        description="What did not reach the members, and congestion rent below.",
    )


def offset_uplift() -> Template:
    """What the grid operator pays to a participant whom it has moved off its curve, for each kWh of the offset.

    offsetKWh: by which it was moved, without its sign; upliftPerKWh: the price less its own marginal cost, or the reverse where
    it was made to run; nothing for who did not care.
    """
    return Template(
        id="offset-uplift",
        roles=(Role.GRID_OPERATOR, Role.PROSUMER),
        terms=(_term("uplift", Role.GRID_OPERATOR, Role.PROSUMER, "offsetKWh * upliftPerKWh"),),
        signals=("offsetKWh", "upliftPerKWh"),
        description="Compensation for an offset that was commanded.",
    )


def losses_and_imbalance(accounted_kwh: str) -> Template:
    """The grid operator buys from the retailer what flowed in and nobody has paid for, or sells what is left over.

    accounted_kwh: the signal that says what the retailer has been paid for: ``clearedKWh`` or ``meteredKWh``.
    """
    missing = f"supplyKWh - {accounted_kwh}"
    formula = f"max({missing}, 0) * importPricePerKWh + min({missing}, 0) * exportPricePerKWh"
    return Template(
        id=f"losses-beyond-{accounted_kwh.removesuffix('_kwh')}",
        roles=(Role.GRID_OPERATOR, Role.SELLER),
        terms=(_term("losses and imbalance", Role.GRID_OPERATOR, Role.SELLER, formula),),
        signals=WIRES_SIGNALS,
        description="Losses and imbalance of the feeder.",
    )
