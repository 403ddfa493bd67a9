# SPDX-License-Identifier: MIT
"""A repaired wheel -> the same with the licences of the libraries that are in it.

usage: licences.py WHEEL

For each library in pymfa.libs/ and each one linked statically: the Debian package it comes from,
its source package, and its copyright file, with the licence texts that these refer to.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Whose code is inside libmfa or mfa-metalc: an archive of each.
STATIC = {
    "llvm-*/lib/libLLVMCore.a": "LLVM, in libmfa and mfa-metalc",
    "llvm-*/lib/libclangAST.a": "clang, in mfa-metalc",
    "*/libboost_context.a": "Boost.Context, in libmfa",
    "gcc/*/*/libstdc++.a": "libstdc++, in mfa-metalc",
}
TEXTS = Path("/usr/share/common-licenses")
HEAD = """\
Everything in this wheel that is not pymfa's own (MIT, LICENSE in this folder): shared libraries in
pymfa.libs/, unchanged but for their names and where they look for each other, and libraries linked
into libmfa and mfa-metalc. They were built by Debian; their sources are those of the source package
named, in that version. <package>.txt in this folder has the package's own account of its licences,
and common/ the licences that those name.

"""


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def original(name: str, known: dict[str, str]) -> str:
    """Where the library lay that auditwheel has renamed."""
    plain = re.sub(r"-[0-9a-f]{8}(?=\.so)", "", name)
    for path in known.values():
        if Path(path).resolve().name == plain or Path(path).name == plain:
            return str(Path(path).resolve())
    raise SystemExit(f"licences: {name}: no {plain} among the libraries of this system")


def package_of(path: str) -> str:
    """The Debian package; it may have installed the file before /lib became a link to /usr/lib."""
    for candidate in (path, path.removeprefix("/usr"), "/usr" + path):
        done = subprocess.run(["dpkg-query", "-S", candidate], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    raise SystemExit(f"licences: {path} belongs to no package")


def source_of(package: str) -> str:
    shown = output("dpkg-query", "-W", "-f", "${source:Package} ${source:Version}\n", package)
    return shown.splitlines()[0]


def write(folder: Path, libraries: list[str]) -> None:
    """The list, the packages' copyright files, and the texts that they name."""
    known = dict(re.findall(r"^\t(\S+) .* => (\S+)$", output("/sbin/ldconfig", "-p"), re.M))
    rows = [(name, package_of(original(name, known))) for name in libraries]
    for pattern, where in STATIC.items():
        rows += [(where, package_of(str(path))) for path in Path("/usr/lib").glob(pattern)]
    named: set[str] = set()
    for package in sorted({package for _, package in rows}):
        text = Path("/usr/share/doc", package, "copyright").read_text("utf-8", "replace")
        (folder / f"{package}.txt").write_text(text, "utf-8")
        named |= set(re.findall(rf"{TEXTS}/([A-Za-z0-9.-]*[A-Za-z0-9])", text))
    (folder / "common").mkdir(exist_ok=True)
    for name in sorted(named):
        if (TEXTS / name).is_file():
            (folder / "common" / name).write_bytes((TEXTS / name).read_bytes())
    lines = [f"{name:40}  {package:24}  {source_of(package)}" for name, package in sorted(rows)]
    head = f"{'library':40}  {'package':24}  source package, version"
    (folder / "LIBRARIES.txt").write_text(HEAD + "\n".join([head, *lines]) + "\n", "utf-8")


def main(wheel: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        output(sys.executable, "-m", "wheel", "unpack", "--dest", temporary, str(wheel))
        (root,) = Path(temporary).iterdir()
        (info,) = root.glob("*.dist-info")
        licences = info / "licenses"
        write(licences, sorted(p.name for p in root.glob("pymfa.libs/*.so*")))
        added = sorted(str(p.relative_to(licences)) for p in licences.rglob("*") if p.is_file())
        metadata = (info / "METADATA").read_text("utf-8")
        lines = "".join(f"License-File: {name}\n" for name in added)
        metadata = re.sub(r"^(License-File: .*\n)+", lines, metadata, count=1, flags=re.M)
        (info / "METADATA").write_text(metadata, "utf-8")
        output(sys.executable, "-m", "wheel", "pack", "--dest-dir", str(wheel.parent), str(root))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
