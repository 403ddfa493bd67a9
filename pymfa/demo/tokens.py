# SPDX-License-Identifier: MIT
"""Turns sentences into a padded batch of token numbers with its padding mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .weights import DemoError

MAX_TOKENS = 256  # the model was trained on no more


@dataclass(frozen=True)
class Batch:
    """`ids` and `mask` are [sentences, tokens]; the mask is True where there is a token."""

    ids: NDArray[np.uint32]
    mask: NDArray[np.bool_]

    @property
    def tokens(self) -> int:
        return int(self.mask.sum())


def tokenize(folder: Path, sentences: Sequence[str]) -> Batch:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise DemoError("the demo needs: python -m pip install tokenizers") from None
    if not sentences:
        raise DemoError("no sentence to embed")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(sentences))]
    longest = max(len(row) for row in rows)
    ids = np.zeros((len(rows), longest), np.uint32)
    mask = np.zeros((len(rows), longest), np.bool_)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = True
    return Batch(ids, mask)
