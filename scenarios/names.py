"""Names that every world has; no population may use them."""

from __future__ import annotations

MARKET = "market"
UTILITY = "utility"
RETAILER = "retailer"
CATALOGUE = "catalogue"
METERING = "metering"
FORECASTER = "forecaster"
TREASURY = "treasury"
"""Collects taxes; it has an account and no mailbox."""
ROOT = "grid"
"""The market's node above every transformer."""
EVERYWHERE = (CATALOGUE, METERING, TREASURY, ROOT)
"""Of these, what a world without a market has too."""
RESERVED = (MARKET, UTILITY, RETAILER, CATALOGUE, METERING, FORECASTER, TREASURY, ROOT)
