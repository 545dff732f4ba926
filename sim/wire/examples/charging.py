"""A driver charges at somebody's charge point: found along the route, reserved, charged, stopped early, paid and rated.

Quoted are 2.5 kWh for 143.95, delivered are 2.0 kWh for 117.16; 26.79 come back.
"""

from __future__ import annotations

from typing import Final

from sim.wire.bags import (
    ENERGY,
    Address,
    AggregatorRole,
    Buyer,
    BuyerFinderFee,
    ChargingBuyer,
    ChargingBuyerInputs,
    ChargingOffer,
    ChargingPointOperator,
    ChargingPreferences,
    ChargingSeller,
    ChargingSellerInputs,
    ChargingService,
    ChargingSession,
    ChargingStation,
    ContractFlow,
    EnergyContractEVCharging,
    EnergyIntent,
    EnergySettlement,
    GeoJSONGeometry,
    GovernmentRole,
    InputParameters,
    Location,
    Money,
    Payment,
    PaymentSettlement,
    Position,
    PriceBody,
    RevenueFlows,
    Route,
    ServicePreferences,
    ServiceRequestData,
    SettlementAccount,
    SettlementLine,
    SupportInfo,
    TaxedPrice,
    Telemetry,
    TelemetryMetric,
    TelemetrySource,
    UnitQuantity,
)
from sim.wire.bags.contracts import ContractState, Penalty, QualityMetric
from sim.wire.core import (
    Catalog,
    Category,
    Descriptor,
    Document,
    ErrorBody,
    Filters,
    FormSubmission,
    MediaFile,
    MediaInput,
    MediaSearch,
    MediaSearchOptions,
    Offer,
    Participant,
    Performance,
    Place,
    Provider,
    PublishResult,
    RatingInput,
    RatingRange,
    RatingSummary,
    RatingTarget,
    Resource,
    SearchIntent,
    Settlement,
    SpatialConstraint,
    Support,
    Tracking,
)
from sim.wire.examples.frame import (
    Talk,
    about,
    asked,
    become,
    clock,
    commitment,
    contract_id,
    draft,
    native,
    price,
    reply,
    window,
)
from sim.wire.messages import (
    CatalogsContent,
    DiscoverContent,
    PublishContent,
    PublishedContent,
    RateContent,
    RatedContent,
    SupportContent,
    TrackContent,
)
from sim.wire.search.service_request import compiled

POINT: Final = "IN*NOR*E042*1"
OFFER: Final = "north/per-kwh"
PUBLISH: Final = Talk("charging: publish", "charge-north", "exchange")
IMPOSTOR: Final = Talk("charging: publish again", "charge-south", "exchange")
SEARCH: Final = Talk("charging: search", "driver-app", "exchange")
TALK: Final = Talk("charging", "driver-app", "charge-north")
NO_SHOW: Final = Talk("charging: no show", "driver-app", "charge-north")

PLACE = GeoJSONGeometry(type="Point", coordinates=(77.5946, 12.9716))
ADDRESS = Address(streetAddress="18 Mill Road", addressLocality="Bengaluru", postalCode="560095", addressCountry="IN")
SERVICE = ChargingService(
    ENERGY,
    connectorType="CCS2",
    maxPowerKW=60,
    minPowerKW=5,
    evseId=POINT,
    reservationSupported=True,
    chargingStation=ChargingStation(id="north-mill-road", serviceLocation=Location(geo=PLACE, address=ADDRESS)),
    amenityFeature=("RESTAURANT", "WI-FI"),
    parkingType="OffStreet",
    powerType="DC",
    connectorFormat="CABLE",
    chargingSpeed="FAST",
    vehicleType="4-WHEELER",
    accepts=("urn:deg:native:ocpp:2.0.1:SetChargingProfileRequest",),
)
OPERATOR = Provider(
    id="charge-north",
    descriptor=Descriptor(name="Charge North"),
    availableAt=(Place(geo=PLACE, address=ADDRESS),),
    providerAttributes=ChargingPointOperator(
        ENERGY, operatorName="Charge North", operatorCode="NOR", supportEmail="help@charge-north.degsim.example"
    ),
)
IDLE_FEE = PriceBody(
    currency="INR", value=2.0, applicableQuantity=UnitQuantity(unitText="minute", unitCode="MIN", unitQuantity=1)
)
LISTED = Resource(
    id=POINT,
    descriptor=Descriptor(
        name="Mill Road, left",
        docs=(
            Document(
                label="how to plug in", mimeType="application/pdf", url="https://charge-north.degsim.example/plug.pdf"
            ),
        ),
        mediaFile=(MediaFile(mimeType="image/jpeg", uri="https://charge-north.degsim.example/mill-road.jpg"),),
    ),
    category=Category(codeValue="EV_CHARGING", name="Charging"),
    rating=RatingSummary(ratingValue=4.5, ratingCount=12),
    isActive=True,
    rateable=True,
    resourceAttributes=SERVICE,
)
CATALOG = Catalog(
    id="charge-north/points",
    descriptor=Descriptor(name="Charge points of Charge North"),
    provider=OPERATOR,
    bppId="charge-north",
    bppUri="https://charge-north.degsim.example/beckn",
    resources=(LISTED,),
    offers=(
        Offer(
            id=OFFER,
            resourceIds=(POINT,),
            descriptor=Descriptor(name="45.00 a kWh"),
            acceptedPaymentMethods=("UPI", "WALLET"),
            offerAttributes=ChargingOffer(ENERGY, tariffModel="PER_KWH", idleFeePolicy=IDLE_FEE),
        ),
    ),
)
SEARCHED = SearchIntent(
    textSearch="ChargingService",
    filters=Filters(
        type="jsonpath",
        expression="$[?(@.resourceAttributes.connectorType == 'CCS2' && @.resourceAttributes.maxPowerKW >= 50)]",
    ),
    spatial=(
        SpatialConstraint(
            op="S_DWITHIN",
            targets="$['resourceAttributes']['chargingStation']['serviceLocation']['geo']",
            geometry=GeoJSONGeometry(
                type="LineString", coordinates=([77.5946, 12.9716], [77.61, 12.99], [77.64, 13.0])
            ),
            distanceMeters=5000,
            quantifier="ANY",
        ),
    ),
)
PHOTOGRAPHED = SearchIntent(
    mediaSearch=MediaSearch(
        media=(MediaInput(type="image", url="https://driver-app.degsim.example/1.jpg", textHint="this connector"),),
        options=MediaSearchOptions(goals=("visual-object-detect",), augment_text_search=True),
    )
)
WISH = EnergyIntent(
    ENERGY,
    intentId="driver-7/2026-11-20",
    participantEra="ev-driver-7",
    intentType="SERVICE_REQUEST",
    createdAt=clock("17:39"),
    serviceRequestData=ServiceRequestData(
        requiredKWh=2.5,
        deadline=clock("18:30"),
        maxWaitTimeMinutes=10,
        route=Route(waypoints=(Position(lat=12.9716, lon=77.5946), Position(lat=13.0, lon=77.64)), radiusMeters=5000),
        preferences=ServicePreferences(maxPricePerKWh=50, preferredSource="SOLAR"),
    ),
)
QUOTE = price(
    "INR",
    143.95,
    ("UNIT", 112.50, "2.5 kWh at 45.00"),
    ("SURCHARGE", 20.00, "evening, 8.00 a kWh"),
    ("DISCOUNT", -15.00, "member, 6.00 a kWh"),
    ("FEE", 10.00, "service"),
    ("TAX", 13.64, "5.456 a kWh"),
    ("FEE", 2.81, "2.5 % of the energy, to whoever found the buyer"),
)
BILL = price(
    "INR",
    117.16,
    ("UNIT", 90.00, "2.0 kWh at 45.00"),
    ("SURCHARGE", 16.00, "evening, 8.00 a kWh"),
    ("DISCOUNT", -12.00, "member, 6.00 a kWh"),
    ("FEE", 10.00, "service"),
    ("TAX", 10.91, "5.456 a kWh"),
    ("FEE", 2.25, "2.5 % of the energy, to whoever found the buyer"),
    code="FINAL",
)
DRIVER = Participant(
    id="ev-driver-7",
    descriptor=Descriptor(code="BUYER", name="A. Driver"),
    participantAttributes=Buyer(ENERGY, role="BUYER", telephone="+91-80-5550-0107", email="driver@mail.example"),
)
ACCOUNTS = PaymentSettlement(
    ENERGY,
    settlementAccounts=(
        SettlementAccount(beneficiaryId="charge-north", accountHolderName="Charge North", vpa="north@bank"),
    ),
)


FLOWS = (
    ContractFlow(
        name="charging",
        description="energy at 45.00, surcharge 8.00 and discount 6.00 a kWh; service 10.00",
        formula="cdr.energyKWh * (pricePerKWh + 8 - 6) + 10",
        payer="BUYER",
        payee="SELLER",
    ),
    ContractFlow(
        name="tax", description="5.456 a kWh", formula="cdr.energyKWh * 5.456", payer="BUYER", payee="GOVERNMENT"
    ),
    ContractFlow(
        name="finder",
        description="2.5 % of the energy",
        formula="cdr.energyKWh * pricePerKWh * 0.025",
        payer="BUYER",
        payee="AGGREGATOR",
    ),
)


SLOW = Penalty(formula="cdr.energyKWh * 1", payer="SELLER", payee="BUYER")


def terms(status: ContractState) -> EnergyContractEVCharging:
    """The energy side: who pays whom for the session."""
    fee = BuyerFinderFee(feeType="PERCENTAGE", feeValue=2.5)
    seller = ChargingSellerInputs(
        pricePerKWh=45,
        currency="INR",
        connectorType="CCS2",
        maxPowerKW=60,
        minPowerKW=5,
        location=Position(lat=12.9716, lon=77.5946),
        buyerFinderFee=fee,
        idleFeePolicy=IDLE_FEE,
    )
    buyer = ChargingBuyerInputs(
        sessionPreferences=ChargingPreferences(startTime=clock("17:45"), endTime=clock("18:30")),
        vehicleMake="Vahana",
        vehicleModel="One",
    )
    return EnergyContractEVCharging(
        ENERGY,
        templateId="ev-charging",
        status=status,
        roles=(
            ChargingSeller(filled=True, filledBy=POINT, roleInputs=seller),
            ChargingBuyer(filled=True, filledBy="ev-driver-7", roleInputs=buyer),
            AggregatorRole(filled=True, filledBy="driver-app"),
            GovernmentRole(filled=True, filledBy="treasury"),
        ),
        timeWindow=window("17:45", "18:30"),
        inputParameters=InputParameters(gracePeriodMinutes=10, pricingModel="PER_KWH"),
        telemetrySources=(TelemetrySource(sourceId="cdr", sourceType="CHARGE_DATA_RECORD", fields=("energyKWh",)),),
        revenueFlows=RevenueFlows(flows=FLOWS, netZero=True),
        qualityMetrics=(
            QualityMetric(
                metricId="averageChargingPower", formula="cdr.energyKWh / cdr.hours", unit="KW", target=5, penalty=SLOW
            ),
        ),
        fulfillmentMode="POST_FULFILLMENT",
        reservationId="R-4711",
    )


def metered(time: str, energy_kwh: float, soc_percent: float) -> Telemetry:
    """What the charge point measured: 10 kW throughout, into a battery of 50 kWh."""
    return Telemetry(
        eventTime=clock(time),
        metrics=(
            TelemetryMetric(name="ENERGY", value=energy_kwh, unitCode="KWH"),
            TelemetryMetric(name="POWER", value=10.0, unitCode="KW"),
            TelemetryMetric(name="STATE_OF_CHARGE", value=soc_percent, unitCode="P1"),
        ),
    )


def performed(code: str, session: ChargingSession) -> tuple[Performance, ...]:
    """The one performance of the contract."""
    return (
        Performance(
            id="session-1",
            status=Descriptor(code=code),
            commitmentIds=(f"{OFFER}/1",),
            performanceAttributes=session,
        ),
    )


def paid(amount: Payment) -> tuple[Settlement, ...]:
    """The one settlement of the contract."""
    return (Settlement(id="payment-1", considerationId="total", status="COMMITTED", settlementAttributes=amount),)


PREPAID = Money(currency="INR", value=143.95)
INITIATED = Payment(
    ENERGY,
    paymentStatus="INITIATED",
    amount=PREPAID,
    paymentURL="https://pay.degsim.example/4711",
    acceptedPaymentMethod=("UPI", "WALLET"),
    beneficiary="BPP",
    paymentAttributes=ACCOUNTS,
)
COMPLETED = Payment(ENERGY, paymentStatus="COMPLETED", amount=PREPAID, txnRef="UPI-88123", paidAt=clock("17:42:30"))
REFUNDED = Payment(
    ENERGY, paymentStatus="PARTIALLY_REFUNDED", amount=Money(currency="INR", value=26.79), txnRef="UPI-88124"
)
CYCLE = EnergySettlement(
    ENERGY,
    cycleId="session-1",
    currency="INR",
    amount=-117.16,
    timeWindow=window("17:45", "18:00"),
    breakdown=(
        SettlementLine(term="energy, surcharge, discount, service", amount=104.0, payer="ev-driver-7", payee=POINT),
        SettlementLine(term="tax", amount=10.91, payer="ev-driver-7", payee="treasury"),
        SettlementLine(term="finder", amount=2.25, payer="ev-driver-7", payee="driver-app"),
    ),
)
PREPARING = ChargingSession(
    ENERGY, sessionStatus="PENDING", connectorStatus="PREPARING", connectorType="CCS2", reservationId="R-4711"
)
STARTED = ChargingSession(
    ENERGY,
    sessionStatus="ACTIVE",
    connectorType="CCS2",
    maxPowerKW=60,
    # The operator holds the car to 10 kW in its own protocol; the neutral fields stay what is billed.
    native=(
        native(
            "urn:deg:native:ocpp:2.0.1:SetChargingProfileRequest",
            {
                "evseId": 1,
                "chargingProfile": {
                    "id": 1,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "TxProfile",
                    "chargingProfileKind": "Absolute",
                    "chargingSchedule": [
                        {
                            "id": 1,
                            "chargingRateUnit": "W",
                            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10000.0}],
                        }
                    ],
                },
            },
            "urn:OCPP:Cp:2:2020:3:SetChargingProfileRequest",
        ),
    ),
)
HALFWAY = ChargingSession(
    ENERGY, sessionStatus="ACTIVE", meteredEnergyKWh=1.0, chargingTelemetry=(metered("17:51", 1.0, 60.0),)
)
INTERRUPTED = ChargingSession(
    ENERGY,
    sessionStatus="INTERRUPTED",
    connectorStatus="UNAVAILABLE",
    meteredEnergyKWh=1.0,
    lastUpdated=clock("17:51:20"),
)
STOP = ChargingSession(ENERGY, sessionStatus="STOP")
RECORD = ChargingSession(
    ENERGY,
    sessionStatus="COMPLETED",
    connectorStatus="AVAILABLE",
    buyerFinderFee=BuyerFinderFee(feeType="AMOUNT", feeValue=2.25),
    meteredEnergyKWh=2.0,
    meteredDurationMinutes=12,
    chargingTelemetry=(metered("17:51", 1.0, 60.0), metered("18:00", 2.0, 62.0)),
    totalCost=TaxedPrice(exclVat=106.25, inclVat=117.16),
    timeWindow=window("17:45", "18:00"),
)

ASKED = draft(TALK, commitment(POINT, OFFER, 2.5, commitmentAttributes=WISH))
QUOTED = draft(TALK, commitment(POINT, OFFER, 2.5), consideration=(QUOTE,))
ORDERED = become(QUOTED, "DRAFT", participants=(DRIVER,), settlements=paid(INITIATED))
PENDING = become(ORDERED, "DRAFT", contractAttributes=terms("PENDING"))
AGREED = become(PENDING, "ACTIVE", contractAttributes=terms("ACTIVE"), settlements=paid(COMPLETED))
RUNNING = become(AGREED, "ACTIVE", performance=performed("ACTIVE", STARTED))
CLOSED = become(
    AGREED,
    "COMPLETE",
    consideration=(BILL,),
    contractAttributes=terms("COMPLETED"),
    performance=performed("COMPLETED", RECORD),
    settlements=(
        *paid(REFUNDED),
        Settlement(id="session-1", considerationId="total", status="COMPLETE", settlementAttributes=CYCLE),
    ),
)
FORGONE = draft(NO_SHOW, commitment(POINT, OFFER, 2.5), consideration=(QUOTE,))
CANCELLED = become(
    FORGONE,
    "CANCELLED",
    contractAttributes=terms("TERMINATED"),
    settlements=paid(Payment(ENERGY, paymentStatus="REFUNDED", amount=PREPAID)),
)
TRACKING = Tracking(status="ACTIVE", url="https://driver-app.degsim.example/sessions/1")
RATING = RatingInput(
    target=RatingTarget(id="session-1", descriptor=Descriptor(name="Charging at Mill Road")),
    range=RatingRange(value=4, best=5, worst=1),
    feedbackFormSubmission=FormSubmission(data={"cleanliness": "good"}, submittedAt=clock("18:05")),
)
DESK = SupportInfo(
    ENERGY, name="Charge North", phone="+91-80-5550-0100", hours="around the clock", channels=("PHONE", "CHAT")
)

publish = PUBLISH.ask("08:00:00", "catalog/publish", PublishContent(catalogs=(CATALOG,)))
copied = IMPOSTOR.ask("08:05:00", "catalog/publish", PublishContent(catalogs=(CATALOG,)))
search = SEARCH.ask("17:40:00", "discover", DiscoverContent(intent=SEARCHED))
wished = SEARCH.ask("17:40:05", "discover", DiscoverContent(intent=compiled(WISH)))
picture = SEARCH.ask("17:40:10", "discover", DiscoverContent(intent=PHOTOGRAPHED))
select = TALK.ask("17:40:30", "select", about(ASKED))
init = TALK.ask("17:41:00", "init", about(ORDERED))
confirm = TALK.ask("17:43:00", "confirm", about(become(PENDING, "DRAFT", settlements=paid(COMPLETED))))
status = TALK.ask("17:44:00", "status", asked(TALK, AGREED))
start = TALK.ask("17:44:50", "update", about(RUNNING))
track = TALK.ask("17:51:00", "track", TrackContent(tracking=TRACKING))
stop = TALK.ask("18:00:00", "update", about(become(AGREED, "ACTIVE", performance=performed("STOP", STOP))))
rate = TALK.ask("18:05:00", "rate", RateContent(ratingInputs=(RATING,)))
support = TALK.ask("18:06:00", "support", SupportContent(support=Support(orderId=contract_id(TALK))))
cancel = NO_SHOW.ask("19:00:00", "cancel", asked(NO_SHOW, FORGONE))

MESSAGES = (
    # The operator puts its charge point into the catalogue, which takes it in …
    publish,
    reply(publish, PublishedContent(results=(PublishResult(catalogId="charge-north/points", status="ACCEPTED"),))),
    # … and refuses it to somebody else.
    copied,
    reply(
        copied,
        PublishedContent(
            results=(
                PublishResult(
                    catalogId="charge-north/points",
                    status="REJECTED",
                    errors=(
                        ErrorBody(
                            errorCode="PRC_CONFLICT",
                            errorMessage="this catalogue is charge-north's",
                            path="/message/catalogs/0/id",
                        ),
                    ),
                ),
            )
        ),
    ),
    # A driver looks for CCS2 of at least 50 kW within 5 km of the route.
    search,
    reply(search, CatalogsContent(catalogs=(CATALOG,))),
    # Or for what the driver wishes: 2.5 kWh by 18:30, along the way, for 50.00 a kWh at most.
    wished,
    reply(wished, CatalogsContent(catalogs=(CATALOG,))),
    # Or by a picture of the plug.
    picture,
    reply(picture, CatalogsContent(catalogs=(CATALOG,))),
    # How much for 2.5 kWh by 18:30?  143.95, part by part.
    select,
    reply(select, about(QUOTED)),
    # Reserve; these are the terms.
    init,
    reply(init, about(PENDING)),
    # The operator has the money.
    TALK.tell("17:42:30", "on_status", about(become(PENDING, "DRAFT", settlements=paid(COMPLETED)))),
    # Agreed.
    confirm,
    reply(confirm, about(become(AGREED, "ACTIVE", performance=performed("PENDING", PREPARING)))),
    # Is it ready?  The connector is.
    status,
    reply(status, about(become(AGREED, "ACTIVE", performance=performed("PENDING", PREPARING)))),
    # Start; the operator's own protocol travels along.
    start,
    reply(start, about(RUNNING)),
    # How far is it?  1.0 kWh.
    track,
    reply(
        track,
        TrackContent(
            tracking=Tracking(
                status="ACTIVE",
                url="https://charge-north.degsim.example/sessions/1",
                expiresAt=clock("18:30"),
                trackingAttributes=HALFWAY,
            )
        ),
    ),
    # The car has been interrupted; nobody had asked.
    TALK.tell(
        "17:51:20", "on_status", about(become(AGREED, "ACTIVE", performance=performed("INTERRUPTED", INTERRUPTED)))
    ),
    # Stop at 2.0 kWh; the record, the bill and what comes back.
    stop,
    reply(stop, about(CLOSED)),
    rate,
    reply(rate, RatedContent(ratings=(RATING,))),
    support,
    reply(support, SupportContent(support=Support(orderId=contract_id(TALK), channels=(DESK,)))),
    # Another driver stays away, and has everything back.
    cancel,
    reply(cancel, about(CANCELLED)),
)
