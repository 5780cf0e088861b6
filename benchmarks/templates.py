"""What is generated: the cases of the table."""

from __future__ import annotations

from typing import Any

from dataworks_tasks.generate.templates.load_template import load_template


def service_order() -> Any:
    """About 1.1 KB: nested, one to five items, computed totals, pools of names; no indexes."""
    document = dict(load_template("service_order").document)
    document.pop("indexes", None)
    return document


def flat() -> Any:
    """Ten plain fields, about 160 bytes."""
    return {
        "name": "flat",
        "collection": "flat",
        "content": {
            "number": {"type": "autoincrement", "autoType": "long"},
            "active": {"type": "boolean"},
            "age": {"type": "int", "min": 18, "max": 90},
            "points": {"type": "long", "min": 0, "max": 1_000_000},
            "score": {"type": "double", "min": 0, "max": 1},
            "created": {
                "type": "date",
                "startDate": "2020-01-01T00:00:00Z",
                "endDate": "2026-01-01T00:00:00Z",
            },
            "status": {"type": "enum", "values": ["new", "open", "closed"], "randomOrder": True},
            "code": {"type": "string", "minLength": 8, "maxLength": 8},
            "owner": {"type": "objectId"},
            "city": {"type": "faker", "method": "City"},
        },
    }


def faker_fields() -> Any:
    """110 fields from pools, about 3.7 KB."""
    methods = ["name", "email", "city", "company", "phone_number", "street_address", "job", "word"]
    return {
        "name": "faker_fields",
        "collection": "faker_fields",
        "content": {
            f"field{number:03}": {
                "type": "faker",
                "method": methods[number % len(methods)],
                "pool": 2000,
            }
            for number in range(110)
        },
    }
