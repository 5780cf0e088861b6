"""The 2025 form of a template: ``{"schema": {field: {"type", "generator"}}}``."""

from __future__ import annotations

from collections.abc import Mapping

_PLAIN_TYPES = {
    "integer": "int", "int": "int", "long": "long", "float": "double", "double": "double",
    "number": "double", "boolean": "boolean", "bool": "boolean", "date": "date",
    "datetime": "date", "timestamp": "date", "objectid": "objectId", "uuid": "uuid",
    "decimal": "decimal",
}  # fmt: skip
_GENERATORS = {
    "random_int": "int", "random_float": "double", "random_choice": "enum", "choice": "enum",
    "enum": "enum", "sequence": "sequence", "uuid": "uuid", "uuid4": "uuid",
    "objectid": "objectId", "random_boolean": "boolean",
}  # fmt: skip


def content_of_schema(schema: object) -> object:
    """Translate a schema's fields into DataWorks' form.

    The reader reports what it does not understand.
    """
    if not isinstance(schema, Mapping):
        return schema
    return {name: _field(value) for name, value in schema.items()}


def _field(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    field = dict(value)
    kind = str(field.pop("type", "string")).lower()
    generator = field.pop("generator", None)
    for documentation in ("description", "required"):
        field.pop(documentation, None)
    if kind == "object":
        inner = field.pop("properties", field.pop("schema", field.pop("fields", {})))
        return {"type": "object", "objectContent": content_of_schema(inner), **field}
    if kind == "array":
        inner = field.pop("items", field.pop("element", {"type": "string"}))
        lengths = {"min_items": "minLength", "max_items": "maxLength"}
        field = {lengths.get(key, key): entry for key, entry in field.items()}
        return {"type": "array", "arrayContent": _field(inner), **field}
    return _scalar(kind, generator, field)


def _scalar(kind: str, generator: object, field: dict[str, object]) -> object:
    if isinstance(generator, str) and generator:
        name = generator.removeprefix("faker.").removeprefix("fake.")
        mapped = _GENERATORS.get(name.lower())
        if mapped == "enum":
            values = field.pop("choices", field.pop("values", field.pop("options", [])))
            return {"type": "enum", "values": values, "randomOrder": True, **field}
        if mapped:
            return {"type": mapped, **field}
        return {"type": "faker", "method": name, **field}
    if "choices" in field or "enum" in field:
        values = field.pop("choices", field.pop("enum", []))
        return {"type": "enum", "values": values, "randomOrder": True, **field}
    return {"type": _PLAIN_TYPES.get(kind, kind), **field}
