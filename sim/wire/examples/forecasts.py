"""Forecasts as something to look up, to subscribe to and to fetch; and what the catalogue service does besides."""

from __future__ import annotations

import hashlib
from typing import Final

from sim.rng import identifier
from sim.wire.bags import (
    ENERGY,
    EnergyContract,
    EnergyCredentials,
    EnergyForecast,
    EnergyOffer,
    ForecastValue,
    Quantiles,
)
from sim.wire.core import (
    Audience,
    Catalog,
    CatalogFilters,
    DeliveryPolicy,
    Descriptor,
    MasterReference,
    Offer,
    Pagination,
    Performance,
    Provider,
    PublishDirectives,
    PublishResult,
    PublishStats,
    Resource,
    ResourceDirective,
    RetryPolicy,
    SearchIntent,
    Subscription,
    SubscriptionRequest,
    TimePeriod,
)
from sim.wire.examples.frame import DAY, Talk, about, asked, become, clock, commitment, draft, reply, window
from sim.wire.messages import (
    CatalogsContent,
    DiscoverContent,
    MasterSearchContent,
    PublishContent,
    PublishedContent,
    PullContent,
    PulledContent,
    SubscribeContent,
    SubscribedContent,
)

PUBLISH: Final = Talk("forecast: publish", "forecaster", "exchange")
SEARCH: Final = Talk("forecast: search", "household-4", "exchange")
CALLS: Final = Talk("forecast: by call", "household-4", "forecaster")
FEED: Final = Talk("forecast: feed", "household-4", "exchange")
NETWORK: Final = "degsim/street"


def expected(hour: int, price: float, spread: float) -> ForecastValue:
    """The price of one hour, and between what it will probably lie."""
    quantiles = Quantiles(p10=round(price - spread, 4), p50=price, p90=round(price + spread, 4))
    return ForecastValue(timeWindow=window(f"{hour}:00", f"{hour + 1}:00"), value=price, quantiles=quantiles)


PRICES = EnergyForecast(
    ENERGY,
    variable="PRICE",
    unit="USD/kWh",
    resolution="PT3600S",
    horizon="PT10800S",
    issuedAt=clock("12:00"),
    validFor="PT21600S",
    place="tx-1",
    values=(expected(14, 0.0833, 0.01), expected(15, 0.091, 0.012), expected(16, 0.11, 0.02)),
)
FILE: Final = b'{"values":[]}'
SUN = EnergyForecast(
    ENERGY,
    variable="PV",
    unit="kW",
    resolution="PT900S",
    horizon="PT86400S",
    issuedAt=clock("12:00"),
    url=f"https://forecaster.degsim.example/pv/{DAY}.json",
    sha256=hashlib.sha256(FILE).hexdigest(),
)
FREE = EnergyOffer(
    ENERGY,
    templateId="forecast",
    openRole="BUYER",
    pricingModel="FIXED",
    currency="USD",
    pricePerKWh=0.0,
    credentials=EnergyCredentials(ENERGY, required=("UtilityCustomerCredential",), verificationStatus="PENDING"),
)
CATALOG = Catalog(
    id="forecaster/today",
    descriptor=Descriptor(name="Forecasts of today"),
    provider=Provider(id="forecaster", descriptor=Descriptor(name="Forecaster")),
    validity=TimePeriod(startDate=clock("12:00"), endDate=clock("18:00")),
    publishDirectives=PublishDirectives(
        catalogType="regular",
        updateMode="FULL",
        resourceDirectives=(
            ResourceDirective(resourceId="price", extends=MasterReference(masterResourceId="master/price-forecast")),
        ),
    ),
    resources=(
        Resource(id="price", descriptor=Descriptor(name="Price at tx-1"), resourceAttributes=PRICES),
        Resource(id="pv", descriptor=Descriptor(name="Sun over the street"), resourceAttributes=SUN),
    ),
    offers=(
        Offer(
            id="forecaster/free",
            resourceIds=("price", "pv"),
            availableTo=(Audience(type="NETWORK", id=NETWORK),),
            offerAttributes=FREE,
        ),
    ),
)
MASTER = Catalog(
    id="master",
    descriptor=Descriptor(name="Kinds of resources"),
    provider=Provider(id="exchange", descriptor=Descriptor(name="Exchange")),
    resources=(Resource(id="master/price-forecast", descriptor=Descriptor(name="A forecast of prices")),),
)
WISH = SubscriptionRequest(
    networkIds=(NETWORK,),
    schemaTypes=("EnergyForecast",),
    callbackUrl="https://household-4.degsim.example/beckn",
    deliveryPolicy=DeliveryPolicy(
        timeoutSeconds=30, retryPolicy=RetryPolicy(maxRetries=3, initialDelaySeconds=5, backoffMultiplier=2.0)
    ),
)
SUBSCRIBED = Subscription(
    id=identifier(0, "example", "subscription"),
    status="ACTIVE",
    networkIds=(NETWORK,),
    schemaTypes=("EnergyForecast",),
    createdAt=clock("11:00:02"),
)

BOUGHT = draft(
    CALLS,
    commitment("price", "forecaster/by-call", 0.0),
    contractAttributes=EnergyContract(ENERGY, templateId="forecast-by-call", status="ACTIVE"),
)
HANDED = become(
    BOUGHT,
    "ACTIVE",
    performance=(Performance(id="price/1", status=Descriptor(code="COMPLETED"), performanceAttributes=PRICES),),
)

publish = PUBLISH.ask("12:00:00", "catalog/publish", PublishContent(catalogs=(CATALOG,)))
search = SEARCH.ask("12:10:00", "discover", DiscoverContent(intent=SearchIntent(textSearch="EnergyForecast")))
subscribe = FEED.ask("11:00:00", "catalog/subscription", SubscribeContent(subscription=WISH))
pull = FEED.ask("12:20:00", "catalog/pull", PullContent(mode="FULL", catalogIds=("forecaster/today",), limit=10))
history = FEED.ask(
    "12:21:00",
    "catalog/pull",
    PullContent(
        mode="INCREMENTAL",
        filters=CatalogFilters(networkIds=(NETWORK,), schemaTypes=("EnergyForecast",)),
        fromDate=clock("00:00"),
        toDate=clock("12:00"),
    ),
)
kinds = FEED.ask(
    "12:30:00",
    "catalog/master_search",
    MasterSearchContent(
        filters=CatalogFilters(schemaTypes=("EnergyForecast",)), pagination=Pagination(limit=20, offset=0)
    ),
)
call = CALLS.ask("12:40:00", "status", asked(CALLS, BOUGHT))

MESSAGES = (
    # Tell me of every new forecast.
    subscribe,
    reply(subscribe, SubscribedContent(subscriptions=(SUBSCRIBED,))),
    # Prices with their values inside, sun by its address.
    publish,
    reply(
        publish,
        PublishedContent(
            results=(
                PublishResult(
                    catalogId="forecaster/today",
                    status="ACCEPTED",
                    stats=PublishStats(itemCount=2, providerCount=1, categoryCount=0),
                ),
            )
        ),
    ),
    search,
    reply(search, CatalogsContent(catalogs=(CATALOG,))),
    # The catalogue whole …
    pull,
    reply(pull, PulledContent(catalogs=(CATALOG,))),
    # … or every version of a morning, as a file to fetch.
    history,
    reply(
        history,
        PulledContent(
            objectUrl="https://exchange.degsim.example/pulls/1.json", sha256=hashlib.sha256(FILE).hexdigest()
        ),
    ),
    # Which kinds of resources are there?
    kinds,
    reply(kinds, CatalogsContent(catalogs=(MASTER,))),
    # One that is paid for by the call: asked for, and handed over.
    call,
    reply(call, about(HANDED)),
)
