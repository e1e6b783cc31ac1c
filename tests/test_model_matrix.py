"""docs/models.md is what comes of trying: for the families that stand for a kind, here and now; for all, as it was."""

from __future__ import annotations

import pytest

from tools.model_matrix import page
from tools.model_matrix.__main__ import examine
from tools.model_matrix.families import FAMILIES

# One for each way to lie in a batch, to read an answer, to limit a text, and to be refused.
KINDS = [
    "bert",  # packed, two token types
    "deberta-v2",  # padded, no token types
    "t5",  # reads its end mark, encoder and decoder, texts of any length
    "xlnet",  # padded on the left, has a parameter that nothing depends on
    "qwen3",  # reads the last token, has none for padding
    "gemma3",  # its text is a part of its configuration
    "fnet",  # sees padding
    "mra",  # wants a kernel of its own
]


@pytest.mark.parametrize("family", KINDS)
def test_page_says_what_comes_of_trying_a_family(family: str) -> None:
    row = examine(family)
    assert not row.failures
    assert page.published()[family] == page.line(row)


def test_page_has_every_family_of_transformers_and_none_that_fails() -> None:
    rows = page.published()
    assert list(rows) == list(FAMILIES)
    assert not [row for row in rows.values() if "not right" in row]
