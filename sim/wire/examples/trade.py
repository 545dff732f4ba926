"""Trade between meters: at a fixed price with a cascaded leg to the utility, across two utilities, under a tariff.

Fixed: 10 kWh at 0.15 are 1.50, and wheeling of 0.025 a kWh is 0.25; the buyer pays 1.75.  Tariff: 40 kWh at 0.20 and 60 kWh at
0.10 are 14.00, and 16.52 with 18 % tax.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sim.wire.bags import (
    ENERGY,
    AllocatedReading,
    ContractFlow,
    CredentialStatus,
    EnergyContractP2PTrade,
    EnergyCredentials,
    EnergyCustomer,
    EnergyIntent,
    EnergyOrderItem,
    EnergyResource,
    EnergySettlement,
    EnergyTradeDelivery,
    EnergyTradeOffer,
    EnergyTradeOrder,
    EnergyTradeOrderInterUtility,
    GovernmentRole,
    InputParameters,
    PriceBody,
    PriceComponent,
    RevenueFlows,
    SettlementLine,
    SourceVerification,
    Tariff,
    TariffElement,
    TariffRestrictions,
    TaxedPrice,
    TradeBuyer,
    TradeBuyerInputs,
    TradeGrid,
    TradeGridInputs,
    TradeSeller,
    TradeSellerInputs,
    UnitQuantity,
    VerifiableCredential,
)
from sim.wire.bags.contracts import ContractState, RicardianContract
from sim.wire.bags.credentials import CredentialProof
from sim.wire.bags.tariff import EnergySource
from sim.wire.bags.trade import TimeOfDayRate, TimeRange, WheelingCharges
from sim.wire.core import (
    Catalog,
    Descriptor,
    Filters,
    Offer,
    Participant,
    Performance,
    Provider,
    Resource,
    SearchIntent,
    Settlement,
)
from sim.wire.examples.frame import (
    Talk,
    about,
    asked,
    become,
    clock,
    commitment,
    draft,
    ld_window,
    price,
    reply,
    sha256,
    window,
)
from sim.wire.messages import CatalogsContent, DiscoverContent

NEXT: Final = "2026-11-21"
SELLS: Final = "roof-9"
OFFER: Final = "co-op/roof-9/0.15"
SOURCE: Final = "meter-9001"
TARGET: Final = "meter-1207"
SEARCH: Final = Talk("trade: search", "buyer-app", "exchange")
TALK: Final = Talk("trade", "buyer-app", "solar-co-op")
GRID: Final = Talk("trade: grid", "solar-co-op", "utility")
ACROSS: Final = Talk("trade: two utilities", "buyer-app", "solar-co-op")
TARIFF: Final = Talk("trade: tariff", "buyer-app", "retailer")

GENERATES = VerifiableCredential(
    ld=("https://www.w3.org/ns/credentials/v2",),
    type=("VerifiableCredential", "GenerationProfileCredential"),
    issuer="did:web:utility.degsim.example",
    id="urn:uuid:7d0f9c6e-51b4-4b53-9c43-0d7f1b8f9a10",
    validFrom=clock("00:00", "2026-01-01"),
    validUntil=clock("00:00", "2028-01-01"),
    credentialSubject={"id": "did:web:solar-co-op.degsim.example", "generationType": "SOLAR", "capacityKW": 6.5},
    credentialStatus=CredentialStatus(
        id="https://utility.degsim.example/status/1#2107",
        type="BitstringStatusListEntry",
        statusPurpose="revocation",
        statusListIndex="2107",
        statusListCredential="https://utility.degsim.example/status/1",
    ),
    proof=CredentialProof(
        type="DataIntegrityProof",
        cryptosuite="eddsa-jcs-2022",
        created=clock("00:00", "2026-01-01"),
        verificationMethod="did:web:utility.degsim.example#key-1",
        proofPurpose="assertionMethod",
        proofValue="z3gqiciGBt4hBHxuVKsLVdYBG5ahQDdLa7L7CWYJT9jDsMRsPWNqHFHGzgeYmWyWnUW2WALZQcnM3j5gfntQ7PL4C",
    ),
)
CO_OP = Provider(
    id="solar-co-op",
    descriptor=Descriptor(name="Solar co-operative"),
    providerAttributes=EnergyCredentials(ENERGY, presented=(GENERATES,), verificationStatus="VERIFIED"),
)
ROOF = EnergyResource(
    ENERGY,
    meterId=SOURCE,
    resourceType="SOLAR",
    gridNode="tx-1",
    sourceType="SOLAR",
    deliveryMode="GRID_INJECTION",
    certificationStatus="certified",
    availableQuantity=24,
    productionWindow=(ld_window("09:00", "16:00", NEXT),),
    sourceVerification=SourceVerification(verified=True, verificationDate=clock("00:00", "2026-01-01")),
    productionAsynchronous=True,
)
FOR_SALE = EnergyTradeOffer(
    ENERGY,
    pricingModel="PER_KWH",
    settlementType="DAILY",
    sourceMeterId=SOURCE,
    wheelingCharges=WheelingCharges(amount=0.025, currency="USD", description="a kWh, to the utility"),
    minimumQuantity=1,
    maximumQuantity=24,
    validityWindow=ld_window("00:00", "18:00"),
    price=PriceBody(currency="USD", value=0.15, unitText="kWh"),
    maxQuantity=UnitQuantity(unitText="kWh", unitCode="KWH", unitQuantity=24),
    timeWindow=ld_window("09:00", "16:00", NEXT),
)
BY_HOUR = EnergyTradeOffer(
    ENERGY,
    pricingModel="TIME_OF_DAY",
    sourceMeterId=SOURCE,
    timeOfDayRates=(
        TimeOfDayRate(timeRange=TimeRange(start="09:00:00", end="12:00:00"), rate=0.16, currency="USD"),
        TimeOfDayRate(timeRange=TimeRange(start="12:00:00", end="16:00:00"), rate=0.14, currency="USD"),
    ),
)
CATALOG = Catalog(
    id="solar-co-op/tomorrow",
    descriptor=Descriptor(name="Solar energy of tomorrow"),
    provider=CO_OP,
    resources=(Resource(id=SELLS, descriptor=Descriptor(name="Roof 9"), resourceAttributes=ROOF),),
    offers=(
        Offer(id=OFFER, resourceIds=(SELLS,), offerAttributes=FOR_SALE),
        Offer(id=f"{SELLS}/by-hour", resourceIds=(SELLS,), offerAttributes=BY_HOUR),
    ),
)
WANTED = SearchIntent(
    textSearch="EnergyResource",
    filters=Filters(
        type="jsonpath",
        expression="$[?(@.resourceAttributes.sourceType == 'SOLAR' && @.resourceAttributes.availableQuantity >= 10)]",
    ),
)
SELLER_AT_UTILITY = EnergyCustomer(
    ENERGY, meterId=SOURCE, sanctionedLoad=8, utilityCustomerId="C-9001", utilityId="utility"
)
BUYER_AT_UTILITY = EnergyCustomer(
    ENERGY, meterId=TARGET, sanctionedLoad=12, utilityCustomerId="C-1207", utilityId="utility"
)
PARTIES = (
    Participant(id=SELLS, descriptor=Descriptor(code="SELLER"), participantAttributes=SELLER_AT_UTILITY),
    Participant(id="home-12", descriptor=Descriptor(code="BUYER"), participantAttributes=BUYER_AT_UTILITY),
)


def carried(buyer_kwh: float, seller_kwh: float) -> TradeGrid:
    """The utility: 0.025 a kWh; 50 and 100 kWh may be traded at the two meters, and so much already is."""
    caps = TradeGridInputs(
        wheelingCharges=0.025,
        buyerTradeCap=50,
        sellerTradeCap=100,
        currentBuyerTradesTotal=buyer_kwh,
        currentSellerTradesTotal=seller_kwh,
    )
    return TradeGrid(filled=True, filledBy="utility", roleInputs=caps)


def terms(status: ContractState, grid: TradeGrid) -> EnergyContractP2PTrade:
    """10 kWh of tomorrow's sun at 0.15."""
    sold = TradeSellerInputs(sourceMeterId=SOURCE, sourceType="SOLAR", pricePerKWh=0.15, currency="USD")
    bought = TradeBuyerInputs(
        targetMeterId=TARGET,
        contractedQuantity=10,
        tradeStartTime=clock("10:00", NEXT),
        tradeEndTime=clock("12:00", NEXT),
    )
    flows = (
        ContractFlow(
            name="energy",
            description="as contracted",
            formula="contractedQuantity * pricePerKWh",
            payer="BUYER",
            payee="SELLER",
        ),
        ContractFlow(
            name="wheeling",
            description="per kWh",
            formula="contractedQuantity * wheelingPerKWh",
            payer="BUYER",
            payee="GRID_OPERATOR",
        ),
    )
    return EnergyContractP2PTrade(
        ENERGY,
        templateId="p2p-fixed",
        status=status,
        roles=(
            TradeSeller(filled=True, filledBy=SELLS, roleInputs=sold),
            TradeBuyer(filled=True, filledBy="home-12", roleInputs=bought),
            grid,
        ),
        timeWindow=window("10:00", "12:00", NEXT),
        # The lesser of 50 - 5 at the buyer's meter and 100 - 20 at the seller's.
        inputParameters=InputParameters(approvedMaxTradeKWh=45, wheelingPerKWh=0.025, pricingModel="FIXED"),
        revenueFlows=RevenueFlows(flows=flows, netZero=True),
        fulfillmentMode="POST_FULFILLMENT",
    )


def half(start: str, end: str, allocated_kwh: float) -> AllocatedReading:
    """What one hour's reading gave to the trade."""
    return AllocatedReading(
        timeWindow=ld_window(start, end, NEXT), allocatedEnergy=allocated_kwh, producedEnergy=6.0, unit="kWh"
    )


def delivery(code: str, bag: EnergyTradeDelivery) -> tuple[Performance, ...]:
    """The one performance of a trade."""
    return (Performance(id="delivery-1", status=Descriptor(code=code), performanceAttributes=bag),)


FIRST_HOUR = EnergyTradeDelivery(
    ENERGY,
    deliveryStatus="IN_PROGRESS",
    deliveryMode="GRID_INJECTION",
    deliveredQuantity=5,
    meterReadings=(half("10:00", "11:00", 5),),
)
DELIVERED = EnergyTradeDelivery(
    ENERGY,
    deliveryStatus="COMPLETED",
    deliveryMode="GRID_INJECTION",
    deliveredQuantity=10,
    meterReadings=(half("10:00", "11:00", 5), half("11:00", "12:00", 5)),
    lastUpdated=clock("12:05", NEXT),
)
CURTAILED = EnergyTradeDelivery(
    ENERGY,
    deliveryStatus="COMPLETED",
    deliveredQuantity=6,
    curtailedQuantity=4,
    curtailmentReason="GRID_OUTAGE",
    lastUpdated=clock("12:05", NEXT),
)
CYCLE = EnergySettlement(
    ENERGY,
    cycleId="trade-1",
    currency="USD",
    amount=-1.75,
    timeWindow=window("10:00", "12:00", NEXT),
    breakdown=(
        SettlementLine(term="energy", amount=1.5, payer="home-12", payee=SELLS),
        SettlementLine(term="wheeling", amount=0.25, payer="home-12", payee="utility"),
    ),
)
EVENING = Tariff(
    ENERGY,
    currency="USD",
    direction="IMPORT",
    elements=(
        TariffElement(
            priceComponents=(PriceComponent(type="ENERGY", price=0.20, vat=18, stepSize=1),),
            restrictions=TariffRestrictions(startTime="18:00", endTime="22:00"),
        ),
        TariffElement(
            priceComponents=(PriceComponent(type="ENERGY", price=0.10, vat=18, stepSize=1),),
            restrictions=TariffRestrictions(startTime="22:00", endTime="18:00"),
        ),
    ),
    minPrice=TaxedPrice(exclVat=0.0, inclVat=0.0),
    energyMix=(EnergySource(source="SOLAR", share=0.3), EnergySource(source="GRID", share=0.7)),
)


TEXT: Final = "The retailer delivers 100 kWh overnight at the tariff of this contract."
SIGNED = RicardianContract(
    humanReadableText=TEXT,
    humanReadableTextHash=sha256(TEXT.encode()),
    machineReadableHash=sha256(msgspec.json.encode(EVENING)),
    combinedHash=sha256(TEXT.encode() + msgspec.json.encode(EVENING)),
    legalJurisdiction="IN-KA",
    contractVersion="1",
)


def under_tariff(status: ContractState) -> EnergyContractP2PTrade:
    """100 kWh overnight, at whatever the tariff says."""
    return EnergyContractP2PTrade(
        ENERGY,
        templateId="p2p-tariff",
        status=status,
        roles=(
            TradeSeller(
                filled=True,
                filledBy="retailer",
                roleInputs=TradeSellerInputs(sourceMeterId="meter-1", sourceType="GRID", tariff=EVENING),
            ),
            TradeBuyer(
                filled=True,
                filledBy="home-12",
                roleInputs=TradeBuyerInputs(
                    targetMeterId=TARGET,
                    contractedQuantity=100,
                    tradeStartTime=clock("18:00"),
                    tradeEndTime=clock("06:00", NEXT),
                ),
            ),
            GovernmentRole(filled=True, filledBy="treasury"),
        ),
        inputParameters=InputParameters(taxRate=0.18, pricingModel="TIME_OF_DAY"),
        ricardianContract=SIGNED,
    )


BY_TARIFF = EnergySettlement(
    ENERGY,
    cycleId="tariff-1",
    currency="USD",
    amount=-16.52,
    timeWindow=window("18:00", "23:59:59"),
    breakdown=(
        SettlementLine(term="40 kWh at 0.20", amount=8.0, payer="home-12", payee="retailer"),
        SettlementLine(term="60 kWh at 0.10", amount=6.0, payer="home-12", payee="retailer"),
        SettlementLine(term="18 % tax", amount=2.52, payer="home-12", payee="treasury"),
    ),
)
OFFERED_TARIFF = EnergyIntent(
    ENERGY, intentId="retailer/tou", participantEra="retailer", intentType="TARIFF", tariffData=EVENING
)

BEFORE, AFTER = carried(5, 20), carried(15, 30)
ASKED = draft(TALK, commitment(SELLS, OFFER, 10))
QUOTED = become(ASKED, "DRAFT", consideration=(price("USD", 1.5, ("UNIT", 1.5, "10 kWh at 0.15")),))
ORDERED = become(QUOTED, "DRAFT", participants=PARTIES, contractAttributes=terms("PENDING", TradeGrid(filled=False)))
TOTAL = price("USD", 1.75, ("UNIT", 1.5, "10 kWh at 0.15"), ("DELIVERY", 0.25, "10 kWh at 0.025"))
PENDING = become(ORDERED, "DRAFT", consideration=(TOTAL,), contractAttributes=terms("PENDING", BEFORE))
AGREED = become(PENDING, "ACTIVE", contractAttributes=terms("ACTIVE", AFTER))
SETTLED = become(
    AGREED,
    "COMPLETE",
    contractAttributes=terms("COMPLETED", AFTER),
    performance=delivery("COMPLETED", DELIVERED),
    settlements=(Settlement(id="trade-1", considerationId="total", status="COMPLETE", settlementAttributes=CYCLE),),
)
OUTAGE = become(
    AGREED,
    "ACTIVE",
    performance=delivery("CURTAILED_OUTAGE", CURTAILED),
    consideration=(
        price("USD", 1.05, ("UNIT", 0.9, "6 kWh at 0.15"), ("DELIVERY", 0.15, "6 kWh at 0.025"), code="REVISED"),
    ),
)
LINE = EnergyOrderItem(ENERGY, providerAttributes=SELLER_AT_UTILITY)
LEG = draft(
    GRID,
    commitment(SELLS, OFFER, 10, commitmentAttributes=LINE),
    participants=PARTIES,
    contractAttributes=EnergyTradeOrder(ENERGY, bap_id="buyer-app", bpp_id="solar-co-op", total_quantity=10),
)
LOCKED = become(LEG, "ACTIVE", contractAttributes=terms("ACTIVE", AFTER))
FAR = EnergyCustomer(ENERGY, meterId="meter-5501", utilityCustomerId="C-5501", utilityId="utility-south")
FAR_ORDER = draft(
    ACROSS,
    commitment(SELLS, OFFER, 12.5, commitmentAttributes=EnergyOrderItem(ENERGY, providerAttributes=SELLER_AT_UTILITY)),
    participants=(Participant(id="home-55", descriptor=Descriptor(code="BUYER"), participantAttributes=FAR),),
    contractAttributes=EnergyTradeOrderInterUtility(
        ENERGY,
        bap_id="buyer-app",
        bpp_id="solar-co-op",
        utilityIdBuyer="utility-south",
        utilityIdSeller="utility",
        total_quantity=12.5,
    ),
)
NIGHT = draft(TARIFF, commitment("retailer-grid", "retailer/tou", 100), contractAttributes=under_tariff("PENDING"))

search = SEARCH.ask("08:30:00", "discover", DiscoverContent(intent=WANTED))
select = TALK.ask("08:31:00", "select", about(ASKED))
init = TALK.ask("08:32:00", "init", about(ORDERED))
leg = GRID.ask("08:32:01", "init", about(LEG), parent=init)
confirm = TALK.ask("08:33:00", "confirm", about(PENDING))
lock = GRID.ask("08:33:01", "confirm", about(LEG), parent=confirm)
status = TALK.ask("11:01:00", "status", asked(TALK, AGREED))
across = ACROSS.ask("09:00:00", "init", about(FAR_ORDER))
tariff_select = TARIFF.ask("09:30:00", "select", about(draft(TARIFF, commitment("retailer-grid", "retailer/tou", 100))))
tariff_confirm = TARIFF.ask("09:31:00", "confirm", about(NIGHT))

MESSAGES = (
    # Who has 10 kWh of sun to sell tomorrow?
    search,
    reply(search, CatalogsContent(catalogs=(CATALOG,))),
    select,
    reply(select, about(QUOTED)),
    # The order names both meters …
    init,
    # … so the seller asks the utility, in a leg that descends from it, what wheeling costs and how much may be traded …
    leg,
    reply(leg, about(become(LEG, "DRAFT", contractAttributes=terms("PENDING", BEFORE)))),
    # … and answers with the total and the 45 kWh that are left.
    reply(init, about(PENDING), after_s=6),
    confirm,
    # The utility locks 10 kWh at either meter: 15 and 30 are traded now.
    lock,
    reply(lock, about(LOCKED)),
    reply(confirm, about(AGREED), after_s=6),
    # After the first hour.
    status,
    reply(status, about(become(AGREED, "ACTIVE", performance=delivery("IN_PROGRESS", FIRST_HOUR)))),
    # All is delivered: buyer −1.75, seller +1.50, grid +0.25.
    TALK.tell("12:10:00", "on_update", about(SETTLED)),
    # Or there was an outage: 6 of 10 kWh, and a revised price.
    TALK.tell("12:10:01", "on_update", about(OUTAGE)),
    # A buyer at another utility.
    across,
    reply(across, about(FAR_ORDER)),
    # Under a tariff: its elements are the price.
    tariff_select,
    reply(
        tariff_select,
        about(draft(TARIFF, commitment("retailer-grid", "retailer/tou", 100, commitmentAttributes=OFFERED_TARIFF))),
    ),
    tariff_confirm,
    reply(tariff_confirm, about(become(NIGHT, "ACTIVE", contractAttributes=under_tariff("ACTIVE")))),
    TARIFF.tell(
        "23:59:59",
        "on_update",
        about(
            become(
                NIGHT,
                "ACTIVE",
                settlements=(Settlement(id="tariff-1", status="COMMITTED", settlementAttributes=BY_TARIFF),),
            )
        ),
    ),
)
