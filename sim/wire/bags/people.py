"""Who takes part, and how to reach them."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from sim.wire.bags.trade import EnergyCustomer
from sim.wire.basics import Bag, Email, Identifier, Text, Uri


class Buyer(Bag, frozen=True, kw_only=True):
    """A buyer's details."""

    role: Literal["BUYER", "SELLER", "INTERMEDIARY", "PAYER", "PAYEE", "FULFILLER"] | UnsetType = UNSET
    telephone: Identifier | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    taxID: Identifier | UnsetType = UNSET
    buyerAttributes: EnergyCustomer | UnsetType = UNSET


class SupportInfo(Bag, frozen=True, kw_only=True):
    """Where help is to be had."""

    name: Text | UnsetType = UNSET
    phone: Identifier | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    url: Uri | UnsetType = UNSET
    hours: Text | UnsetType = UNSET
    channels: tuple[SupportChannel, ...] | UnsetType = UNSET


SupportChannel = Literal["PHONE", "EMAIL", "WEB", "CHAT", "WHATSAPP", "IN_APP", "OTHER"]
