# SPDX-License-Identifier: MIT
"""Turns the MSL headers of prelude/ into a table of C strings: embed.py OUT HEADER..."""

import pathlib
import sys

from vectors import text


def literal(data: bytes) -> str:
    """Bytes as a C initialiser, which has no length limit, unlike a string literal."""
    return "".join(f"{byte}," for byte in data)


def main() -> None:
    out, *headers = sys.argv[1:]
    files = {pathlib.Path(header).name: pathlib.Path(header).read_bytes() for header in headers}
    files["__vec"] = text().encode()
    entries = []
    arrays = []
    for number, (name, data) in enumerate(sorted(files.items())):
        arrays.append(f"const char k{number}[] = {{{literal(data)}0}};\n")
        entries.append(f'{{"{name}", k{number}, {len(data)}}},\n')
    pathlib.Path(out).write_text(
        "".join(arrays) + "constexpr PreludeFile kPrelude[] = {\n" + "".join(entries) + "};\n"
    )


if __name__ == "__main__":
    main()
