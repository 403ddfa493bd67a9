# SPDX-License-Identifier: MIT
"""`python -m pymfa config`: what a C compiler needs to use the library of this installation."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from .errors import Failure
from .native import library_path


def header_path() -> Path:
    """MFA_HEADER, or the file that was installed with the package."""
    given = os.environ.get("MFA_HEADER")
    return Path(given) if given else Path(__file__).with_name("include") / "mfa.h"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pymfa config", description=__doc__)
    parser.add_argument("--cflags", action="store_true", help="where mfa.h is")
    parser.add_argument("--libs", action="store_true", help="where libmfa is, also at run time")
    options = parser.parse_args(arguments)
    both = not options.cflags and not options.libs
    header, library = header_path(), library_path()
    for file in (header, library):
        if not file.exists():
            raise Failure(f"there is no {file}: install pymfa's wheel, or build with ./dev build")
    flags = []
    if options.cflags or both:
        flags += ["-I", str(header.resolve().parent)]
    if options.libs or both:
        folder = str(library.absolute().parent)
        flags += ["-L", folder, f"-Wl,-rpath,{folder}", "-lmfa"]
    print(shlex.join(flags))
    return 0
