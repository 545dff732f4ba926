"""A provider: publishes items, quotes, agrees on terms, delivers, and settles; whatever the item is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import ClassVar

from msgspec import UNSET

from agents.admissions import Admissions
from agents.agreeing import Agreeing
from agents.convening import Convening
from agents.deal import Deal, Item
from agents.dealings import Dealings
from agents.delivering import Delivering
from agents.diary import DIARY, Entry, alarms
from agents.press import Press
from agents.recording import Recording
from agents.shelf import Shelf
from agents.till import Till
from agents.trade_record import LedgerClerk
from sim.clock import Calendar
from sim.participant import Ids, Participant, Registry
from sim.wire.bags import SupportInfo
from sim.wire.codes import Code, Refusal
from sim.wire.core import Provider as WireProvider
from sim.wire.core import Support
from sim.wire.messages import (
    SETUP_TTL_S,
    Alarm,
    CatalogsContent,
    DiscoverContent,
    Event,
    Message,
    PublishContent,
    RateContent,
    RatedContent,
    SupportContent,
)
from sim.wire.search import Asker, found


class Provider(Participant):
    """Offers items to whoever takes them.  How it comes to a deal, delivers and settles is in its components.

    listed: what the catalogue says of it.  meters: those that it can read.  support: where help is to be had.  diary: what it
    does unasked: ``interrupt`` and ``resume`` a session, ``withdraw`` from a deal, ``publish`` its items anew, ``extend`` an
    event.  admissions: of items that ask for one.  ledger: where deals on items of its customers are recorded.
    """

    kind = "provider"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        items: Sequence[Item],
        listed: WireProvider,
        catalogue: str,
        calendar: Calendar,
        currency: str,
        till: Callable[[Participant], Till],
        meters: Collection[str] = (),
        support: SupportInfo | None = None,
        diary: tuple[Entry, ...] = (),
        admissions: Admissions | None = None,
        ledger: str = "",
    ) -> None:
        super().__init__(registry, era, ids)
        self._catalogue = catalogue
        self._calendar = calendar
        self._support = support
        self._diary = diary
        self._shelf = Shelf(era, items, listed, calendar, currency)
        self._dealings = Dealings(self, items, calendar, currency, till(self), admissions)
        clerk = LedgerClerk(self, ledger, "SELLER")
        self._recording = Recording(self._dealings, clerk)
        self._convening = Convening(self._dealings)
        self._delivering = Delivering(self._dealings, self._convening, self._recording)
        self._agreeing = Agreeing(self._dealings, self._shelf, meters, self._delivering.bound)
        self.ratings: list[float] = []
        self.reactions |= {
            "discover": self.on_discover,
            **self._agreeing.reactions,
            **self._delivering.reactions,
            **self._convening.reactions,
            **clerk.reactions,
            "rate": self.on_rate,
            "support": self.on_support,
            "on_cancel": lambda _: (),
            "catalog/on_publish": lambda _: (),
            "issue": self.on_issue,
            DIARY: self.on_diary,
        }

    @property
    def deals(self) -> Mapping[str, Deal]:
        """Every deal by its id, in the order in which they were made."""
        return self._dealings.deals

    def handle(self, event: Event) -> Iterable[Event]:
        """As every participant; but a ``cancel`` can be tried: its consequences are told, and nothing changes."""
        if isinstance(event, Message) and event.tried and event.action == "cancel":
            return self._agreeing.on_cancel(event)
        return super().handle(event)

    def on_start(self, alarm: Alarm) -> Iterable[Event]:
        """Publish, and think of everything that is to be done by the clock."""
        for number, item in enumerate(self._shelf.items.values()):
            if item.press is not None:
                item.press.issue(alarm.at_s)
                yield from self._next_issue(0, number)
        yield self._publication()
        yield from alarms(self._diary, alarm.at_s)
        yield from self._convening.alarms()
        yield from self._delivering.alarms()

    def on_nack(self, message: Message) -> Iterable[Event]:
        """Somebody has refused what we said: a taker what was handed over, the ledger a trade, an approver a deal."""
        for component in (self._delivering, self._recording, self._agreeing):
            follows = component.refused(message)
            if follows is not None:
                return follows
        return super().on_nack(message)

    # what is on offer

    def on_discover(self, message: Message) -> Iterable[Event]:
        """What somebody who asks here finds of what is on offer."""
        assert isinstance(message.content, DiscoverContent)
        at = self._calendar.local(message.sent_s)
        catalogs = found((self._shelf.catalog(self.deals.values()),), message.content.intent, Asker.of(message), at)
        return (self.answer(message, CatalogsContent(catalogs=catalogs)),)

    def _publication(self) -> Message:
        content = PublishContent(catalogs=(self._shelf.catalog(self.deals.values()),))
        return self.request("catalog/publish", self._catalogue, content, self.ids.fresh(), SETUP_TTL_S)

    def _publish_again(self, now_s: int, entry: Entry) -> Iterable[Event]:
        del now_s
        if entry.about:
            self._shelf.put(entry.about, active=bool(entry.say.get("active", True)))
        return (self._publication(),)

    def on_issue(self, alarm: Alarm) -> Iterable[Event]:
        """Make what is sold by the call anew, and publish that there is something new."""
        self._press(alarm.index).issue(alarm.at_s)
        yield from self._next_issue(alarm.at_s, alarm.index)
        yield self._publication()

    def _press(self, number: int) -> Press:
        press = list(self._shelf.items.values())[number].press
        assert press is not None
        return press

    def _next_issue(self, since_s: int, number: int) -> Iterable[Alarm]:
        next_s = since_s + self._press(number).refresh_s
        return (Alarm(next_s, "issue", number),) if next_s < self._calendar.duration_s else ()

    # by the clock, and afterwards

    def on_diary(self, alarm: Alarm) -> Iterable[Event]:
        """Do what is due."""
        entry = self._diary[alarm.index]
        return self.VERBS[entry.do](self, alarm.at_s, entry)

    def _interrupt(self, now_s: int, entry: Entry) -> Iterable[Event]:
        return self._delivering.interrupt(now_s, entry)

    def _resume(self, now_s: int, entry: Entry) -> Iterable[Event]:
        return self._delivering.resume(now_s, entry)

    def _extend(self, now_s: int, entry: Entry) -> Iterable[Event]:
        return self._convening.extend(now_s, entry)

    def _withdraw(self, now_s: int, entry: Entry) -> Iterable[Event]:
        """Take back every deal of an item that has not begun, and tell why."""
        for deal in self.deals.values():
            if deal.is_open and deal.over_s is None and deal.began_s is None and entry.about in ("", deal.item.name):
                yield from self._dealings.withdrawn(deal, now_s, str(entry.say.get("reason", "")))

    def on_rate(self, message: Message) -> Iterable[Event]:
        """Take a rating, and thank for it."""
        assert isinstance(message.content, RateContent)
        ratings = message.content.ratingInputs
        self.ratings += [float(rating.range.value) for rating in ratings if rating.range.value is not UNSET]
        return (self.answer(message, RatedContent(ratings=ratings)),)

    def on_support(self, message: Message) -> Iterable[Event]:
        """Say where help is to be had.  Raises ``Refusal`` where there is none."""
        assert isinstance(message.content, SupportContent)
        if self._support is None:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/support", f"{self.era} has no support")
        support = Support(orderId=message.content.support.orderId, channels=(self._support,))
        return (self.answer(message, SupportContent(support=support)),)

    VERBS: ClassVar[Mapping[str, Callable[[Provider, int, Entry], Iterable[Event]]]] = {
        "interrupt": _interrupt,
        "resume": _resume,
        "withdraw": _withdraw,
        "publish": _publish_again,
        "extend": _extend,
    }
    """What its diary can have it do, by name."""
