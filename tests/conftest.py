"""What tests of several packages share: a small pool of documents from three sources that disagree."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import settings

# how long an example takes depends on what else the machine does
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

WORDS = {
    "law": [
        "court",
        "shall",
        "section",
        "act",
        "person",
        "duty",
        "notice",
        "order",
        "clause",
        "right",
        "party",
        "liable",
        "statute",
        "judge",
    ],
    "code": [
        "def",
        "return",
        "import",
        "class",
        "self",
        "list",
        "value",
        "error",
        "type",
        "call",
        "test",
        "key",
        "loop",
        "index",
    ],
    "mail": [
        "dear",
        "thanks",
        "meeting",
        "tomorrow",
        "please",
        "regards",
        "team",
        "call",
        "lunch",
        "friday",
        "update",
        "note",
        "send",
    ],
}


def records(n: int = 60, seed: int = 0) -> list[dict[str, object]]:
    """Return n documents with id, text, source, quality and rating."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        source = list(WORDS)[i % 3]
        own = rng.choice(WORDS[source], 25 + i % 7)
        shared = rng.choice([word for words in WORDS.values() for word in words], 10)
        found.append(
            {
                "id": f"{source}-{i}",
                "text": " ".join([*own, *shared, f"number{i}"]),
                "source": source,
                "quality": float(rng.random()),
            }
        )
    return found


@pytest.fixture
def documents():
    return records()


@pytest.fixture
def pool_file(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records(200)))
    return path
