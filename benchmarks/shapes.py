"""What both programs read in ``wall_clock``: files in mgodatagen's own format, without indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.templates import flat

Shape = Mapping[str, Any]


def _enum(*values: Any) -> Shape:
    return {"type": "enum", "values": list(values), "randomOrder": True}


def _letters(least: int, most: int | None = None) -> Shape:
    return {"type": "string", "minLength": least, "maxLength": most or least}


def _faker(method: str) -> Shape:
    return {"type": "faker", "method": method}


def _number(kind: str, least: float, most: float) -> Shape:
    return {"type": kind, "min": least, "max": most}


def _date(first_year: int, last_year: int) -> Shape:
    first, last = (f"{year}-01-01T00:00:00+00:00" for year in (first_year, last_year))
    return {"type": "date", "startDate": first, "endDate": last}


def _object(**content: Shape) -> Shape:
    return {"type": "object", "objectContent": content}


def _items(item: Shape) -> Shape:
    return {"type": "array", "minLength": 1, "maxLength": 5, "arrayContent": item}


_NUMBER = {"type": "autoincrement", "autoType": "long", "startLong": 1}
_ORDERS = {
    "orderNumber": _NUMBER,
    "status": _enum("new", "open", "closed"),
    "createdAt": _date(2020, 2026),
    "customer": _object(
        firstName=_faker("FirstName"),
        lastName=_faker("LastName"),
        email=_faker("Email"),
        address=_object(street=_faker("Street"), city=_faker("City"), zip=_letters(5)),
    ),
    "items": _items(
        _object(sku=_letters(8), quantity=_number("int", 1, 9), price=_number("double", 1, 500))
    ),
    "note": _letters(40, 400),
}
_STATES = ["completed"] * 14 + ["in_progress"] * 3 + ["scheduled"] * 2 + ["cancelled"]
_SERVICE_ORDER = {
    "orderNumber": _NUMBER,
    "status": _enum(*_STATES),
    "priority": _enum(*["normal"] * 16, *["high"] * 3, "urgent"),
    "createdAt": _date(2023, 2026),
    "completedAt": {**_date(2026, 2027), "nullPercentage": 30},
    "customer": _object(
        firstName=_faker("FirstName"),
        lastName=_faker("LastName"),
        email=_faker("Email"),
        phone=_faker("Phone"),
        address=_object(
            street=_faker("Street"),
            city=_faker("City"),
            state=_enum("MI"),
            postcode=_letters(5),
            country=_enum("US"),
        ),
    ),
    "vehicle": _object(
        vin=_letters(17),
        make=_enum("Toyota", "Honda", "Ford", "Chevrolet", "Volkswagen", "BMW", "Mercedes-Benz"),
        model=_enum("Corolla", "Civic", "F-150", "Malibu", "Golf", "3 Series", "C-Class"),
        year=_number("int", 2006, 2022),
        mileage=_number("int", 1_000, 400_000),
        plate=_letters(8),
    ),
    "workshop": _object(
        name=_letters(11),
        bay=_number("int", 1, 40),
        location=_object(type=_enum("Point"), coordinates={"type": "coordinates"}),
    ),
    "items": _items(
        _object(
            partNumber=_enum("OIL-2210", "BRK-1104", "FLT-3301", "IGN-4104", "ENG-5107"),
            description=_enum("Oil and filter change", "Front brake pads", "Battery 70 Ah"),
            laborHours=_enum(0.25, 0.5, 1.0, 1.5, 2.0, 4.5),
            quantity=_number("int", 1, 4),
            unitPrice=_number("double", 12, 264),
            total=_number("double", 12, 1_056),
        )
    ),
    "laborRate": _enum(85.0, 95.0, 110.0, 125.0),
    "laborHours": _number("double", 0, 12),
    "partsTotal": _number("double", 12, 4_000),
    "laborTotal": _number("double", 0, 1_500),
    "tax": _number("double", 0, 330),
    "total": _number("double", 12, 5_830),
    "paid": {"type": "boolean"},
    "notes": {
        **_enum("Customer waits in the lounge.", "Call before any extra work."),
        "nullPercentage": 60,
    },
}
_BSON_TYPES = {
    "_id": {"type": "objectId"},
    "number": {"type": "autoincrement", "autoType": "int", "startInt": 1},
    "long": _number("long", 0, 10**12),
    "double": _number("double", -1_000, 1_000),
    "decimal": {"type": "decimal"},
    "flag": {"type": "boolean"},
    "date": _date(2000, 2026),
    "owner": {"type": "objectId"},
    "uuid": {"type": "uuid"},
    "binary": {"type": "binary", "minLength": 32, "maxLength": 128},
    "text": _letters(100, 300),
    "constant": {"type": "constant", "constVal": "the same in every document"},
    "enum": _enum("a", "b", "c"),
    "place": {"type": "coordinates"},
    "letters": {**_items(_letters(10, 30)), "maxLength": 10},
    "numbers": {**_items(_number("int", 0, 1_000)), "maxLength": 20},
    "inner": _object(
        flag={"type": "boolean"}, date=_date(2000, 2026), deeper=_object(text=_letters(40))
    ),
}
_FAKER_METHODS = ("Name", "Email", "City", "Company", "Phone", "Street", "JobTitle", "FirstName")
_FAKER_FIELDS = {
    f"field{number:03}": _faker(_FAKER_METHODS[number % len(_FAKER_METHODS)])
    for number in range(110)
}
SHAPES: Mapping[str, Shape] = {
    "flat": flat()["content"],
    "orders": _ORDERS,
    "service_order": _SERVICE_ORDER,
    "bson_types": _BSON_TYPES,
    "faker_fields": _FAKER_FIELDS,
}
"""Ten plain fields, nested orders, the service order as far as mgodatagen can make it (without
totals that add up, weights and groups), every BSON type, and 110 Faker fields."""
