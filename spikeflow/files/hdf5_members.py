"""Groups, attributes and arrays of a stranger's HDF5: only what lies in the file itself, paid for before it
is read.

Soft and external links, external and virtual storage, references and objects are not followed. Filters are
those that come with HDF5 and h5py (gzip, shuffle, fletcher32, LZF).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

import h5py
import numpy as np

from spikeflow.errors import FileError, SpikeflowError
from spikeflow.files import limits
from spikeflow.files.hdf5_open import first_line, open_hdf5
from spikeflow.files.opened import PathLike, open_regular
from spikeflow.typing import Array

MOST_MEMBERS = 1 << 16
MOST_CHUNK = 1 << 26  # bytes
MOST_TEXT = 1 << 20  # bytes of an attribute
FILTERS = frozenset(
    {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
)


@contextmanager
def members_of(path: PathLike) -> Generator[Members, None, None]:
    """The root of a file.

    Raises
    ------
    FileError
        Where it is no HDF5, or damaged; also for what the HDF5 library finds while it is read.
    """
    opened, size = open_regular(path)
    opened.close()
    with open_hdf5(path) as file, _damage(path):
        yield Members(path, file, limits.unpacked(path, size))


@contextmanager
def _damage(path: PathLike) -> Generator[None, None, None]:
    """What the library raises on damaged files, which is nearly every built-in exception, as FileError."""
    try:
        yield
    except SpikeflowError:
        raise
    except Exception as error:
        raise FileError(path, f"damaged HDF5 ({first_line(error)})") from error


class Members:
    """A group of the file and what lies in it."""

    def __init__(self, path: PathLike, group: Any, budget: limits.Budget) -> None:
        self.path, self._group, self._budget = path, group, budget
        self.name: str = str(group.name)

    def names(self) -> list[str]:
        """What lies in the group; FileError where that is more than anyone has."""
        if len(self._group) > MOST_MEMBERS:
            raise FileError(self.path, f"{self.name} has more than {MOST_MEMBERS} members")
        return [str(name) for name in self._group]

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def is_group(self, name: str) -> bool:
        """Whether a member is a group."""
        return isinstance(self._member(name), h5py.Group)

    def group(self, name: str) -> Members:
        """A group in this one; FileError where there is none."""
        found = self._member(name)
        if not isinstance(found, h5py.Group):
            raise FileError(self.path, f"{self._full(name)} is no group")
        return Members(self.path, found, self._budget)

    def array(self, name: str) -> Array:
        """The numbers of a data set.

        Raises
        ------
        FileError
            Where there are none, or more than the file's bytes can hold.
        """
        held: Any = self._member(name)
        if not isinstance(held, h5py.Dataset) or held.shape is None or held.dtype.kind not in "iuf":
            raise FileError(self.path, f"{self._full(name)} does not hold numbers")
        plan = held.id.get_create_plist()
        if held.is_virtual or held.external:
            raise FileError(self.path, f"{self._full(name)} takes its values from other files")
        for index in range(plan.get_nfilters()):
            code, _, _, label = plan.get_filter(index)
            if code not in FILTERS:
                raise FileError(self.path, f"{self._full(name)} needs the filter {code} ({label[:40]!r})")
        declared, stored = prod(held.shape) * held.dtype.itemsize, held.id.get_storage_size()
        chunk = prod(held.chunks) * held.dtype.itemsize if held.chunks else 0
        if declared > limits.RATIO * stored or chunk > MOST_CHUNK:
            raise FileError(self.path, f"{self._full(name)} declares {declared} bytes and holds {stored}")
        self._budget.spend(declared)
        return np.asarray(held[()])

    def attributes(self, name: str = "") -> Mapping[str, Any]:
        """The attributes of the group, or of a member: texts and single numbers; others are left out."""
        held: Any = self._member(name) if name else self._group
        found: dict[str, Any] = {}
        for key in list(held.attrs)[:MOST_MEMBERS]:
            kind = held.attrs.get_id(key)
            if (
                kind.shape not in ((), (1,))
                or kind.dtype.itemsize > MOST_TEXT
                or kind.dtype.kind not in "iufSO"
            ):
                continue
            value: Any = held.attrs[key]
            value = value.reshape(-1)[0] if isinstance(value, np.ndarray) else value
            found[str(key)] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return found

    def _full(self, name: str) -> str:
        return f"{self.name.rstrip('/')}/{name}"

    def _member(self, name: str) -> Any:
        link = self._group.get(name, getlink=True) if name in self._group else None
        if not isinstance(link, h5py.HardLink):
            reason = "lacks" if link is None else "links out of the file at"
            raise FileError(self.path, f"{reason} {self._full(name)}")
        return self._group[name]
