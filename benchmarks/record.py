"""Record: a JSON file of results that grows part by part, with the commit, the machine and the settings.

A part that is there already, for the same commit, machine and settings, is not measured again. So a run that was
cut off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ("spikeflow", "datasets", "src", "benchmarks", "examples", ":!benchmarks/records")
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "matplotlib")


class Record:
    """A JSON record on disk.

    Parameters
    ----------
    settings : what a part's value depends on, besides commit and machine.
    keep : keep the parts of another commit or machine, too; what is added then says its own commit.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], keep: bool = False) -> None:
        self.path = Path(path)
        head: dict[str, Any] = {"commit": commit(), "machine": machine(), "settings": settings}
        old = json.loads(self.path.read_text()) if self.path.exists() else {}
        # through JSON, so that tuples and lists compare equal
        same = {key for key, value in head.items() if old.get(key) == json.loads(json.dumps(value))}
        fits, kept = same == set(head), keep and "settings" in same
        self.later = head["commit"] if kept and not fits else ""
        self.content = old if kept else {**head, "parts": old["parts"] if fits else {}}

    def __contains__(self, part: str) -> bool:
        return part in self.content["parts"]

    def __getitem__(self, part: str) -> Any:
        return self.content["parts"][part]

    def put(self, part: str, value: Any) -> None:
        """Add a part and write the whole record: to a temporary file, then renamed."""
        self.content["parts"][part] = {**value, "commit": self.later} if self.later else value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.content, indent=1) + "\n")
        os.replace(temporary, self.path)


def _git(*arguments: str) -> str:
    return subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True).stdout


def commit() -> str:
    """The commit; where files that are measured differ from it, with a digest of them behind a plus."""
    head = _git("rev-parse", "HEAD").strip()
    if not _git("status", "--porcelain", "--", *MEASURED).strip():
        return head
    digest = hashlib.sha256()
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard", "--", *MEASURED)
    for name in sorted(listed.splitlines()):
        path = ROOT / name
        digest.update(name.encode() + (path.read_bytes() if path.is_file() else b""))
    return f"{head}+{digest.hexdigest()[:12]}"


def machine() -> dict[str, Any]:
    """Processor, cores, memory, and the versions of what runs on them."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "features": _features(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    for line in _cpu_lines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _features() -> list[str]:
    """The processor's vector units: two machines of one name may differ in them."""
    flags = next((line for line in _cpu_lines() if line.startswith("flags")), "").split()
    return sorted(
        set(flags) & {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8"}
    )


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
