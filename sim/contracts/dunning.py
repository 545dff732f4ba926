"""What follows when somebody does not pay: a warning, a fine, suspension; and the way back.

Days are counted from the due date, each by itself: a debt is late on the day after it, and each step comes on a day of its own
however often somebody looks.  What has been paid by then is judged, never what was paid afterwards::

    DUE ──► WARNED ──► FINED ──► SUSPENDED
      └────────┴─────────┴───────────┴──► CLEARED   once all is paid, fine included
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from sim.contracts.contract import Role, Settlement, Template, Term, settle
from sim.contracts.formula import compile_formula
from sim.errors import ContractError
from sim.ledger import EXACT, Posting, total_of


class Step(StrEnum):
    """How far a debt has come.  Only CLEARED is final."""

    DUE = "DUE"
    WARNED = "WARNED"
    FINED = "FINED"
    SUSPENDED = "SUSPENDED"
    CLEARED = "CLEARED"


@dataclass(frozen=True, slots=True)
class Ladder:
    """Days after the due date on which each step comes, and the fine.

    fine_share: of what is overdue on the day of the fine.  fine_fixed: in the debt's currency, on top.
    """

    warned_days: int = 1
    fined_days: int = 8
    suspended_days: int = 15
    fine_share: Decimal = Decimal("0.05")
    fine_fixed: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if not 0 < self.warned_days <= self.fined_days <= self.suspended_days:
            days = f"{self.warned_days}, {self.fined_days}, {self.suspended_days}"
            raise ContractError(
                "ladder", f"{days} days: each step comes after the due date and not before the one below it"
            )
        if self.fine_share < 0 or self.fine_fixed < 0:
            raise ContractError(
                "ladder", f"a fine of {self.fine_share} and {self.fine_fixed}: a fine is never negative"
            )

    def days(self, step: Step) -> int:
        """Days after the due date on which a step comes.  Raises ``KeyError`` for one that comes by paying."""
        return {
            Step.DUE: 0,
            Step.WARNED: self.warned_days,
            Step.FINED: self.fined_days,
            Step.SUSPENDED: self.suspended_days,
        }[step]


@dataclass(frozen=True, slots=True)
class Debt:
    """What somebody owes and until when.  interval: the one whose postings it comes from; amount: > 0."""

    id: str
    debtor: str
    creditor: str
    amount: Decimal
    currency: str
    due: date
    interval: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came, and the day on which it did."""

    amount: Decimal
    on: date


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a debt stands on a day.  owed: what is still to be paid, fine included.  history: each step and its day."""

    step: Step
    owed: Decimal
    fine: tuple[Posting, ...]
    history: tuple[tuple[Step, date], ...]

    @property
    def may_trade(self) -> bool:
        """Whether the debtor's new trades are taken."""
        return self.step is not Step.SUSPENDED


def fine_contract() -> Template:
    """The fine: the debtor (BUYER) pays its creditor (SELLER) a share of what is overdue, and a fixed part."""
    formula = compile_formula("overdue * fineShare + fineFixed", who="fine for late payment")
    return Template(
        id="late-payment",
        roles=(Role.BUYER, Role.SELLER),
        terms=(Term("fine for late payment", Role.BUYER, Role.SELLER, formula),),
        inputs=("fineShare", "fineFixed"),
        signals=("overdue",),
        description="A fine on what is overdue.",
    )


def standing(ladder: Ladder, debt: Debt, payments: Sequence[Payment], on: date) -> Standing:
    """Where a debt stands at the end of a day, from what was paid until then.

    A payment on the very day of a step comes before it.  Raises ``ContractError`` for a debt or a payment that is not positive.
    """
    wrong = [amount for amount in (debt.amount, *(payment.amount for payment in payments)) if amount <= 0]
    if wrong:
        raise ContractError(debt.id, f"{', '.join(map(str, wrong))}: debts and payments are positive")
    step, history = Step.DUE, [(Step.DUE, debt.due)]
    fine: tuple[Posting, ...] = ()
    for following in (Step.WARNED, Step.FINED, Step.SUSPENDED):
        day = debt.due + timedelta(days=ladder.days(following))
        if day > on or _owed(debt, fine, payments, day) <= 0:
            break
        step = following
        history.append((step, day))
        if step is Step.FINED:
            fine = _fine(ladder, debt, _owed(debt, fine, payments, day))
    owed = _owed(debt, fine, payments, on)
    if owed <= 0:
        step = Step.CLEARED
        history.append((step, _cleared_on(debt, fine, payments, on)))
    return Standing(step, max(owed, Decimal(0)), fine, tuple(history))


def may_trade(ladder: Ladder, debts: Iterable[tuple[Debt, Sequence[Payment]]], era: str, on: date) -> bool:
    """Whether nobody has had somebody suspended by that day."""
    return all(standing(ladder, debt, paid, on).may_trade for debt, paid in debts if debt.debtor == era)


def _owed(debt: Debt, fine: Iterable[Posting], payments: Iterable[Payment], on: date) -> Decimal:
    due = total_of((posting.amount for posting in fine), debt.amount)
    return EXACT.subtract(due, total_of(payment.amount for payment in payments if payment.on <= on))


def _cleared_on(debt: Debt, fine: Sequence[Posting], payments: Sequence[Payment], on: date) -> date:
    days = sorted(payment.on for payment in payments if payment.on <= on)
    return next(day for day in days if _owed(debt, fine, payments, day) <= 0)


def _fine(ladder: Ladder, debt: Debt, overdue: Decimal) -> tuple[Posting, ...]:
    inputs = {"fineShare": ladder.fine_share, "fineFixed": ladder.fine_fixed}
    roles: dict[str, str] = {Role.BUYER: debt.debtor, Role.SELLER: debt.creditor}
    contract = fine_contract().instantiate(f"{debt.id}/late", debt.currency, roles, inputs)
    return settle(Settlement(), contract, debt.interval, {"overdue": overdue})
