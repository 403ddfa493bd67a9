# SPDX-License-Identifier: MIT
"""Arguments of `python -m pymfa tune` -> tuning tables on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import pymfa

from .search import Search
from .tables import TABLES, TYPES


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="pymfa tune",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures tiles on a device and prints tuning tables, in the form that\n"
        "native/host/tuning.cpp keeps. Each row is the fastest tile found for a class of problems\n"
        "by changing one or two columns at a time, starting at the tile that is taken now.",
        epilog="to use what it prints without rebuilding anything:\n"
        "  python -m pymfa tune > tiles.txt && MFA_TILES=tiles.txt python ...",
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}")
    parser.add_argument("--types", default=",".join(TYPES), help=f"of {', '.join(TYPES)}")
    parser.add_argument("--classes", help="only classes of problems with this in their name")
    parser.add_argument("--device", help="the device to tune (default: the first)")
    options = parser.parse_args(argv)
    dtypes = options.types.split(",")
    for given, known in ((options.tables, TABLES), (dtypes, TYPES)):
        for name in given:
            if name not in known:
                parser.error(f"{name!r} is not one of {', '.join(known)}")
    try:
        device = pymfa.device(options.device)
    except pymfa.Error as error:
        parser.error(str(error))

    print(f"// {device.description}, {device.workers} workers", flush=True)
    for name in options.tables or TABLES:
        table = TABLES[name]
        print(table.name, flush=True)
        for of in table.classes:
            if options.classes and options.classes not in of.reason:
                continue
            for dtype in dtypes:
                search = Search(device, table, dtype, of, lambda text: print(text, file=sys.stderr))
                tile, reason = search.run()
                print(table.row(device, dtype, of, tile, reason), flush=True)
    device.set_tiles(None)
    return 0
