"""The base of a user's own generators."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Any

from dataworks_tasks.documents.encoded_batch import EncodedBatch

if TYPE_CHECKING:
    from faker import Faker

_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class GeneratorType(StrEnum):
    """What a generator makes: one of the built-in kinds, or the user's own."""

    SERVICE_ORDER = "service_order"
    USER_PROFILE = "user_profile"
    SHOP = "shop"
    SENSORS = "sensors"
    CUSTOM = "custom"


class BaseDataGenerator(ABC):
    """A generator of documents in Python.

    ``self.fake`` and ``self.random`` are seeded for every document, from the run's seed and the
    document's index: what ``generate_document`` makes from them is the same for any batching. It
    must not keep state between documents, read a clock or draw from another random source.

    The name is the class's in snake case unless ``name`` is given.
    """

    locale = "en_US"

    def __init__(
        self, generator_type: GeneratorType = GeneratorType.CUSTOM, name: str | None = None
    ) -> None:
        self.generator_type = generator_type
        self._name = name or _CAPITAL.sub("_", type(self).__name__).lower()
        self.seed = 0
        """The seed of the run that documents are made for."""
        self._random = Random(0)
        self._fake: Faker | None = None

    @property
    def name(self) -> str:
        """The name that runs use for it."""
        return self._name

    @property
    def random(self) -> Random:
        """Random numbers of the current document."""
        return self._random

    @property
    def fake(self) -> Faker:
        """Faker for the current document."""
        if self._fake is None:
            from dataworks_tasks.generate.fields.faker_import import Faker

            self._fake = Faker(self.locale, use_weighting=False)
            for factory in self._fake.factories:
                factory.random = self._random
        return self._fake

    def start_document(self, key: int) -> None:
        """Seed ``fake`` and ``random`` with ``key``."""
        self._random.seed(key)

    @abstractmethod
    def generate_document(self, document_id: int | None = None) -> Mapping[str, Any]:
        """Return document number ``document_id``.

        A document without ``_id`` gets one that is made from the run's seed and the document's
        index.
        """

    def generate_batch(
        self,
        start: int,
        stop: int,
    ) -> EncodedBatch | None:
        """Return documents ``[start, stop)`` at once, each with its ``_id``.

        For generators that work by column, from ``self.seed`` and the indexes only. The default,
        None, makes documents one by one.
        """
        return None
