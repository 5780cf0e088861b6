"""``vin``: vehicle identification numbers with a valid check digit (ISO 3779, 49 CFR 565)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Bytes, Positions
from dataworks_tasks.generate.batch.permutation import permute
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Fixed
from dataworks_tasks.generate.batch.values import Kind, Text
from dataworks_tasks.generate.fields.distributions import weighted
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.groups import Group, ValueSet, group_of
from dataworks_tasks.generate.fields.model import Column, Field, Linker
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.scope import Reference, resolve
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.text_column import TextColumn

ALPHABET = b"ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VALUES = "123456781234579234567890123456789"
_YEARS = b"ABCDEFGHJKLMNPRSTVWXY123456789"
_YEAR_OF_A = 1980
"""And every 30 years again."""
_CHECK_PLACE = 8
_LENGTH = 17
_SERIALS = 10**6
_MAKERS = (
    "1FT", "1G1", "1HG", "2T1", "3VW", "4T1", "5YJ", "JHM", "JN1", "JTD", "KMH", "KNA", "SAL",
    "SB1", "TMB", "VF1", "VF3", "VSS", "W0L", "WAU", "WBA", "WDB", "WF0", "WVW", "YV1", "ZFA",
)  # fmt: skip


def transliteration() -> dict[str, int]:
    """Return the value of each letter and digit in the check sum."""
    return {chr(letter): int(value) for letter, value in zip(ALPHABET, _VALUES, strict=True)}


class VinColumn(TextColumn):
    """World manufacturer, five letters, check digit, model year, plant, six digits."""

    def __init__(self, path: str, group: Group, makers: tuple[str, ...], unique: bool) -> None:
        self._makers = np.frombuffer("".join(makers).encode(), np.uint8).reshape(-1, 3)
        self._salt = counter_hash.salt(path)
        self._group = group
        alone = group.salted == path
        self._maker_salt = counter_hash.salt(f"{path} maker" if alone else group.salted)
        self._serial_salt = counter_hash.salt(path, "serial")
        self.unique = unique
        letters = np.frombuffer(ALPHABET, np.uint8)
        self._value = np.zeros(256, np.int64)
        self._value[letters] = [int(value) for value in _VALUES]
        self._letters = letters
        self._years = np.frombuffer(_YEARS, np.uint8)
        self.year = ""
        """The field that has the model year; without one the year is random."""
        self._reference: Reference | None = None

    def link(self, linker: Linker) -> None:
        if not self.year:
            return
        try:
            self._reference = resolve(self.year, linker.record)
        except ExpressionError as error:
            linker.refuse("year", str(error))
            return
        if self._reference.kind is not Kind.NUMBER:
            linker.refuse("year", f"{self.year!r} is not a number")

    def depends(self) -> Iterator[Field]:
        if self._reference is not None:
            yield from self._reference.steps

    def _characters(self, rows: Rows) -> Fixed:
        count = len(rows)
        vin = np.empty((count, _LENGTH), np.uint8)
        bits = counter_hash.draw(rows.keys, self._salt)
        serial = counter_hash.draw(rows.keys, self._serial_salt)
        number = counter_hash.below(serial, self._serials)
        if self.unique:
            number = permute(rows.ordinals, self._serials, self._salt, rows.seed)
        vin[:, :3] = self._makers[self._maker(rows)]
        rest = bits & np.uint64(0xFFFFFFFF)
        for place in (3, 4, 5, 6, 7):
            vin[:, place] = self._letters[(rest % np.uint64(33)).view(np.int64)]
            rest //= np.uint64(33)
        vin[:, 9] = self._years[self._year(rows, number)]
        vin[:, 10] = self._letters[(number // _SERIALS) % 33]
        serial_number = number % _SERIALS
        for place in range(_LENGTH - 1, 10, -1):
            vin[:, place] = serial_number % 10 + ord("0")
            serial_number //= 10
        vin[:, _CHECK_PLACE] = self._check_digits(vin)
        return Fixed(vin.view(f"V{_LENGTH}").ravel())

    def _year(self, rows: Rows, number: Positions) -> Positions:
        if self._reference is None:
            return (number // _SERIALS // 33) % len(_YEARS)
        years = self._reference.evaluate(rows).data.astype(np.int64)
        return (years - _YEAR_OF_A) % len(_YEARS)

    def _maker(self, rows: Rows) -> Positions:
        bits = counter_hash.draw(rows.keys, self._maker_salt)
        weights = self._group.settings.get("weights")
        if weights:
            return weighted(list(weights))(bits)
        return counter_hash.below(bits, len(self._makers))

    def _check_digits(self, vin: Bytes) -> Bytes:
        total = np.zeros(len(vin), np.int64)
        for index, weight in enumerate(WEIGHTS):
            if weight:
                total += self._value[vin[:, index]] * weight
        digits: Bytes = np.frombuffer(b"0123456789X", np.uint8)[total % 11]
        return digits

    def text(self, rows: Rows) -> Text:
        return Text([self._characters(rows)], len(rows))

    def capacity(self) -> int | None:
        return self._serials if self.unique else None

    @property
    def _serials(self) -> int:
        return _SERIALS * 33 * (1 if self.year else len(_YEARS))


@column_type("vin")
def read_vin(node: TemplateNode) -> Column:
    """Type vin: makers (three characters each), group, year (a field with it), unique."""
    makers = node.items("makers", required=False) or list(_MAKERS)
    valid = [
        maker
        for maker in makers
        if isinstance(maker, str) and len(maker) == 3 and set(maker.encode()) <= set(ALPHABET)
    ]
    if len(valid) != len(makers):
        node.refuse("makers", "must be codes of three letters or digits without I, O and Q")
    group = group_of(node)
    group.join(node, ValueSet("value", len(makers)), {})
    if group.settings.get("distinct"):
        node.refuse("group", "a vin cannot follow a group of distinct values")
    column = VinColumn(node.path, group, tuple(valid) or _MAKERS, node.flag("unique", False))
    column.year = node.text("year", "")
    return column
