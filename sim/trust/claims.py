"""What an energy credential says of its holder: one type for each kind.

Attribute names are those of the published credentials, letter for letter.  Powers and energies are numbers in kW and kWh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from sim.trust.registries import Date, DateTime, Power, Text

Positive = Annotated[float, msgspec.Meta(gt=0)]


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what a credential says of its holder.  Members beyond those named here are let through."""


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a connection is.  country: ISO 3166-1 alpha-2."""

    fullAddress: Text
    postalCode: Text
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    city: Text | None = None
    district: Text | None = None
    stateProvince: Text | None = None


class UtilityCustomer(Claims, frozen=True, kw_only=True, omit_defaults=True):
    """Whose connection it is."""

    consumerNumber: Text
    fullName: Text
    installationAddress: Address
    meterNumber: Text
    serviceConnectionDate: Date
    maskedIdNumber: Text | None = None


class ConsumptionProfile(Claims, frozen=True, kw_only=True, omit_defaults=True):
    """What may be drawn [kW], and on which tariff."""

    consumerNumber: Text
    fullName: Text
    premisesType: Literal["Residential", "Commercial", "Industrial", "Agricultural"]
    connectionType: Literal["Single-phase", "Three-phase"]
    sanctionedLoadKW: Power
    tariffCategoryCode: Text
    meterNumber: Text | None = None


class GenerationProfile(Claims, frozen=True, kw_only=True, omit_defaults=True):
    """A generator and what it can inject [kW]."""

    consumerNumber: Text
    generationType: Literal["Solar", "Wind", "MicroHydro", "Other"]
    capacityKW: Positive
    commissioningDate: Date
    fullName: Text | None = None
    meterNumber: Text | None = None
    assetId: Text | None = None
    manufacturer: Text | None = None
    modelNumber: Text | None = None


class StorageProfile(Claims, frozen=True, kw_only=True, omit_defaults=True):
    """A store, its energy [kWh] and its power [kW]."""

    consumerNumber: Text
    storageCapacityKWh: Positive
    powerRatingKW: Positive
    commissioningDate: Date
    fullName: Text | None = None
    meterNumber: Text | None = None
    assetId: Text | None = None
    storageType: Literal["LithiumIon", "LeadAcid", "FlowBattery", "Other"] | None = None


class UtilityProgramEnrollment(Claims, frozen=True, kw_only=True, omit_defaults=True):
    """Taking part in a utility's programme; ``validUntil`` is its last day."""

    consumerNumber: Text
    programName: Text
    programCode: Text
    enrollmentDate: Date
    validUntil: Date | None = None
    fullName: Text | None = None


class MeterOwnership(Claims, frozen=True, kw_only=True, omit_defaults=True):
    """Whose meter it is."""

    meterId: Text
    utilityId: Text
    ownershipStatus: Text
    validFrom: DateTime | None = None
    validUntil: DateTime | None = None


class DERCertification(Claims, frozen=True, kw_only=True, omit_defaults=True):
    """That a resource was tested against a standard, and up to which power [kW]."""

    derId: Text
    standard: Text
    capacityKW: Positive
    meterId: Text | None = None


class GridInterconnectionApproval(Claims, frozen=True, kw_only=True, omit_defaults=True):
    """What a meter may exchange with the grid [kW]: numbers, because ``5 kW`` cannot be compared."""

    meterId: Text
    exportLimitKW: Power
    importLimitKW: Power | None = None


KINDS: Final[Mapping[str, type[Claims]]] = {
    f"{kind.__name__}Credential": kind
    for kind in (
        UtilityCustomer,
        ConsumptionProfile,
        GenerationProfile,
        StorageProfile,
        UtilityProgramEnrollment,
        MeterOwnership,
        DERCertification,
        GridInterconnectionApproval,
    )
}
"""Credential types that are known, and what each must say."""
