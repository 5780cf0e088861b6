"""``coordinates``: ``[longitude, latitude]``, anywhere, in a box, or near a point."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np

from dataworks_tasks.documents.bson_types import ARRAY, DOCUMENT
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant, Fixed, Segment
from dataworks_tasks.generate.batch.values import Text, text_of
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode

_KM_PER_DEGREE = 111.195
_DECIMALS = 6
_ARRAY_HEAD = (27).to_bytes(4, "little") + b"\x01" + b"0\0"
_POLYGON = b"\x02type\0" + (8).to_bytes(4, "little") + b"Polygon\0"
_POINT_HEAD = (61).to_bytes(4, "little") + b"\x02type\0" + (6).to_bytes(4, "little") + b"Point\0"


@dataclass(frozen=True, slots=True)
class Box:
    """West, south, east and north in degrees."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, slots=True)
class Circle:
    """A point, and how far from it, in degrees of longitude and latitude there."""

    longitude: float
    latitude: float
    wide: float
    high: float


class CoordinatesColumn(Column):
    """Uniform by degree in a box; uniform by area in a circle, by rejection from a square."""

    def __init__(self, path: str, area: Box | Circle, point: bool) -> None:
        self._area = area
        self._point = point
        self._salts = [counter_hash.salt(path, number) for number in range(8)]

    def _degrees(self, rows: Rows) -> tuple[counter_hash.Floats, counter_hash.Floats]:
        area = self._area
        if isinstance(area, Box):
            east = counter_hash.unit(counter_hash.draw(rows.keys, self._salts[0]))
            north = counter_hash.unit(counter_hash.draw(rows.keys, self._salts[1]))
            return (
                np.clip(_rounded(east * (area.east - area.west) + area.west), area.west, area.east),
                np.clip(
                    _rounded(north * (area.north - area.south) + area.south), area.south, area.north
                ),
            )
        across, along = self._in_disk(rows)
        return (
            _rounded(across * area.wide + area.longitude),
            _rounded(along * area.high + area.latitude),
        )

    def _in_disk(self, rows: Rows) -> tuple[counter_hash.Floats, counter_hash.Floats]:
        """Take the first of four points of a square that is in its circle, for each row.

        It needs no sine, so the result is the same on every platform.
        """
        across = np.zeros(len(rows))
        along = np.zeros(len(rows))
        left = np.arange(len(rows))
        for first, second in zip(self._salts[::2], self._salts[1::2], strict=True):
            keys = rows.keys[left]
            x = counter_hash.unit(counter_hash.draw(keys, first)) * 2.0 - 1.0
            y = counter_hash.unit(counter_hash.draw(keys, second)) * 2.0 - 1.0
            inside = x * x + y * y <= 1.0
            across[left[inside]], along[left[inside]] = x[inside], y[inside]
            outside = ~inside
            # If none of the four is inside (1 row in 470), the last one is pulled in.
            across[left[outside]], along[left[outside]] = x[outside] * 0.7, y[outside] * 0.7
            left = left[outside]
        return across, along

    def encode(self, rows: Rows) -> Encoded:
        longitude, latitude = self._degrees(rows)
        pair = _point(longitude, latitude)
        if not self._point:
            return Encoded(ARRAY, pair)
        head = Constant(_POINT_HEAD + b"\x04coordinates\0")
        return Encoded(DOCUMENT, [head, *pair, Constant(b"\0")])

    def encode_polygon(self, rows: Rows, corners: int, size: float) -> Encoded:
        """Encode a polygon around each position; see PolygonColumn."""
        longitude, latitude = self._degrees(rows)
        high = size / _KM_PER_DEGREE
        # Bhaskara's cosine: near enough, and of operations that are the same everywhere.
        angle = np.clip(latitude, -85.0, 85.0) * (pi / 180)
        wide = high / ((pi * pi - 4 * angle * angle) / (pi * pi + angle * angle))
        ring: list[Segment] = []
        first: list[Segment] = []
        for corner in range(corners):
            bits = counter_hash.draw(rows.keys + counter_hash.nth(corner), self._salts[7])
            far = 0.6 + 0.4 * counter_hash.unit(bits)
            across, along = _corner(corner, corners)
            point = _point(
                np.clip(_rounded(longitude + wide * (far * across)), -180, 180),
                np.clip(_rounded(latitude + high * (far * along)), -90, 90),
            )
            first = first or point
            ring += [Constant(b"\x04%d\0" % corner), *point]
        ring += [Constant(b"\x04%d\0" % corners), *first]
        ring_size = sum(segment.least for segment in ring) + 5
        lines = [Constant(ring_size.to_bytes(4, "little")), *ring, Constant(b"\0")]
        rings = (ring_size + 8).to_bytes(4, "little") + b"\x040\0"
        head = _POLYGON + b"\x04coordinates\0" + rings
        total = 4 + len(head) + ring_size + 2
        start = Constant(total.to_bytes(4, "little") + head)
        return Encoded(DOCUMENT, [start, *lines, Constant(b"\0\0")])

    def text(self, rows: Rows) -> Text:
        """``[longitude,latitude]``."""
        pairs = zip(*(degrees.tolist() for degrees in self._degrees(rows)), strict=True)
        return text_of([f"[{longitude},{latitude}]" for longitude, latitude in pairs])


class PolygonColumn(Column):
    """GeoJSON polygons, star-shaped and counterclockwise, each around a position of ``centers``."""

    def __init__(self, centers: CoordinatesColumn, corners: int, size: float) -> None:
        self._centers, self._corners, self._size = centers, corners, size

    def encode(self, rows: Rows) -> Encoded:
        return self._centers.encode_polygon(rows, self._corners, self._size)


def _corner(corner: int, corners: int) -> tuple[float, float]:
    """Return the unit vector to a corner, rounded: C libraries differ in a sine's last bits."""
    angle = 2 * pi * corner / corners
    return float(f"{cos(angle):.9f}"), float(f"{sin(angle):.9f}")


def _point(longitude: counter_hash.Floats, latitude: counter_hash.Floats) -> list[Segment]:
    return [
        Constant(_ARRAY_HEAD),
        Fixed(longitude.astype("<f8", copy=False)),
        Constant(b"\x011\0"),
        Fixed(latitude.astype("<f8", copy=False)),
        Constant(b"\0"),
    ]


def _rounded(degrees: counter_hash.Floats) -> counter_hash.Floats:
    scale = float(10**_DECIMALS)
    rounded: counter_hash.Floats = np.rint(degrees * scale) / scale
    return rounded


@column_type("coordinates", "position")
def read_coordinates(node: TemplateNode) -> Column:
    """Type coordinates: bbox, or near with radiusKm; geoJson; polygon.

    A bbox is [west, south, east, north].
    """
    box = node.numbers("bbox")
    near = node.numbers("near")
    radius = node.number("radiusKm", 10, least=0.001, most=5000)
    point = node.flag("geoJson", False)
    area: Box | Circle = Box(-180, -90, 180, 90)
    if near:
        area = _near(node, near, radius)
    elif node.has("radiusKm"):
        node.refuse("radiusKm", "needs near, its center")
    if box:
        if near or len(box) != 4 or not (-180 <= box[0] < box[2] <= 180 and _north(box)):
            node.refuse("bbox", "must be [west, south, east, north] in degrees, without near")
        else:
            area = Box(*box)
    corners = node.integer("polygon", 0, least=3, most=100) if node.has("polygon") else 0
    if not corners:
        node.take("polygon")
    size = node.number("sizeKm", 1, least=0.001, most=500)
    if node.has("sizeKm") and not corners:
        node.refuse("sizeKm", "needs polygon, the number of its corners")
    column = CoordinatesColumn(node.path, area, point)
    return PolygonColumn(column, corners, size) if corners else column


def _north(box: list[float]) -> bool:
    return -90 <= box[1] < box[3] <= 90


def _near(node: TemplateNode, near: list[float], radius: float) -> Circle:
    high = radius / _KM_PER_DEGREE
    if len(near) != 2 or abs(near[0]) > 180 or abs(near[1]) + high > 89:
        node.refuse("near", "must be [longitude, latitude], and the circle must not reach a pole")
        return Circle(0, 0, high, high)
    wide = float(f"{high / cos(radians(near[1])):.9g}")
    if abs(near[0]) + wide > 180:
        node.refuse("near", "is too close to the date line for its radius")
    return Circle(near[0], near[1], wide, float(f"{high:.9g}"))
