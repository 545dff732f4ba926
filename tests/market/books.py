"""Offers and markets as short as a drawing."""

from __future__ import annotations

from sim.curves import OfferCurve
from sim.market.problem import Limit, Offer, Problem

GRID = Limit("grid")


def demand(era: str, price: float, kw: float, node: str = "grid") -> Offer:
    """Takes ``kw`` at any price up to this one."""
    return Offer(era, node, OfferCurve.of([(price, -kw), (price, 0)]))


def supply(era: str, price: float, kw: float, node: str = "grid") -> Offer:
    """Gives ``kw`` at any price from this one on."""
    return Offer(era, node, OfferCurve.of([(price, 0), (price, kw)]))


def fixed(era: str, kw: float, node: str = "grid") -> Offer:
    """Injects (+) or withdraws (-) this much whatever the price."""
    return Offer(era, node, OfferCurve.of([(0, kw)]))


def retailer(buys_at: float, sells_at: float, kw: float = 1000.0, node: str = "grid") -> Offer:
    """A tariff without a limit that matters."""
    return Offer("retailer", node, OfferCurve.of([(buys_at, -kw), (buys_at, 0), (sells_at, 0), (sells_at, kw)]))


def street(*offers: Offer, import_kw: float = 100.0, export_kw: float = 100.0, **settings: object) -> Problem:
    """grid ──tx-1── everything else, and the retailer is the slack if there is one"""
    slack = next((offer.era for offer in offers if offer.era == "retailer"), None)
    return Problem(offers, (GRID, Limit("tx-1", "grid", import_kw, export_kw)), slack=slack, **settings)
