"""Cutting documents into parts, and how well a part fits a query. Pure.

The score is the original's: 0.5 if the whole query stands in the content, 0.3 if in the title, and 0.1 for
each of its words in the content, upper and lower case alike. Parts that a storage's own full-text ranking
(BM25) put first are scored so, and of equal ones the storage's order decides.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

LONGEST_PART = 2_000  # characters: a part and its neighbours fit into any model's context
OVERLAP = 200
CANDIDATES = 200
"""How many of a storage's own best are scored."""

_BREAKS = ("\n\n", "\n", ". ", " ")
_WORDS = re.compile(r"[^\W_]+")
_LONGEST_WORD = 500  # characters: a word of PostgreSQL has at most 2 kB
_MOST_WORDS = 200


def parts_of(content: str) -> list[str]:
    """A document in parts that overlap a little, cut where paragraphs, lines or sentences end."""
    return list(_parts(content)) or [""]


def _parts(content: str) -> Iterator[str]:
    start = 0
    while len(content) - start > LONGEST_PART:
        end = _break_before(content, start, start + LONGEST_PART)
        yield content[start:end].strip()
        start = max(end - OVERLAP, start + 1)
    yield content[start:].strip()


def _break_before(content: str, start: int, end: int) -> int:
    """The last good place to cut in the second half of a part, else its end."""
    for mark in _BREAKS:
        place = content.rfind(mark, start + LONGEST_PART // 2, end)
        if place != -1:
            return place + len(mark)
    return end


def plain(text: str) -> str:
    """The words of a text as full-text search compares them: no case, no accents, a blank between two."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(word[:_LONGEST_WORD] for word in _WORDS.findall(bare))


def words_of(query: str) -> list[str]:
    """The words that full-text search is asked for."""
    return list(dict.fromkeys(plain(query).split()))[:_MOST_WORDS]


def clean(value: Any) -> Any:
    """JSON without NUL, which PostgreSQL's texts cannot have."""
    match value:
        case str():
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        case dict():
            return {clean(key): clean(one) for key, one in value.items()}
        case list():
            return [clean(one) for one in value]
    return value


def score_of(query: str, title: str, content: str) -> float:
    """Points of a part: raw sums, as the original gives them."""
    query, title, content = query.casefold(), title.casefold(), content.casefold()
    whole = (0.5 if query in content else 0.0) + (0.3 if query in title else 0.0)
    return whole + sum(0.1 for word in query.split() if word in content)
