"""The same bits on other processors: python benchmarks/processors.py --out FILE

Networks of every kind are made and run while their calls are recorded (`tests/laws/recordings.py`); a C++ program plays
them and gives a digest of all that came out of each. Digests are compared between this processor's sets of kernels, a
processor without vectors of 256 bits, and Arm; the last two need an emulator, and are left out with a word where
it or the compiler is missing: apt-get install g++-aarch64-linux-gnu qemu-user
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from record import ROOT, Record

sys.path.insert(0, str(ROOT))

from tests.laws import recordings

CACHE = ROOT / "benchmarks" / ".cache" / "processors"
FLAGS = ("-std=c++20", "-O2", "-ffp-contract=off", "-fwrapv", "-pthread", "-static")
BITS = ("-mbmi", "-mbmi2", "-mpopcnt")
WIDE = ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mprefer-vector-width=512")
VECTORS = {"kernels_avx2": ("-mavx2", *BITS), "kernels_avx512": (*WIDE, *BITS)}  # as in CMakeLists.txt
ARM, OLD = ("aarch64-linux-gnu-g++", "qemu-aarch64"), ("g++", "qemu-x86_64")
KERNELS = (0, 1, 2)  # plain, AVX2, AVX-512; where a processor has fewer, its best
THREADS = (1, 3)


def built(compiler: str) -> Path:
    """The program, by a compiler; files that have not changed are not compiled again."""
    folder = CACHE / Path(compiler).name
    folder.mkdir(parents=True, exist_ok=True)
    names = ["item.cpp", "player.cpp", "digest.cpp"]
    sources = [*sorted((ROOT / "src" / "engine").glob("*.cpp")), *(ROOT / "src" / "lowered" / n for n in names)]
    vectors = platform.machine() in ("x86_64", "AMD64") and compiler != ARM[0]
    sources = [s for s in sources if vectors or s.stem not in VECTORS]
    newest = max(path.stat().st_mtime for path in (ROOT / "src").rglob("*.[hi]*"))

    def compiled(source: Path) -> str:
        made = folder / f"{source.parent.name}_{source.stem}.o"
        if not made.exists() or made.stat().st_mtime < max(newest, source.stat().st_mtime):
            more = ["-DSPIKEFLOW_X86"] if vectors else []
            told = [compiler, *FLAGS, *more, *VECTORS.get(source.stem, []), f"-I{ROOT / 'src'}", "-c", source]
            subprocess.run([*map(str, told), "-o", str(made)], check=True)
        return str(made)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sources))
    program = folder / "digest_lowered"
    subprocess.run([compiler, *FLAGS, *objects, "-o", str(program)], check=True)
    return program


def digests(command: Sequence[str], folder: Path, kernels: int, threads: int) -> dict[str, str]:
    """The digest of each file of calls."""
    told = [*command, str(folder), str(kernels), str(threads)]
    done = subprocess.run(told, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(told)}: {done.stderr[-500:]}")
    return dict(line.split() for line in done.stdout.splitlines())


def processors() -> dict[str, tuple[list[str], tuple[int, ...]]]:
    """The command for each processor, and the sets of kernels to ask for there; those that cannot be had are told."""
    here = str(built("g++"))
    found: dict[str, tuple[list[str], tuple[int, ...]]] = {"this one": ([here], KERNELS)}
    if shutil.which(OLD[1]) and platform.machine() == "x86_64":
        found["Nehalem, without AVX2, emulated"] = ([OLD[1], "-cpu", "Nehalem", here], (2,))
    else:
        print("qemu-x86_64 is not installed: a processor without AVX2 is left out", file=sys.stderr)
    if all(map(shutil.which, ARM)):
        found["Arm, emulated"] = ([ARM[1], str(built(ARM[0]))], (2,))
    else:
        print(f"{' or '.join(ARM)} is not installed: Arm is left out", file=sys.stderr)
    return found


def compared(command: list[str], kernels: Sequence[int], folder: Path, wanted: dict[str, str]) -> dict[str, Any]:
    """How many files were played, and which had another digest."""
    begun, differ, played = time.perf_counter(), list[str](), 0
    for kind in kernels:
        for threads in THREADS:
            found = digests(command, folder, kind, threads)
            played += len(found)
            assert found.keys() == wanted.keys(), "files that were not played"
            differ += [f"{n}, kernels {kind}, {threads} threads" for n in wanted if found[n] != wanted[n]]
    return {"played": played, "differ": differ, "seconds": time.perf_counter() - begun}


def main() -> None:
    """All processors; exit code 1 where a digest differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=40, help="networks of each kind")
    parser.add_argument("--out", default="processors.json")
    args = parser.parse_args()
    record = Record(args.out, {"kind": "processors", "seeds": args.seeds, "threads": list(THREADS)})
    failed = False
    with tempfile.TemporaryDirectory() as there:
        recordings.files(Path(there), args.seeds)
        wanted = digests([str(built("g++"))], Path(there), 0, 1)
        for name, (command, kernels) in processors().items():
            if name not in record:
                record.put(name, compared(command, kernels, Path(there), wanted))
            print(f"{name}: {record[name]}", file=sys.stderr, flush=True)
            failed |= bool(record[name]["differ"])
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
