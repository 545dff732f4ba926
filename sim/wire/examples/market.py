"""A market that pays as it clears, the aggregator above it, and the transformers below.

Two roofs and a car clear at 0.083333 and 10 kW; a fee of 0.01 a kWh.  For the hour the car pays 0.83 + 0.10, and each roof has
0.42 - 0.05; the market keeps 0.19: its 0.20 of fees, less the cent that rounding left.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sim.wire.auxiliary import (
    AccountBody,
    AggregateContent,
    AggregatedContent,
    AggregateNode,
    AggregateParticipant,
    AggregationRequest,
    AggregationResult,
    CertificateBody,
    Equilibrium,
    LimitWeight,
    LinearLimitBody,
    LinearLimitResult,
    NodeResult,
    Setpoint,
)
from sim.wire.bags import (
    ENERGY,
    ContractFlow,
    ContractRole,
    CurvePoint,
    EnergyContract,
    EnergyContractP2PTrade,
    EnergyDelivery,
    EnergyIntent,
    EnergyObjectives,
    EnergyOffer,
    EnergyResource,
    EnergySettlement,
    ExpectedInput,
    GridConstraints,
    GridNode,
    InputParameters,
    InputSignal,
    LocationalPriceAdder,
    MeterReading,
    OfferCurve,
    OfferCurveData,
    OffsetCommand,
    Position,
    RevenueFlows,
    RoleInputs,
    SettlementLine,
    SignalSource,
    TelemetrySource,
    TradeGrid,
    TradeGridInputs,
    TradeMarket,
    TradeMarketInputs,
    TradeProsumer,
    TradeProsumerInputs,
)
from sim.wire.bags.contracts import ContractState
from sim.wire.core import (
    Catalog,
    Descriptor,
    Offer,
    Performance,
    Provider,
    PublishResult,
    Resource,
    SearchIntent,
    Settlement,
)
from sim.wire.examples.frame import Talk, about, asked, become, clock, commitment, draft, reply, window
from sim.wire.messages import CatalogsContent, DiscoverContent, PublishContent, PublishedContent

OFFER: Final = "market/prosumer"
HOUR = window("14:00", "15:00")
PRICE: Final = 0.08333333333333334
SEARCH: Final = Talk("market: search", "ev-1", "exchange")
EV: Final = Talk("market: ev-1", "ev-1", "market")
SUN: Final = Talk("market: solar-1", "solar-1", "market")
GATE: Final = Talk("market: gate", "market", "market")
PORTFOLIO: Final = Talk("market: portfolio", "vpp", "market")
CITY: Final = Talk("market: city", "market", "market")
REVERSE: Final = Talk("market: reverse flow", "market", "market")
VOLTAGE: Final = Talk("market: voltage", "market", "market")
BATTERY: Final = Talk("market: battery-1", "battery-1", "vpp")
PEERS: Final = Talk("market: peers", "home-12", "market")
NODES: Final = Talk("market: nodes", "utility", "exchange")


def curve(*points: tuple[float, float]) -> OfferCurve:
    """A curve through these prices and powers."""
    return OfferCurve(
        currency="USD",
        minExport=points[0][1],
        maxExport=points[-1][1],
        curve=tuple(CurvePoint(price=price, powerKW=p_kw) for price, p_kw in points),
    )


ROOF = curve((0.05, 0.0), (0.06, 2.0), (0.07, 5.0))
CAR = curve((0.08, -11.0), (0.10, -5.0), (0.12, 0.0))
ROOFS = curve((0.05, 0.0), (0.06, 40.0), (0.07, 100.0))
CARS = curve((0.08, -110.0), (0.10, -50.0), (0.12, 0.0))

FLOWS = RevenueFlows(
    flows=(
        ContractFlow(
            name="bought",
            description="energy drawn, at the price of the gate",
            formula="meter.consumedKWh * price",
            payer="PROSUMER",
            payee="MARKET_CLEARING_AGENT",
        ),
        ContractFlow(
            name="sold",
            description="energy injected, at the price of the gate",
            formula="meter.producedKWh * price",
            payer="MARKET_CLEARING_AGENT",
            payee="PROSUMER",
        ),
        ContractFlow(
            name="fee",
            description="per kWh, whichever way",
            formula="(meter.consumedKWh + meter.producedKWh) * feePerKWh",
            payer="PROSUMER",
            payee="MARKET_CLEARING_AGENT",
        ),
    ),
    netZero=True,
)
TEMPLATE = EnergyContract(
    ENERGY,
    templateId="pay-as-clear",
    status="PENDING",
    roles=(
        ContractRole(role="MARKET_CLEARING_AGENT", filled=True, filledBy="market"),
        ContractRole(
            role="PROSUMER",
            filled=False,
            expectedRoleInputs=(ExpectedInput(inputName="offerCurve", inputType="OfferCurve", required=True),),
        ),
    ),
    inputParameters=InputParameters(feePerKWh=0.01),
    revenueFlows=FLOWS,
)
OPEN_ROLE = EnergyOffer(
    ENERGY,
    templateId="pay-as-clear",
    openRole="PROSUMER",
    pricingModel="PAY_AS_CLEAR",
    currency="USD",
    intervalDuration="PT3600S",
    confirmBefore="PT600S",
    gateBefore="PT300S",
    priceFloor=-0.1,
    priceCap=1.0,
    expectedInputs=(
        ExpectedInput(inputName="sourceMeterId", inputType="string", required=True),
        ExpectedInput(inputName="offerCurve", inputType="OfferCurve", required=True),
    ),
    contract=TEMPLATE,
)
CATALOG = Catalog(
    id="market/offers",
    descriptor=Descriptor(name="Street market"),
    provider=Provider(id="market", descriptor=Descriptor(name="Street market")),
    offers=(Offer(id=OFFER, resourceIds=("market",), offerAttributes=OPEN_ROLE),),
)


def terms(
    status: ContractState, era: str, offer_curve: OfferCurve, signals: tuple[InputSignal, ...] | UnsetType = UNSET
) -> EnergyContract:
    """A prosumer's contract with the market."""
    inputs = RoleInputs(sourceMeterId=f"meter-{era}", offerCurve=offer_curve)
    return EnergyContract(
        ENERGY,
        templateId="pay-as-clear",
        status=status,
        roles=(
            ContractRole(role="MARKET_CLEARING_AGENT", filled=True, filledBy="market"),
            ContractRole(role="PROSUMER", filled=True, filledBy=era, roleInputs=inputs),
        ),
        timeWindow=HOUR,
        inputParameters=InputParameters(approvedMaxImportKW=11, approvedMaxExportKW=11, feePerKWh=0.01),
        inputSignals=signals,
        telemetrySources=(
            TelemetrySource(
                sourceId="meter",
                sourceType="METER_READING",
                source=SignalSource(meterId=f"meter-{era}"),
                fields=("consumedKWh", "producedKWh"),
            ),
        ),
        revenueFlows=FLOWS,
        fulfillmentMode="INCREMENTAL",
        billingInterval="PT1H",
    )


def cleared(p_kw: float) -> InputSignal:
    """The outcome of the gate for one participant."""
    return InputSignal(
        signalId="market-clearing-price",
        signalType="PRICE",
        clearedPowerKW=p_kw,
        price=PRICE,
        gridNode="tx-1",
        source=SignalSource(era="market"),
        timestamp=clock("13:55"),
    )


def bid(era: str, offer_curve: OfferCurve, node: str) -> AggregateParticipant:
    """A participant of one clearing."""
    return AggregateParticipant(era=era, gridNode=node, offerCurve=offer_curve)


def limit(era: str, parent: str, forward_kw: float, reverse_kw: float) -> AggregateNode:
    """A transformer of one clearing."""
    constraints = GridConstraints(maxForwardFlowKW=forward_kw, maxReverseFlowKW=reverse_kw)
    return AggregateNode(era=era, gridNode=parent, gridConstraints=constraints)


ROOT = AggregateNode(era="sub-1", gridConstraints=GridConstraints())


def problem(
    participants: tuple[AggregateParticipant, ...], *nodes: AggregateNode, slack: str | UnsetType = UNSET
) -> AggregateContent:
    """One market problem below the substation; ``slack`` takes what the others leave."""
    return AggregateContent(
        aggregationRequest=AggregationRequest(
            aggregationType="MARKET_CLEARING",
            timeWindow=HOUR,
            participants=participants,
            gridNodes=(ROOT, *nodes),
            k=0.5,
            priceFloor=-0.1,
            priceCap=1.0,
            slack=slack,
        )
    )


def outcome(
    price: float, kw: float, welfare: float, setpoints: tuple[Setpoint, ...], *nodes: NodeResult
) -> AggregatedContent:
    """The answer to a market problem, certified."""
    root = NodeResult(era="sub-1", locationalPrice=price, locationalPriceAdder=0.0, flowKW=0.0, binding=None)
    return AggregatedContent(
        aggregationResult=AggregationResult(
            clearingPrice=price,
            clearingQuantityKW=kw,
            setpoints=setpoints,
            gridNodes=(root, *nodes),
            welfare=welfare,
            certificate=CertificateBody(certified=True, violations=()),
            policy="locational",
            equilibria=(zone(price, kw, root.era, *(one.era for one in nodes)),),
        )
    )


def zone(price: float, kw: float, *nodes: str) -> Equilibrium:
    """Nodes that share the only price which clears them, with everybody served in full."""
    return Equilibrium(
        gridNodes=nodes, quantityLowKW=kw, quantityHighKW=kw, clearingType="EXACT", priceLow=price, priceHigh=price
    )


def node(era: str, price: float, flow_kw: float) -> NodeResult:
    """A transformer that holds nothing back."""
    return NodeResult(era=era, locationalPrice=price, locationalPriceAdder=0.0, flowKW=flow_kw, binding=None)


# The transformer has announced an adder; a market that finds prices itself does not look at it.
STREET = problem(
    (bid("solar-1", ROOF, "tx-1"), bid("solar-2", ROOF, "tx-1"), bid("ev-1", CAR, "tx-1")),
    msgspec.structs.replace(limit("tx-1", "sub-1", 50, 50), adderPerKWh=0.01),
)
STREET_CLEARED = outcome(
    PRICE,
    10.0,
    0.3983333333333333,
    (
        Setpoint(era="solar-1", setpointKW=5.0, price=PRICE),
        Setpoint(era="solar-2", setpointKW=5.0, price=PRICE),
        Setpoint(era="ev-1", setpointKW=-10.0, price=PRICE),
    ),
    node("tx-1", PRICE, 0.0),
)
TOWN = problem(
    (bid("vpp-sun", ROOFS, "tx-sun"), bid("vpp-cars", CARS, "tx-cars")),
    limit("tx-sun", "sub-1", 150, 150),
    limit("tx-cars", "sub-1", 150, 150),
)
TOWN_CLEARED = outcome(
    PRICE,
    100.0,
    3.9833333333333334,
    (Setpoint(era="vpp-sun", setpointKW=100.0, price=PRICE), Setpoint(era="vpp-cars", setpointKW=-100.0, price=PRICE)),
    node("tx-sun", PRICE, -100.0),
    node("tx-cars", PRICE, 100.0),
)
SUNNY = problem(
    (bid("vpp-sun", ROOFS, "tx-sun"), bid("supplier", curve((0.08, -1000.0), (0.08, 1000.0)), "sub-1")),
    limit("tx-sun", "sub-1", 150, 50),
    slack="supplier",
)
SUNNY_CLEARED = msgspec.structs.replace(
    outcome(
        0.08,
        50.0,
        1.191666666666666,
        (
            Setpoint(era="vpp-sun", setpointKW=50.0, price=0.06166666666666667),
            Setpoint(era="supplier", setpointKW=-50.0, price=0.08),
        ),
        NodeResult(
            era="tx-sun",
            locationalPrice=0.06166666666666667,
            locationalPriceAdder=-0.018333333333333333,
            flowKW=-50.0,
            binding="REVERSE",
        ),
    ).aggregationResult,
    accounts=(AccountBody(name="congestion rent", amountPerH=0.9166666666666666),),
    # The supplier would buy 1000 kW at its price and gets 50; behind the transformer the roofs are on their slope.
    equilibria=(
        msgspec.structs.replace(
            zone(0.08, 50.0, "sub-1"), clearingType="MARGINAL_BUYER", marginalSide="BUYER", marginalKW=50.0, theta=0.05
        ),
        zone(0.06166666666666667, 50.0, "tx-sun"),
    ),
)
ROW = msgspec.structs.replace(
    problem(
        (
            bid("roof-near", curve((0.05, 0.0), (0.05, 5.0)), "sub-1"),
            msgspec.structs.replace(bid("roof-far", curve((0.05, 0.0), (0.05, 5.0)), "sub-1"), adderPerKWh=-0.002),
            bid("supplier", curve((0.08, -1000.0), (0.08, 1000.0)), "sub-1"),
        ),
        slack="supplier",
    ).aggregationRequest,
    linearLimits=(
        LinearLimitBody(
            id="voltage at the last house",
            maximum=0.011,
            weights=(LimitWeight(era="roof-near", weight=0.001), LimitWeight(era="roof-far", weight=0.002)),
        ),
    ),
)
ROW_CLEARED = msgspec.structs.replace(
    outcome(
        0.08,
        8.0,
        0.24,
        (
            Setpoint(era="roof-near", setpointKW=5.0, price=0.066),
            Setpoint(era="roof-far", setpointKW=3.0, price=0.05, offsetKW=3.0),
            Setpoint(era="supplier", setpointKW=-8.0, price=0.08),
        ),
    ).aggregationResult,
    linearLimits=(LinearLimitResult(id="voltage at the last house", price=14.0, value=0.011, binding=True),),
    accounts=(AccountBody(name="congestion rent", amountPerH=0.154), AccountBody(name="losses", amountPerH=0.006)),
    # At its own price the far roof would give 5 kW and may give 3; the supplier would take 1000 and gets 8.
    equilibria=(
        Equilibrium(
            gridNodes=("sub-1",),
            quantityLowKW=5.0,
            quantityHighKW=10.0,
            clearingType="MARGINAL_PRICE",
            priceLow=0.08,
            priceHigh=0.08,
            marginalSide="BOTH",
            marginalKW=11.0,
            theta=0.010945273631840797,
        ),
    ),
)
# 225 of 200 kW: overload is a number above 100, and 0.001 a percent makes it 0.1125 dearer.
OVERLOADED = GridNode(
    ENERGY,
    nodeId="tx-1",
    nodeType="TRANSFORMER",
    gridNode="sub-1",
    gridConstraints=GridConstraints(maxForwardFlowKW=200, maxReverseFlowKW=200, currentLoadKW=225, capacityKW=200),
    locationalPriceAdder=LocationalPriceAdder(
        currentPrice=0.1125,
        basePrice=0.10,
        currentLoadPercent=112.5,
        priceAdderPerPercent=0.001,
        thresholdPercent=0,
        congestionMultiplier=1,
    ),
)
# Twenty roofs press against 50 kW of reverse flow: below the node energy is worth less.
BACKFED = GridNode(
    ENERGY,
    nodeId="tx-sun",
    nodeType="TRANSFORMER",
    gridNode="sub-1",
    gridConstraints=GridConstraints(maxForwardFlowKW=150, maxReverseFlowKW=50, currentLoadKW=-50, capacityKW=160),
    locationalPriceAdder=LocationalPriceAdder(currentPrice=-0.018333333333333333, basePrice=0.08),
    offsetCommand=OffsetCommand(offsetKW=-2, timeWindow=HOUR),
)
GRID = Catalog(
    id="utility/nodes",
    descriptor=Descriptor(name="Transformers"),
    provider=Provider(id="utility", descriptor=Descriptor(name="Utility")),
    resources=(Resource(id="tx-1", resourceAttributes=OVERLOADED), Resource(id="tx-sun", resourceAttributes=BACKFED)),
)


def metered(era: str, consumed_kwh: float, produced_kwh: float) -> tuple[Performance, ...]:
    """The hour at somebody's meter."""
    reading = MeterReading(
        timeWindow=HOUR, consumedEnergy=consumed_kwh, producedEnergy=produced_kwh, unit="kWh", quality="ACTUAL"
    )
    bag = EnergyDelivery(ENERGY, deliveryStatus="COMPLETED", meterId=f"meter-{era}", meterReadings=(reading,))
    return (Performance(id="2026-11-20T14", status=Descriptor(code="COMPLETED"), performanceAttributes=bag),)


def cycle(amount: float, *lines: SettlementLine) -> tuple[Settlement, ...]:
    """The hour's account with one participant."""
    bag = EnergySettlement(
        ENERGY, cycleId="2026-11-20T14", currency="USD", amount=amount, breakdown=lines, timeWindow=HOUR
    )
    return (Settlement(id="2026-11-20T14", status="COMPLETE", settlementAttributes=bag),)


CAR_PAYS = cycle(
    -0.93,
    SettlementLine(term="bought", amount=0.83, payer="ev-1", payee="market"),
    SettlementLine(term="fee", amount=0.10, payer="ev-1", payee="market"),
)
ROOF_HAS = cycle(
    0.37,
    SettlementLine(term="sold", amount=0.42, payer="market", payee="solar-1"),
    SettlementLine(term="fee", amount=0.05, payer="solar-1", payee="market"),
)


def closing(**word: str) -> tuple[Settlement, ...]:
    """What the car's contract came to in all, and somebody's word on it: the one hour is all there was."""
    (hour,) = CAR_PAYS
    assert isinstance(hour.settlementAttributes, EnergySettlement)
    bag = msgspec.structs.replace(
        hour.settlementAttributes,
        cycleId="closing",
        snapshotDigest="sha256:1b42c55ca2aec456f8440247617aecec0e36595a9310816a5bba9981862b2754",
        statementDigest="sha256:174db7af587aef88a9d60f23a34e9d2ece542135f1967bb3598e100b4126fd1b",
        **word,
    )
    return (Settlement(id="closing", status="COMMITTED", settlementAttributes=bag),)


HOST_SIGNS: Final = "ed25519:c2CvIgoFxfO2PQuqkImIYrVorFQEPZGDwcdkRmOuu2k7A5UwJFQYY5HpVwb0x9aGcOFOt2sg9XWf/9N1JwQOBA=="
CAR_SIGNS: Final = "ed25519:FNsp2Efd+Uvlv426tR0e6xhywmvfKQUUFPTVz/D491m070ooioCga+/S7ej20Sv0h5A3s0UQXhbJ7lnWnHN3Bg=="
BID = draft(EV, commitment("ev-1", OFFER, -11, "KW"), contractAttributes=terms("PENDING", "ev-1", CAR))
RUNNING = become(BID, "ACTIVE", contractAttributes=terms("ACTIVE", "ev-1", CAR, (cleared(-10),)))
SUN_BID = draft(SUN, commitment("solar-1", OFFER, 5, "KW"), contractAttributes=terms("PENDING", "solar-1", ROOF))
SUN_RUNNING = become(SUN_BID, "ACTIVE", contractAttributes=terms("ACTIVE", "solar-1", ROOF, (cleared(5),)))
ALL_ROOFS = draft(
    PORTFOLIO,
    commitment(
        "vpp-sun",
        OFFER,
        100,
        "KW",
        commitmentAttributes=EnergyIntent(
            ENERGY,
            intentId="vpp-sun/14",
            participantEra="vpp-sun",
            intentType="OFFER_CURVE",
            createdAt=clock("13:40"),
            offerCurveData=OfferCurveData(curve=ROOFS, rampRateKWPerMin=20, reference="ABSOLUTE"),
        ),
    ),
)
WISHES = draft(
    BATTERY,
    commitment(
        "battery-1",
        "vpp/member",
        5,
        "KW",
        commitmentAttributes=EnergyObjectives(
            ENERGY,
            targetChargeKWh=8,
            targetReductionKW=-2,
            deadline=clock("22:00"),
            maxPricePerKWh=0.12,
            preferredSource="SOLAR",
            location=Position(lat=52.52, lon=13.405, radiusMeters=5000),
            timeWindow=window("14:00", "22:00"),
        ),
    ),
)
MEMBER = EnergyContract(
    ENERGY,
    templateId="vpp-member",
    status="ACTIVE",
    roles=(
        ContractRole(role="AGGREGATOR", filled=True, filledBy="vpp"),
        ContractRole(role="PROSUMER", filled=True, filledBy="battery-1"),
    ),
    timeWindow=HOUR,
    # Two batteries would take either side of 4 kW at this price: 2 and 2; the aggregator moves 2 kW from the first.
    inputSignals=(InputSignal(signalId="price", signalType="PRICE", clearedPowerKW=2, price=PRICE, offsetKW=-2),),
    offsetCommand=OffsetCommand(offsetKW=-2),
)
DEVICE = EnergyResource(
    ENERGY,
    meterId="meter-battery-1",
    resourceType="BATTERY",
    gridNode="tx-1",
    accepts=("urn:ieee:std:2030.5:ns#DERControl",),
)
MEMBERSHIP = Catalog(
    id="vpp/members",
    descriptor=Descriptor(name="Portfolio"),
    provider=Provider(id="vpp", descriptor=Descriptor(name="Aggregator")),
    resources=(
        Resource(id="battery-1", resourceAttributes=DEVICE),
        Resource(id="vpp-sun", resourceAttributes=EnergyResource(ENERGY, resourceType="PORTFOLIO", gridNode="tx-sun")),
    ),
)


def peers(status: ContractState, result: TradeMarketInputs) -> EnergyContractP2PTrade:
    """A consumer's trade through the market; ten roofs lie on its other side."""
    demand = TradeProsumerInputs(sourceMeterId="meter-1207", offerCurve=curve((0.06, -50.0), (0.07, 0.0)))
    return EnergyContractP2PTrade(
        ENERGY,
        templateId="p2p-market",
        status=status,
        roles=(
            TradeMarket(filled=True, filledBy="market", roleInputs=result),
            TradeProsumer(filled=True, filledBy="home-12", roleInputs=demand),
            TradeGrid(filled=True, filledBy="utility", roleInputs=TradeGridInputs(wheelingCharges=0.025)),
        ),
        timeWindow=HOUR,
        inputParameters=InputParameters(approvedMaxTradeKWh=45, pricingModel="PAY_AS_CLEAR"),
    )


TRADED = TradeMarketInputs(marketMakingFee=0.01, clearingPrice=0.06375, clearedPower={"home-12": -31.25})
PEER_BID = draft(
    PEERS,
    commitment("home-12", OFFER, -50, "KW"),
    contractAttributes=peers("PENDING", TradeMarketInputs(marketMakingFee=0.01)),
)

search = SEARCH.ask("13:30:00", "discover", DiscoverContent(intent=SearchIntent(textSearch="EnergyOffer")))
init = EV.ask("13:40:00", "init", about(BID))
confirm = EV.ask("13:45:00", "confirm", about(BID), ttl_s=900)
sun_confirm = SUN.ask("13:45:00", "confirm", about(SUN_BID), ttl_s=900)
gate = GATE.ask("13:55:00", "aggregate", STREET)
town = CITY.ask("13:55:00", "aggregate", TOWN)
sunny = REVERSE.ask("13:55:00", "aggregate", SUNNY)
row = VOLTAGE.ask("13:55:00", "aggregate", AggregateContent(aggregationRequest=ROW))
portfolio = PORTFOLIO.ask("13:41:00", "select", about(ALL_ROOFS))
battery = BATTERY.ask("13:35:00", "select", about(WISHES))
peer_confirm = PEERS.ask("13:46:00", "confirm", about(PEER_BID), ttl_s=900)
nodes = NODES.ask("13:50:00", "catalog/publish", PublishContent(catalogs=(GRID, MEMBERSHIP)))
status = EV.ask("15:01:00", "status", asked(EV, RUNNING))
agreed = EV.ask("15:06:02", "update", about(become(RUNNING, "ACTIVE", settlements=closing(signature=CAR_SIGNS))))

MESSAGES = (
    # Who clears here?  The offer names a gate and no price.
    search,
    reply(search, CatalogsContent(catalogs=(CATALOG,))),
    # The car brings its curve, and commits to it until after the gate.
    init,
    reply(init, about(BID)),
    confirm,
    # So does a roof.
    sun_confirm,
    # Transformers tell their loads and what energy costs below them.
    nodes,
    reply(
        nodes,
        PublishedContent(
            results=(
                PublishResult(catalogId="utility/nodes", status="ACCEPTED"),
                PublishResult(catalogId="vpp/members", status="ACCEPTED"),
            )
        ),
    ),
    # The gate closes: one problem, one answer.
    gate,
    reply(gate, STREET_CLEARED),
    # Twenty roofs and ten cars as two portfolios, at the same price.
    town,
    reply(town, TOWN_CLEARED),
    # Twenty roofs behind 50 kW of reverse flow: 2.5 kW each, and 0.018333 below the price above.
    sunny,
    reply(sunny, AggregatedContent(aggregationResult=SUNNY_CLEARED)),
    # Two roofs along a street whose last house is near its highest voltage: the one at the end gives way, for 1 kW of it
    # lifts the voltage twice as much, and its losses cost a little.
    row,
    reply(row, AggregatedContent(aggregationResult=ROW_CLEARED)),
    # Price and power for each.
    reply(confirm, about(RUNNING), after_s=602),
    reply(sun_confirm, about(SUN_RUNNING), after_s=602),
    # What was metered, and what it comes to.
    status,
    reply(status, about(become(RUNNING, "ACTIVE", performance=metered("ev-1", 10, 0)))),
    EV.tell("15:05:00", "on_update", about(become(RUNNING, "ACTIVE", settlements=CAR_PAYS))),
    SUN.tell("15:05:00", "on_update", about(become(SUN_RUNNING, "ACTIVE", settlements=ROOF_HAS))),
    # The car's account is stated and signed by the market; the car finds it right and signs it too.
    EV.tell("15:06:00", "on_update", about(become(RUNNING, "ACTIVE", settlements=closing(signature=HOST_SIGNS)))),
    agreed,
    reply(agreed, about(RUNNING)),
    # An aggregator asks with a curve, its member with objectives from which somebody else derives one.
    portfolio,
    reply(portfolio, about(ALL_ROOFS)),
    battery,
    reply(battery, about(WISHES)),
    # The member is moved within what it is indifferent to.
    BATTERY.tell("13:56:00", "on_update", about(become(WISHES, "ACTIVE", contractAttributes=MEMBER))),
    # Ten roofs and a consumer clear at 0.06375 and 31.25 kW.
    peer_confirm,
    reply(peer_confirm, about(become(PEER_BID, "ACTIVE", contractAttributes=peers("ACTIVE", TRADED))), after_s=602),
)
