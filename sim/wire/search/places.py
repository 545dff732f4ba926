"""Where things are: the spatial operators of OGC CQL2 over GeoJSON geometries.

Positions are WGS 84 degrees, longitude first.  As RFC 7946 has it, edges are straight in longitude and latitude, and a geometry
across the antimeridian is cut there.  The topological operators compare in these degrees, where they are exact; S_DWITHIN
measures metres on the ellipsoid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import shapely
from msgspec import UNSET
from numpy.typing import NDArray

from sim.wire.bags import GeoJSONGeometry
from sim.wire.codes import Code, Refusal
from sim.wire.core import SpatialConstraint
from sim.wire.need import needed
from sim.wire.search.paths import Budget, Path, compile_path

Geometry: TypeAlias = Any
"""A geometry of shapely, which says nothing of its types."""

EQUATOR_M, FLATTENING = 6_378_137.0, 1 / 298.257223563
"""WGS 84 (NGA.STND.0036)."""
ECCENTRICITY_SQUARED = FLATTENING * (2 - FLATTENING)
STEP_DEG = 0.1
"""Edges are measured in pieces of this length, each of which lies within Δλ² R / 16 = 1.2 m of a geodesic between its ends."""
MOST_POSITIONS = 50_000
"""Positions that a geometry may have when its edges have been cut into pieces."""
CRS84 = ("EPSG:4326", "OGC:CRS84", "http://www.opengis.net/def/crs/OGC/1.3/CRS84")

TOPOLOGY: Mapping[str, Callable[[Geometry, Geometry], Any]] = {
    "S_WITHIN": shapely.within,
    "S_CONTAINS": shapely.contains,
    "S_INTERSECTS": shapely.intersects,
    "S_DISJOINT": shapely.disjoint,
    "S_OVERLAPS": shapely.overlaps,
    "S_CROSSES": shapely.crosses,
    "S_TOUCHES": shapely.touches,
    "S_EQUALS": shapely.equals,
}
"""What holds between a resource's geometry (first) and the one that was asked with, on the plane of degrees."""


class UnmappableError(ValueError):
    """Something that is no geometry, or none that can be computed with."""


def geometry_of(document: object) -> Geometry:
    """The geometry that a GeoJSON object means.  Raises ``UnmappableError``."""
    try:
        geometry = shapely.force_2d(shapely.from_geojson(msgspec.json.encode(document)))
    except (shapely.errors.ShapelyError, ValueError, TypeError) as error:
        raise UnmappableError(str(error)) from None
    if geometry is None or geometry.is_empty:
        raise UnmappableError("a geometry without positions")
    if shapely.get_dimensions(geometry) == 2 and not geometry.is_valid:
        raise UnmappableError(shapely.is_valid_reason(geometry))
    if shapely.length(geometry) / STEP_DEG + shapely.get_num_coordinates(geometry) > MOST_POSITIONS:
        raise UnmappableError(f"a geometry of more than {MOST_POSITIONS:,} positions, {STEP_DEG}° apart at most")
    return geometry


def distance_m(one: Geometry, other: Geometry) -> float:
    """Metres between two geometries at their nearest.

    Both are mapped about a point of one of them (``about``), where lengths from the centre are true and others hardly longer:
    by d² / 6R², a part in 10,000 at 150 km.
    """
    centre = other if other.geom_type == "Point" else one.point_on_surface()
    project = about(centre.x, centre.y)
    near, far = (shapely.transform(shapely.segmentize(each, STEP_DEG), project) for each in (one, other))
    return float(shapely.distance(near, far))


def about(lon: float, lat: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The azimuthal map about a point: degrees to metres east and north of it.

    Azimuthal: direction is that in which the straight line through the Earth leaves; length is the arc over that line, on the
    sphere with the ellipsoid's mean radius of curvature at the centre, √(MN).  Against the geodesic it is good to a part in
    50,000 up to 1,000 km.
    """
    origin = _cartesian(np.array([[lon, lat]]))[0]
    sin_lat, cos_lat = math.sin(math.radians(lat)), math.cos(math.radians(lat))
    sin_lon, cos_lon = math.sin(math.radians(lon)), math.cos(math.radians(lon))
    axes = np.array(
        [[-sin_lon, cos_lon, 0.0], [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat]]
    )  # towards east and north
    radius = EQUATOR_M * math.sqrt(1 - ECCENTRICITY_SQUARED) / (1 - ECCENTRICITY_SQUARED * sin_lat**2)

    def project(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        lines = _cartesian(degrees) - origin
        chord = np.linalg.norm(lines, axis=1)
        arc = 2 * radius * np.arcsin(np.minimum(chord / (2 * radius), 1.0))
        flat = lines @ axes.T
        length = np.linalg.norm(flat, axis=1)
        scale = np.divide(arc, length, out=np.zeros_like(arc), where=length > 0)
        return np.asarray(flat * scale[:, None], dtype=np.float64)

    return project


def _cartesian(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres from the Earth's centre of points on the ellipsoid, towards 0° E, 90° E and north."""
    lon, lat = np.radians(degrees).T
    normal = EQUATOR_M / np.sqrt(1 - ECCENTRICITY_SQUARED * np.sin(lat) ** 2)
    across = normal * np.cos(lat)
    return np.column_stack(
        [across * np.cos(lon), across * np.sin(lon), normal * (1 - ECCENTRICITY_SQUARED) * np.sin(lat)]
    )


@dataclass(frozen=True, slots=True)
class Spatial:
    """A spatial constraint that has been read."""

    holds_between: Callable[[Geometry, Geometry], bool]
    geometry: Geometry
    targets: tuple[Path, ...]
    quantifier: Literal["ANY", "ALL", "NONE"]

    def holds(self, item: dict[str, Any], budget: Budget) -> bool:
        """Whether an item satisfies this; one that is nowhere does not."""
        values = (value for target in self.targets for _, value in target.nodes(item, budget))
        places = [place for value in values if (place := _known(value)) is not None]
        answers = [self.holds_between(place, self.geometry) for place in places]
        quantified = {"ANY": any(answers), "ALL": all(answers), "NONE": not any(answers)}
        return bool(answers) and quantified[self.quantifier]


def _known(value: object) -> Geometry | None:
    try:
        return geometry_of(value) if isinstance(value, dict) else None
    except UnmappableError:  # of somebody else's resource, which must not spoil this search
        return None


def spatial_of(constraint: SpatialConstraint, where: str) -> Spatial:
    """The constraint that stands at ``where``, read.

    Raises ``Refusal``: SCH_REQUIRED_FIELD_MISSING without a geometry, SCH_INVALID_FORMAT for a broken one,
    SCH_TYPE_NOT_SUPPORTED for another reference system, and for an operator that can hold of nothing.
    """
    if (constraint.srid or CRS84[0]) not in CRS84:
        what = f"expected EPSG:4326, got {constraint.srid}; send longitude and latitude in WGS 84 degrees"
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, f"{where}/srid", what)
    asked: GeoJSONGeometry = needed(constraint.geometry, f"{where}/geometry")
    if asked.type == "Point" and constraint.op in ("S_CROSSES", "S_OVERLAPS"):
        what = (
            f"nothing can stand in {constraint.op} to a point; ask for S_INTERSECTS, or S_DWITHIN with distanceMeters"
        )
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, f"{where}/op", what)
    try:
        geometry = geometry_of(asked)
    except UnmappableError as error:
        raise Refusal(Code.SCH_INVALID_FORMAT, f"{where}/geometry", f"expected a geometry, got {error}") from None
    listed = (constraint.targets,) if isinstance(constraint.targets, str) else constraint.targets
    targets = tuple(compile_path(target, f"{where}/targets") for target in listed)
    return Spatial(_relation(constraint), geometry, targets, constraint.quantifier or "ANY")


def _relation(constraint: SpatialConstraint) -> Callable[[Geometry, Geometry], bool]:
    if constraint.op == "S_DWITHIN":
        assert constraint.distanceMeters is not UNSET, "the wire sees to it"
        limit = constraint.distanceMeters
        return lambda place, geometry: distance_m(place, geometry) <= limit
    return TOPOLOGY[constraint.op]
