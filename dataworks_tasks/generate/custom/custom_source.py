"""Documents of a user's own generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from bson import ObjectId, encode
from bson.errors import InvalidDocument

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.document_id import object_id, object_id_prefix
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.generate.fields.storable import storable


class CustomSource:
    """Calls the generator for each document, reseeded; or once per batch if it supports that."""

    def __init__(self, generator: BaseDataGenerator, seed: int) -> None:
        self._generator = generator
        self._seed = seed
        self._salt = counter_hash.salt("generator", generator.name, seed)
        self._prefix = object_id_prefix(seed, generator.name)

    def generate(self, start: int, stop: int) -> EncodedBatch:
        """Return the documents ``[start, stop)``. Raises what the generator raises."""
        self._generator.seed = self._seed
        batch = self._generator.generate_batch(start, stop)
        if batch is not None:
            return batch
        keys = counter_hash.document_keys(np.arange(start, stop, dtype=np.uint64), self._salt)
        indexes = range(start, stop)
        return EncodedBatch.of(
            self._document(index, key) for index, key in zip(indexes, keys.tolist(), strict=True)
        )

    def documents_at(self, indexes: Sequence[int]) -> list[bytes]:
        """Return the documents with these indexes. Raises what the generator raises."""
        return [self.generate(index, index + 1).data for index in indexes]

    def _document(self, index: int, key: int) -> bytes:
        self._generator.start_document(key)
        try:
            document = self._generator.generate_document(index)
        except SystemExit as error:  # would end the worker, or the command, silently
            raise RuntimeError(f"generate_document ended the program: exit({error.code})") from None
        if not isinstance(document, Mapping):
            raise TypeError(
                f"generate_document returned {type(document).__name__}, not a dictionary"
            )
        if "_id" not in document:
            document = {"_id": ObjectId(object_id(self._prefix, index)), **document}
        try:
            return encode(document)
        except (InvalidDocument, ValueError):
            # Most documents need no conversion, and checking every value takes time.
            return encode(storable(document))
