"""Spatial constraints: metres on the ellipsoid, the relations between geometries, and what is refused."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sim.wire.bags import GeoJSONGeometry
from sim.wire.codes import Refusal
from sim.wire.core import SpatialConstraint
from sim.wire.search.paths import Budget
from sim.wire.search.places import STEP_DEG, distance_m, geometry_of, spatial_of

EARTH_M = 6_371_008.8
"""Mean radius of the Earth (IUGG)."""
LON_LAT = st.tuples(st.floats(-180, 180), st.floats(-85, 85))
KM_50 = st.tuples(st.floats(-30_000, 30_000), st.floats(-30_000, 30_000))


def degrees(whole: int, minutes: int, seconds: float) -> float:
    return math.copysign(abs(whole) + minutes / 60 + seconds / 3600, whole)


def haversine_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984) 159."""
    (lon_a, lat_a), (lon_b, lat_b) = (tuple(map(math.radians, at)) for at in (one, other))
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, half)))


def geodesic_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The inverse formula on WGS 84: T. Vincenty, "Direct and inverse solutions of geodesics", Survey Review 23 (1975) 88."""
    a, f = 6_378_137.0, 1 / 298.257223563
    b, apart = a * (1 - f), math.radians(other[0] - one[0])
    u, v = (math.atan((1 - f) * math.tan(math.radians(at[1]))) for at in (one, other))
    lam = apart
    for _ in range(100):
        east, north = math.cos(v) * math.sin(lam), math.cos(u) * math.sin(v) - math.sin(u) * math.cos(v) * math.cos(lam)
        sin_s, cos_s = math.hypot(east, north), math.sin(u) * math.sin(v) + math.cos(u) * math.cos(v) * math.cos(lam)
        if sin_s == 0:
            return 0.0
        s, sin_alpha = math.atan2(sin_s, cos_s), math.cos(u) * math.cos(v) * math.sin(lam) / sin_s
        cos2 = 1 - sin_alpha**2
        mid = cos_s - 2 * math.sin(u) * math.sin(v) / cos2 if cos2 else 0.0
        c = f / 16 * cos2 * (4 + f * (4 - 3 * cos2))
        lam = apart + (1 - c) * f * sin_alpha * (s + c * sin_s * (mid + c * cos_s * (2 * mid**2 - 1)))
    k = cos2 * (a**2 - b**2) / b**2
    long = 1 + k / 16384 * (4096 + k * (-768 + k * (320 - 175 * k)))
    short = k / 1024 * (256 + k * (-128 + k * (74 - 47 * k)))
    bend = cos_s * (2 * mid**2 - 1) - short / 6 * mid * (4 * sin_s**2 - 3) * (4 * mid**2 - 3)
    return b * long * (s - short * sin_s * (mid + short / 4 * bend))


def apart_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    return distance_m(shapely.Point(one), shapely.Point(other))


def moved(start: tuple[float, float], east_north_m: tuple[float, float]) -> tuple[float, float]:
    """About so many metres on, the antimeridian crossed where it comes."""
    lon = start[0] + math.degrees(east_north_m[0] / EARTH_M / math.cos(math.radians(start[1])))
    return ((lon + 180) % 360 - 180, start[1] + math.degrees(east_north_m[1] / EARTH_M))


def test_flinders_peak_and_buninyong_are_as_far_apart_as_their_survey_says() -> None:
    """The worked example of the Geocentric Datum of Australia technical manual (ICSM), on GRS 80: 54,972.271 m."""
    flinders = (degrees(144, 25, 29.52440), degrees(-37, 57, 3.72030))
    buninyong = (degrees(143, 55, 35.38390), degrees(-37, 39, 10.15610))
    assert geodesic_m(flinders, buninyong) == pytest.approx(54_972.271, abs=0.001)
    assert apart_m(flinders, buninyong) == pytest.approx(54_972.271, abs=0.001)


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        ((10, 59.5), (10, 60.5), 111_412),  # a degree of latitude at 60°
        ((10, -0.5), (10, 0.5), 110_574),  # … at the equator
        ((10, 0), (11, 0), 111_319.491),  # a degree of longitude at the equator
        ((10, 60), (11, 60), 55_800),  # … at 60°
        ((179.5, 0), (-179.5, 0), 111_319.491),  # … and across the antimeridian
    ],
)
def test_degrees_are_as_long_as_in_the_tables(
    one: tuple[float, float], other: tuple[float, float], metres: float
) -> None:
    assert apart_m(one, other) == pytest.approx(metres, abs=3)


@given(LON_LAT, KM_50)
@example((10.0, 60.0), (0.5, 0.5))
@example((180.0, 0.0), (20_000.0, 0.0))
def test_points_up_to_50_km_apart_are_as_far_as_their_geodesic_and_nearly_as_on_a_sphere(
    start: tuple[float, float], on: tuple[float, float]
) -> None:
    assume(math.hypot(*on) > 0.1)
    end = moved(start, on)
    assert apart_m(start, end) == pytest.approx(geodesic_m(start, end), rel=1e-6, abs=1e-6)
    # The radii of curvature of the ellipsoid differ by up to 0.56 % from the mean radius.
    assert apart_m(start, end) == pytest.approx(haversine_m(start, end), rel=0.0057)


@given(LON_LAT, st.tuples(st.floats(-7e5, 7e5), st.floats(-7e5, 7e5)))
def test_even_1000_km_are_right_to_a_part_in_50_000(start: tuple[float, float], on: tuple[float, float]) -> None:
    end = moved(start, on)
    assume(abs(end[1]) < 89 and math.hypot(*on) > 1)
    assert apart_m(start, end) == pytest.approx(geodesic_m(start, end), rel=2e-5)


@given(LON_LAT, KM_50)
def test_distance_is_the_same_both_ways(start: tuple[float, float], on: tuple[float, float]) -> None:
    end = moved(start, on)
    assert apart_m(start, end) == pytest.approx(apart_m(end, start), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("lat", [0.0, 13.0, 60.0, 80.0])
def test_an_edge_is_straight_in_degrees_and_not_the_shortest_way(lat: float) -> None:
    """The parallel between two points: whoever stands on it is at it, however far the great circle runs from there."""
    parallel = shapely.LineString([(70.0, lat), (74.0, lat)])
    assert distance_m(shapely.Point(72.03, lat), parallel) < 1.3
    north = shapely.Point(72.0, lat + 0.1)
    by_points = min(geodesic_m((72.0, lat + 0.1), (lon, lat)) for lon in np.linspace(71.9, 72.1, 2001))
    assert distance_m(north, parallel) == pytest.approx(by_points, abs=1.3)


def test_a_place_inside_an_area_is_at_no_distance_from_it_and_one_outside_as_far_as_from_its_edge() -> None:
    square = shapely.box(77.5, 12.9, 77.7, 13.1)
    assert distance_m(shapely.Point(77.6, 13.0), square) == 0
    assert distance_m(square, shapely.Point(77.6, 13.0)) == 0
    assert distance_m(square, shapely.Point(77.6, 13.2)) == pytest.approx(
        geodesic_m((77.6, 13.1), (77.6, 13.2)), abs=1.3
    )
    park = shapely.box(77.9, 12.9, 78.0, 13.1)
    assert distance_m(park, square) == pytest.approx(geodesic_m((77.7, 13.1), (77.9, 13.1)), rel=1e-4)


# constraints

POLYGON = GeoJSONGeometry(type="Polygon", coordinates=(((0, 0), (2, 0), (2, 2), (0, 2), (0, 0)),))
POINT = GeoJSONGeometry(type="Point", coordinates=(1, 1))


def constraint(op: Any, geometry: GeoJSONGeometry | None = POINT, **more: Any) -> SpatialConstraint:
    kept = {} if geometry is None else {"geometry": geometry}
    return SpatialConstraint(op=op, targets=more.pop("targets", "$.places[*]"), **kept, **more)


def holds(asked: SpatialConstraint, *places: Any) -> bool:
    return spatial_of(asked, "").holds({"places": list(places)}, Budget.of(1))


def at(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


@given(
    st.lists(st.tuples(st.floats(77, 78), st.floats(12.5, 13.5)), min_size=2, max_size=5, unique=True),
    st.tuples(st.floats(77, 78), st.floats(12.5, 13.5)),
    st.floats(0, 40_000),
)
def test_along_a_route_is_within_the_distance_of_one_of_its_segments(
    waypoints: list[tuple[float, float]], place: tuple[float, float], metres: float
) -> None:
    def along(*points: tuple[float, float]) -> bool:
        line = GeoJSONGeometry(type="LineString", coordinates=points)
        return holds(constraint("S_DWITHIN", line, distanceMeters=metres), at(*place))

    assert along(*waypoints) == any(along(*segment) for segment in pairwise(waypoints))


@pytest.mark.parametrize(
    ("op", "geometry", "place", "expected"),
    [
        ("S_WITHIN", POLYGON, at(1, 1), True),
        ("S_WITHIN", POLYGON, at(2, 1), False),
        ("S_INTERSECTS", POLYGON, at(2, 1), True),
        ("S_TOUCHES", POLYGON, at(2, 1), True),
        ("S_DISJOINT", POLYGON, at(3, 1), True),
        ("S_EQUALS", POINT, at(1, 1), True),
        ("S_CONTAINS", POINT, {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]}, True),
        ("S_CONTAINS", POINT, at(1, 1.1), False),
        ("S_CROSSES", POLYGON, {"type": "LineString", "coordinates": [[1, 1], [3, 1]]}, True),
        ("S_OVERLAPS", POLYGON, {"type": "Polygon", "coordinates": [[[1, 1], [3, 1], [3, 3], [1, 3], [1, 1]]]}, True),
        ("S_OVERLAPS", POLYGON, {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}, False),
        ("S_WITHIN", POLYGON, {"type": "Point", "coordinates": [1, 1, 920]}, True),
    ],
)  # fmt: skip
def test_relations_are_those_of_the_place_to_what_was_asked(
    op: Any, geometry: GeoJSONGeometry, place: dict[str, Any], expected: bool
) -> None:
    assert holds(constraint(op, geometry), place) is expected


@pytest.mark.parametrize(
    ("quantifier", "inside", "expected"),
    [
        ("ANY", [True, False], True),
        ("ANY", [False, False], False),
        ("ALL", [True, False], False),
        ("ALL", [True, True], True),
        ("NONE", [True, False], False),
        ("NONE", [False, False], True),
    ],
)
def test_a_quantifier_says_how_many_places_must_do(quantifier: Any, inside: list[bool], expected: bool) -> None:
    places = [at(1, 1) if yes else at(5, 5) for yes in inside]
    assert holds(constraint("S_WITHIN", POLYGON, quantifier=quantifier), *places) is expected


@pytest.mark.parametrize("quantifier", ["ANY", "ALL", "NONE"])
@pytest.mark.parametrize(
    "place",
    [
        None,
        "Mill Road",
        {"type": "Point", "coordinates": []},
        {"type": "Circle", "coordinates": [1, 1]},
        {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [2, 2]]]},
    ],
)
def test_who_is_nowhere_satisfies_nothing(quantifier: Any, place: Any) -> None:
    assert not holds(constraint("S_DISJOINT", POLYGON, quantifier=quantifier), place)
    assert not holds(constraint("S_DISJOINT", POLYGON, quantifier=quantifier))


def test_several_targets_are_looked_at_together() -> None:
    both = constraint("S_WITHIN", POLYGON, targets=("$.nowhere", "$['places'][1]"))
    assert holds(both, at(5, 5), at(1, 1))


ZIGZAG = tuple((180.0 * (-1) ** n, 10.0) for n in range(20))


@pytest.mark.parametrize(
    ("asked", "code", "pointer"),
    [
        (constraint("S_WITHIN", None), "SCH_REQUIRED_FIELD_MISSING", "/geometry"),
        (constraint("S_CROSSES"), "SCH_TYPE_NOT_SUPPORTED", "/op"),
        (constraint("S_OVERLAPS"), "SCH_TYPE_NOT_SUPPORTED", "/op"),
        (constraint("S_WITHIN", POLYGON, srid="EPSG:3857"), "SCH_TYPE_NOT_SUPPORTED", "/srid"),
        (constraint("S_WITHIN", POLYGON, targets="availableAt"), "SCH_INVALID_FORMAT", "/targets"),
        (
            constraint("S_WITHIN", GeoJSONGeometry(type="Polygon", coordinates=(((0, 0), (2, 2), (2, 0), (0, 2), (0, 0)),))),
            "SCH_INVALID_FORMAT",
            "/geometry",
        ),
        (constraint("S_WITHIN", GeoJSONGeometry(type="LineString", coordinates=())), "SCH_INVALID_FORMAT", "/geometry"),
        (constraint("S_WITHIN", GeoJSONGeometry(type="LineString", coordinates=ZIGZAG)), "SCH_INVALID_FORMAT", "/geometry"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_what_to_do(asked: SpatialConstraint, code: str, pointer: str) -> None:
    with pytest.raises(Refusal) as refused:
        spatial_of(asked, "")
    assert (refused.value.code, refused.value.where) == (code, pointer)


def test_a_geometry_is_cut_into_pieces_of_a_tenth_of_a_degree() -> None:
    line = geometry_of({"type": "LineString", "coordinates": [[0, 0], [1, 0]]})
    assert shapely.get_num_coordinates(shapely.segmentize(line, STEP_DEG)) == 11
