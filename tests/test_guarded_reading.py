"""Files of strangers are opened in ``spikeflow/files`` alone, where pipes, devices and what a file may cost are seen to.

The names below open, map, unpack or parse what lies behind a path; elsewhere none of them may be called, but for the
places listed with the reason why nothing of a stranger is opened there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUARDS = "spikeflow/files/"
OPENING = {
    *("open", "os.open", "os.fdopen", "io.open", "codecs.open", "io.FileIO"),
    *("np.load", "np.loadtxt", "np.genfromtxt", "np.fromfile", "np.memmap", "numpy.load", "mmap.mmap"),
    *(
        "h5py.File",
        "zipfile.ZipFile",
        "tarfile.open",
        "tarfile.TarFile",
        "gzip.open",
        "bz2.open",
        "lzma.open",
    ),
    *("gzip.GzipFile", "bz2.BZ2File", "lzma.LZMAFile", "zipfile.is_zipfile", "tarfile.is_tarfile"),
    *(
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "torch.load",
        "marshal.load",
        "marshal.loads",
        "shelve.open",
    ),
    *(
        "json.load",
        "tomllib.load",
        "Image.open",
        "wave.open",
        "ElementTree.parse",
        "scipy.io.loadmat",
        "runpy.run_path",
    ),
}
METHODS = {"read_bytes", "read_text"}  # of a path, whatever it is called
WRITES = "writes a new file of our own"
ALLOWED = {
    (
        "spikeflow/ir/store.py",
        "h5py.File",
    ): "an image in memory: ours being written, or bytes that `_checked_image` has read",
    ("spikeflow/sim/record_file.py", "h5py.File"): WRITES,
    ("spikeflow/sim/ranks/child.py", "pickle.loads"): "what the process that started this one wrote to its pipe",
    ("spikeflow/report/template.py", "read_text"): "a part of the page that is installed with the package",
    ("datasets/formats/hdf5.py", "h5py.File"): "an image in memory, being written",
    ("datasets/formats/decoded.py", "io.FileIO"): "a cast's type",
    ("datasets/formats/npy.py", "np.memmap"): "of a file that `reading` has opened, no larger than it is",
    ("datasets/fetch/unpack.py", "open"): WRITES,
    ("datasets/fetch/unpack.py", "zipfile.is_zipfile"): "of a file that `reading` has opened",
    (
        "datasets/fetch/unpack.py",
        "zipfile.ZipFile",
    ): "of a file that `reading` has opened; what comes out has a budget",
    ("datasets/fetch/unpack.py", "tarfile.open"): "of a file that `reading` has opened, behind `_Metered`",
    (
        "datasets/fetch/unpack.py",
        "gzip.GzipFile",
    ): "of a file that `reading` has opened; what comes out has a budget",
    ("datasets/fetch/unpack.py", "bz2.BZ2File"): "of a file that `reading` has opened, behind `_Metered`",
    ("datasets/fetch/unpack.py", "lzma.LZMAFile"): "of a file that `reading` has opened, behind `_Metered`",
    ("spikeflow/events.py", "mmap.mmap"): "asked for, not made",
    ("datasets/fetch/download.py", "open"): WRITES,
    (
        "datasets/sets/cifar10.py",
        "Image.open",
    ): "of a file that `reading` has opened; its size is looked at first",
    (
        "datasets/sets/braille.py",
        "gzip.GzipFile",
    ): "of a file that `open_regular` has opened, read within a budget",
    (
        "datasets/stored/idx.py",
        "gzip.GzipFile",
    ): "of a file that `open_regular` has opened, read no further than it declares",
    ("datasets/twins/drives.py", "h5py.File"): WRITES,
    ("datasets/twins/bundles.py", "h5py.File"): WRITES,
}


def named(node: ast.expr) -> str:
    """``a.b.c`` of an expression, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    inner = named(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner and isinstance(node, ast.Attribute) else ""


def _values(node: ast.AST) -> Iterator[ast.AST]:
    """All below a node but types."""
    yield node
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _values(child)


def openings(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of whatever opens a file in a source text; also where it is handed on, not called."""
    tree = ast.parse(source)
    known = {a.asname or a.name: a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    brought = {
        a.asname or a.name: f"{n.module}.{a.name}"
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and n.module
        for a in n.names
    }
    shown = {full: name for name in OPENING for full in (name, name.replace("np.", "numpy."), f"PIL.{name}")}
    for node in _values(tree):
        if not isinstance(node, ast.Attribute | ast.Name) or isinstance(node.ctx, ast.Store):
            continue
        name = named(node)
        first, dot, rest = name.partition(".")
        full = (brought.get(first) or known.get(first) or first) + dot + rest
        for form in (name, full):
            if form in shown:
                yield node.lineno, shown[form]
                break
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            yield node.lineno, node.attr
        if isinstance(node, ast.Attribute) and node.attr == "open" and name.partition(".")[0] not in known:
            yield node.lineno, "open of an object"


# of a format, of an entry of an archive that is open, of a picture from a guarded file
OBJECTS = {"datasets/read.py", "datasets/fetch/unpack.py", "datasets/sets/cifar10.py"}


def sources() -> Iterator[tuple[str, str]]:
    for folder in ("spikeflow", "datasets"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith((GUARDS, "spikeflow/datasets/")):
                yield name, path.read_text("utf-8")


def test_nothing_opens_a_file_past_the_guards() -> None:
    found = [
        f"{name}:{line}: {what}"
        for name, source in sources()
        for line, what in openings(source)
        if (name, what) not in ALLOWED and not (what == "open of an object" and name in OBJECTS)
    ]
    assert found == []


def test_every_exception_is_needed() -> None:
    there = {(name, what) for name, source in sources() for _, what in openings(source)}
    assert set(ALLOWED) - there == set()


@pytest.mark.parametrize(
    "source",
    [
        "with open(path, 'rb') as f: pass",
        "import numpy\nnumpy.load(p)",
        "import numpy as np\nf = np.load",
        "from numpy import load\nload(p)",
        "from zipfile import ZipFile as Z\nZ(p)",
        "import h5py as h\nh.File(p)",
        "from pathlib import Path\nPath('x').read_bytes()",
        "def f(path): return path.open('rb')",
        "from PIL import Image\nImage.open(p)",
        "import pickle\npickle.loads(b)",
        "readers = {'.npy': __import__('numpy').load, '.gz': gzip.open}\nimport gzip",
    ],
)
def test_the_search_finds_what_opens_a_file(source: str) -> None:
    assert list(openings(source))
