"""Where things are: GeoJSON and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from sim.wire.basics import Breach, Text, Wire

_DEPTH = {"Point": 0, "MultiPoint": 1, "LineString": 1, "Polygon": 2, "MultiLineString": 2, "MultiPolygon": 3}


class GeoJSONGeometry(Wire, frozen=True, kw_only=True):
    """A geometry of RFC 7946: positions are longitude, latitude and perhaps height."""

    type: Literal[
        "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"
    ]
    coordinates: tuple[Any, ...] | UnsetType = UNSET
    geometries: tuple[GeoJSONGeometry, ...] | UnsetType = UNSET
    bbox: Annotated[tuple[float, ...], Meta(min_length=4, max_length=4)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.type == "GeometryCollection") == (self.geometries is UNSET):
            raise Breach("coordinates, or geometries of a GeometryCollection", f"a {self.type} without")
        if self.type != "GeometryCollection":
            if self.coordinates is UNSET:
                raise Breach(f"coordinates of a {self.type}")
            for position in _positions(self.coordinates, _DEPTH[self.type]):
                _check_position(position)


def _positions(nested: Any, depth: int) -> Iterator[Any]:
    if depth == 0:
        yield nested
        return
    if not isinstance(nested, list | tuple):
        raise Breach(f"positions nested {depth} deep", f"{nested!r}")
    for inner in nested:
        yield from _positions(inner, depth - 1)


def _check_position(position: Any) -> None:
    if not isinstance(position, list | tuple) or not 2 <= len(position) <= 3:
        raise Breach("a position [longitude, latitude]", f"{position!r}")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in position):
        raise Breach("numbers for longitude and latitude", f"{position!r}")
    if not (-180 <= position[0] <= 180 and -90 <= position[1] <= 90):
        raise Breach("longitude within ±180 and latitude within ±90", f"{list(position)}")


class Address(Wire, frozen=True, kw_only=True):
    """A postal address."""

    streetAddress: Text | UnsetType = UNSET
    extendedAddress: Text | UnsetType = UNSET
    addressLocality: Text | UnsetType = UNSET
    addressRegion: Text | UnsetType = UNSET
    postalCode: Text | UnsetType = UNSET
    addressCountry: Text | UnsetType = UNSET


class Location(Wire, frozen=True, kw_only=True):
    """A place on the map, and its address."""

    geo: GeoJSONGeometry
    address: Address | Text | UnsetType = UNSET
    kind: Literal["beckn:Location"] | UnsetType = field(name="@type", default=UNSET)
