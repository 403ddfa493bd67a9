# SPDX-License-Identifier: MIT
"""`pymfa demo`: sentence embeddings with a real transformer; `pymfa demo train`: a small GPT."""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """`train` and its options, or sentences to embed."""
    if arguments and arguments[0] == "train":
        from . import train

        return train.main(arguments[1:])
    from . import cli

    return cli.main(arguments)


__all__ = ["main"]
