# SPDX-License-Identifier: MIT
"""`python -m pymfa JOB ...`: hands the arguments to the job."""

from __future__ import annotations

import sys

_USAGE = """\
python -m pymfa JOB [ARGUMENTS]

  info                    the devices of this machine and their limits
  inspect FILE [NAME]     functions of a metallib; the stages of one: --air, --vector, --asm
  extract FILE            write the metallib alone, for hosts of MFA 1.0's interface
  config                  flags for a C compiler: --cflags, --libs
  demo [SENTENCE...]      embed sentences with a real transformer
  demo train              train a small GPT beside PyTorch's attention
  demo vision [IMAGE]     find faces with a real network of convolutions
  selftest                check every operation; --threads 8 --seconds 300: at once
  tune [TABLE...]         find the fastest tiles of this device
  bench [NAME...]         compare with NumPy and PyTorch; what is asked, and what is reached
  conformance FILE        a pipeline for every function of a metallib, and a table
  ulp                     how far elementary functions are from the truth
"""


def main(arguments: list[str]) -> int:
    job, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if job == "info":
        from .describe import info

        return info()
    if job == "inspect":
        from . import inspection

        return inspection.main(rest)
    if job == "extract":
        from . import extraction

        return extraction.main(rest)
    if job == "config":
        from . import config

        return config.main(rest)
    if job == "demo":
        from . import demo

        return demo.main(rest)
    if job == "selftest":
        from . import selftest

        return selftest.main(rest)
    if job == "bench":
        from . import bench

        return bench.main(rest)
    if job == "conformance":
        from . import conformance

        return conformance.main(rest)
    if job == "tune":
        from . import tune

        return tune.main(rest)
    if job == "ulp":
        from .conformance import ulp

        return ulp.main(rest)
    helpful = job in ("-h", "--help", "help")
    print(_USAGE, end="", file=sys.stdout if helpful else sys.stderr)
    if job and not helpful:
        print(f"\nno job is called {job!r}", file=sys.stderr)
    return 0 if helpful else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
