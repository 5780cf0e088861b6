"""Random numbers by position: a hash of (seed, field path, document index, element index).

splitmix64's finalizer (Steele, Lea, Flood 2014) on uint64 columns. Only integer operations and
exact float conversions, so the bits are the same on every CPU and with every numpy.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S32 = (np.uint64(n) for n in (30, 27, 31, 11, 32))
_UNIT = 2.0**-53


def salt(*parts: object) -> np.uint64:
    """Return a constant that separates one stream of numbers from others: a hash of ``parts``."""
    text = "\0".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def mix(values: Bits) -> Bits:
    """Apply a bijection of uint64 in which every input bit affects every output bit."""
    mixed = values ^ (values >> _S30)
    mixed *= _FIRST
    mixed ^= mixed >> _S27
    mixed *= _SECOND
    mixed ^= mixed >> _S31
    return mixed


def document_keys(indexes: Bits, seed_salt: np.uint64) -> Bits:
    """Return one key per document; every draw of the document starts from it."""
    return mix(indexes * GOLDEN + seed_salt)


def element_keys(parent_keys: Bits, elements: Integers) -> Bits:
    """Return one key per array element, from its parent's key and its index in the array."""
    return mix(parent_keys + (elements.astype(np.uint64) + np.uint64(1)) * GOLDEN)


def nth(number: int) -> np.uint64:
    """Return what is added to a key for draw number ``number`` of one stream."""
    return np.uint64(number * int(GOLDEN) % (1 << 64))


def draw(keys: Bits, field_salt: np.uint64) -> Bits:
    """64 random bits a row for the stream ``field_salt``."""
    return mix(keys ^ field_salt)


def unit(bits: Bits) -> Floats:
    """Doubles in [0, 1), all 53 bits of them random."""
    scaled: Floats = (bits >> _S11).astype(np.float64) * _UNIT
    return scaled


def below(bits: Bits, limit: int) -> Integers:
    """Integers in ``[0, limit)`` for ``1 <= limit <= 2**64``.

    A multiplication for limits up to 2**32, a remainder above; the bias is under 2**-32 for the
    former and under ``limit / 2**64`` for the latter. A result above 2**63 wraps, as two's
    complement does: callers add their minimum modulo 2**64.
    """
    if limit <= 1 << 32:
        return (((bits >> _S32) * np.uint64(limit)) >> _S32).view(np.int64)
    if limit == 1 << 64:
        return bits.view(np.int64)
    return (bits % np.uint64(limit)).view(np.int64)
