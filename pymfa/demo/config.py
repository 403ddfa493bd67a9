# SPDX-License-Identifier: MIT
"""Reads the numbers that shape the network from the model's config.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .weights import DemoError


@dataclass(frozen=True)
class Config:
    layers: int
    heads: int
    width: int  # of the hidden state
    inner: int  # of the feed-forward layer
    epsilon: float  # of the layer norms

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def read_config(folder: Path) -> Config:
    data = json.loads((folder / "config.json").read_text())
    if data["hidden_act"] != "gelu" or data["position_embedding_type"] != "absolute":
        raise DemoError(f"{folder}: not the network this demo computes")
    return Config(
        layers=data["num_hidden_layers"],
        heads=data["num_attention_heads"],
        width=data["hidden_size"],
        inner=data["intermediate_size"],
        epsilon=data["layer_norm_eps"],
    )
