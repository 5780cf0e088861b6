"""``coordinates``: ``[longitude, latitude]``, anywhere, in a box, or near a point."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians

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
    """Uniform by degree in a box; uniform by square in a circle, squared off by rejection."""

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
        """The first of four points of a square inside its circle: no sine, the same everywhere."""
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
            # None of the four inside (1 row in 470): the last one, pulled in.
            across[left[outside]], along[left[outside]] = x[outside] * 0.7, y[outside] * 0.7
            left = left[outside]
        return across, along

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        longitude, latitude = self._degrees(rows)
        pair: list[Segment] = [
            Constant(_ARRAY_HEAD),
            Fixed(longitude.astype("<f8", copy=False)),
            Constant(b"\x011\0"),
            Fixed(latitude.astype("<f8", copy=False)),
            Constant(b"\0"),
        ]
        if not self._point:
            return Encoded(ARRAY, pair)
        head = Constant(_POINT_HEAD + b"\x04coordinates\0")
        return Encoded(DOCUMENT, [head, *pair, Constant(b"\0")])

    def text(self, rows: Rows) -> Text:
        """``[longitude,latitude]``."""
        pairs = zip(*(degrees.tolist() for degrees in self._degrees(rows)), strict=True)
        return text_of([f"[{longitude},{latitude}]" for longitude, latitude in pairs])


def _rounded(degrees: counter_hash.Floats) -> counter_hash.Floats:
    scale = float(10**_DECIMALS)
    rounded: counter_hash.Floats = np.rint(degrees * scale) / scale
    return rounded


@column_type("coordinates", "position")
def read_coordinates(node: TemplateNode) -> Column:
    """coordinates: bbox [west, south, east, north], or near [lon, lat] with radiusKm; geoJson."""
    box = node.numbers("bbox")
    near = node.numbers("near")
    radius = node.number("radiusKm", 10, least=0.001, most=5000)
    point = node.flag("geoJson", False)
    area: Box | Circle = Box(-180, -90, 180, 90)
    if near:
        area = _near(node, near, radius)
    elif node.has("radiusKm"):
        node.refuse("radiusKm", "needs near, the point it is around")
    if box:
        if near or len(box) != 4 or not (-180 <= box[0] < box[2] <= 180 and _north(box)):
            node.refuse("bbox", "must be [west, south, east, north] in degrees, without near")
        else:
            area = Box(*box)
    return CoordinatesColumn(node.path, area, point)


def _north(box: list[float]) -> bool:
    return -90 <= box[1] < box[3] <= 90


def _near(node: TemplateNode, near: list[float], radius: float) -> Circle:
    high = radius / _KM_PER_DEGREE
    if len(near) != 2 or abs(near[0]) > 180 or abs(near[1]) + high > 89:
        node.refuse("near", "must be [longitude, latitude] with the circle short of the poles")
        return Circle(0, 0, high, high)
    wide = float(f"{high / cos(radians(near[1])):.9g}")
    if abs(near[0]) + wide > 180:
        node.refuse("near", "is too close to the date line for its radius")
    return Circle(near[0], near[1], wide, float(f"{high:.9g}"))
