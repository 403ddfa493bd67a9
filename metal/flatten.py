# SPDX-License-Identifier: MIT
"""Kernel sources -> one file for newLibraryWithSource: to take apart, where there is no metallib.

Each source has its own headers written into it, for Metal finds no files at run time. It begins
with a line that names its kernels, and ends with a zero byte.
"""

import re
import sys
from pathlib import Path


def flatten(path: Path, seen: set[Path]) -> str:
    def include(match: re.Match[str]) -> str:
        header = path.parent / match[1]
        if header in seen:
            return ""
        seen.add(header)
        return flatten(header, seen)

    text = re.sub(r"^#pragma once\n", "", path.read_text(), flags=re.M)
    return re.sub(r'^#include "([^"]+)"\n', include, text, flags=re.M)


def main(output: str, *sources: str) -> None:
    whole = ""
    for source in sources:
        text = flatten(Path(source), set())
        names = re.findall(r'host_name\("(\w+)"\)|^kernel void (\w+)\(', text, re.M)
        whole += "//kernels " + " ".join(a or b for a, b in names) + " \n" + text + "\0"
    Path(output).write_text(whole)


main(*sys.argv[1:])
