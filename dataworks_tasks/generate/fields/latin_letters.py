"""Text in ASCII letters, for addresses: letters of other scripts are transliterated.

Letters with marks lose the marks. Letters of other alphabets are spelled by the tables below, or by
their Unicode name, which never changes: HIRAGANA LETTER KA is "ka", HANGUL SYLLABLE GIM is "gim". A
Chinese character has no spelling of its own and becomes its number: different names stay different.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_TABLES = """
абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґўђјљњћџѓѕќ
a b v g d e yo zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya i yi ye g u dj j lj nj c dz gj dz kj
αβγδεζηθικλμνξοπρσςτυφχψω
a v g d e z i th i k l m n x o p r s s t y f ch ps o
ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءآأإؤئپچژگکی
a b t th j h kh d dh r z s sh s d t z a gh f q k l m n h w y a a - a a i w y p ch zh g k y
אבגדהוזחטיכךלמםנןסעפףצץקרשת
a b g d h v z ch t y k k l m m n n s a p p ts ts k r sh t
აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ
a b g d e v z t i k l m n o p zh r s t u p k gh q sh ch ts dz ts ch kh j h
աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ
a b g d e z e y t zh i l kh ts k h dz gh ch m y n sh o ch p j r s v t r ts w p k o f
ßæœøđðþłħŧŋıĸəƒ
ss ae oe o d d th l h t ng i k e f
"""  # noqa: E501 - each letter above its spelling
_LINES = _TABLES.split("\n")[1:-1]
_KNOWN = {
    letter: "" if spelling == "-" else spelling
    for letters, spellings in zip(_LINES[::2], _LINES[1::2], strict=True)
    for letter, spelling in zip(letters, spellings.split(), strict=True)
}
_BY_NAME = re.compile(
    r"(?:LETTER|SYLLABLE|VOWEL SIGN|LIGATURE|DIGIT|CHARACTER)(?: SMALL| CAPITAL)? (.+)"
)


def latin_letters(text: str) -> str:
    """Return ``text`` in lower-case ASCII letters and digits; other characters become spaces."""
    return "".join(map(_spelled, unicodedata.normalize("NFC", text.lower())))


@lru_cache(maxsize=65_536)
def _spelled(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isalnum() else " "
    if letter in _KNOWN:
        return _KNOWN[letter]
    plain = unicodedata.normalize("NFKD", letter)
    if plain != letter and not _is_hangul(letter):
        return "".join(map(_spelled, plain.lower()))
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    category = unicodedata.category(letter)
    if category == "Mn":
        return ""
    return _named(letter) or f"{ord(letter):x}" if category[0] in "LM" else " "


def _is_hangul(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("HANGUL")


def _named(letter: str) -> str:
    """Return the last word of a letter's Unicode name."""
    match = _BY_NAME.search(unicodedata.name(letter, ""))
    if match is None:
        return ""
    return re.sub("[^a-z]", "", match[1].split()[-1].lower())
