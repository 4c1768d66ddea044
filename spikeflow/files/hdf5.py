"""The look at HDF5 before the HDF5 library sees it: do its trees end?

The library follows the trees of a file as they are written. A few kilobytes in which every branch leads to
the same branch below hold groups and data sets without end, and no call of the library comes back to be
stopped. Here every object is visited once, and a node of a tree that is reached twice is refused; so the
library's walks are linear.

::

    superblock (version 0, 1)     -> header of the root group
    header of an object           -> messages: symbol table (a group), layout (chunks), links, continuations
    tree of version 1 (``TREE``)  -> nodes below, or ``SNOD``: entries, each the header of an object
    tree of version 2 (``BTHD``)  -> not walked; its depth is bounded, which bounds its walk
    fixed, extensible array       -> not walked; their elements are bounded by the file

Source: The HDF Group, "HDF5 File Format Specification Version 3.0".
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from spikeflow.errors import FileError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
PLACES = (0, 512, 1024, 2048)  # where a file may begin, behind a block of the user's
NOWHERE = 2**64 - 1
MAX_DEPTH = 2  # of trees of version 2: a hundred records a node make a million
MAX_NODE = 4096  # bytes of a node of such a tree
_CONTINUATION, _SYMBOLS, _LAYOUT, _LINK = 0x10, 0x11, 0x08, 0x06
_CHUNKED = 2


class _Endless(ValueError):
    """A tree that does not end, or a structure that leads out of the file."""


def check_structure(path: object, data: bytes | mmap.mmap) -> None:
    """Walk a whole file, which lies in memory or is mapped.

    Raises
    ------
    FileError
        Where a tree comes back to itself or a branch is shared, or an address leads out of the file.
    """
    try:
        begin = next(at for at in PLACES if bytes(data[at : at + 8]) == SIGNATURE)
    except StopIteration:
        raise FileError(path, "is no HDF5 file") from None
    try:
        walk = _Walk(data, begin)
        walk.run()
        if walk.newer:
            walk.indexes()
    except (_Endless, struct.error) as error:
        raise FileError(path, f"damaged HDF5 ({error})", "a fresh copy") from None


@dataclass
class _Headers:
    """The bytes of a file, the messages in the headers of its objects, and the nodes that were visited."""

    data: bytes | mmap.mmap
    begin: int
    nodes: set[int] = field(default_factory=set)
    newer: bool = False  # whether an object has a header of version 2, which leads to trees of version 2

    def unpack(self, layout: str, at: int) -> tuple[int, ...]:
        """Little-endian numbers at an address of the file."""
        if not 0 <= at <= len(self.data) - self.begin - struct.calcsize("<" + layout):
            raise _Endless(f"an address beyond the file: {at}")
        return struct.unpack_from("<" + layout, self.data, self.begin + at)

    def word(self, at: int, size: int = 4) -> bytes:
        """Bytes at an address."""
        return bytes(self.data[self.begin + at : self.begin + at + size])

    def visit(self, at: int) -> None:
        """Come to a node of a tree, a heap or a block, for the first time."""
        if at in self.nodes:
            raise _Endless(f"the structure at byte {at} is reached twice")
        self.nodes.add(at)

    def messages(self, at: int) -> Iterator[tuple[int, int]]:
        """Type and place of each message of an object's header."""
        if self.word(at) == b"OHDR":
            self.newer = True
            yield from self._messages_v2(at)
            return
        version, _, _, _, size = self.unpack("BBHII", at)
        if version != 1:
            raise _Endless(f"no header of an object at byte {at}")
        blocks = [(at + 16, size)]
        for place, length in blocks:
            end = place + length
            while place + 8 <= end:
                kind, size, _ = self.unpack("HHI", place)
                if kind == _CONTINUATION:
                    blocks.append(self.block(place + 8))
                yield kind, place + 8
                place += 8 + size

    def _messages_v2(self, at: int) -> Iterator[tuple[int, int]]:
        version, flags = self.unpack("BB", at + 4)
        if version != 2:
            raise _Endless(f"no header of an object at byte {at}")
        place = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(self.word(place, width), "little")
        blocks, head = [(place + width, size)], 6 if flags & 4 else 4
        for place, length in blocks:
            end = place + length
            while place + head <= end:
                kind, size, _ = self.unpack("BHB", place)
                if kind == _CONTINUATION:
                    start, whole = self.block(place + head)
                    blocks.append((start + 4, whole - 8))  # its signature and checksum
                yield kind, place + head
                place += head + size

    def block(self, at: int) -> tuple[int, int]:
        """The place and the size of a header's next block."""
        place, size = self.unpack("QQ", at)
        self.visit(place)
        if size > len(self.data):
            raise _Endless(f"a header of {size} bytes")
        return place, size


@dataclass
class _Walk(_Headers):
    """The objects that were visited, and those that are still to be."""

    headers: set[int] = field(default_factory=set)
    waiting: list[int] = field(default_factory=list)

    def run(self) -> None:
        """Visit every object that can be reached from the root group."""
        version, _, _, _, _, sizes, lengths = self.unpack("7B", 8)
        if version >= 2:
            sizes, lengths = self.unpack("2B", 9)
            root = self.unpack("Q", 12 + 3 * 8)[0]
        else:
            root = self.unpack("Q", (24 if version == 0 else 28) + 4 * 8 + 8)[0]
        if (sizes, lengths) != (8, 8):
            raise _Endless(f"addresses of {sizes} and lengths of {lengths} bytes")
        self.waiting.append(root)
        while self.waiting:
            at = self.waiting.pop()
            if at not in self.headers:
                self.headers.add(at)
                for kind, place in self.messages(at):
                    self.message(kind, place)

    def message(self, kind: int, at: int) -> None:
        """Follow what leads on: a group's tree, a data set's tree of chunks, a link to an object."""
        if kind == _SYMBOLS:
            tree, heap = self.unpack("QQ", at)
            self.heap(heap)
            self.tree(tree, 8)
        elif kind == _LAYOUT:
            self.layout(at)
        elif kind == _LINK:
            self.link(at)

    def layout(self, at: int) -> None:
        """The tree of a data set's chunks, where it has one."""
        version, first, second = self.unpack("3B", at)
        dimensions, kind, tree = (second, first, at + 3) if version == 3 else (first, second, at + 8)
        if version <= 3 and kind == _CHUNKED:
            # a key: size and mask of a chunk, and its place along each dimension and within an element
            self.tree(self.unpack("Q", tree)[0], 8 + 8 * dimensions)

    def link(self, at: int) -> None:
        """The object of a hard link in a header; other links are not followed."""
        _, flags = self.unpack("BB", at)
        at += 2
        kind = self.unpack("B", at)[0] if flags & 8 else 0
        at += bool(flags & 8) + (8 if flags & 4 else 0) + bool(flags & 16)
        width = 1 << (flags & 3)  # of the name's length
        at += width + int.from_bytes(self.word(at, width), "little")
        if kind == 0:
            self.waiting.append(self.unpack("Q", at)[0])

    def tree(self, root: int, key: int) -> None:
        """Every node of a tree of version 1, whose keys have so many bytes."""
        waiting = [] if root == NOWHERE else [(root, -1)]
        while waiting:
            at, level = waiting.pop()
            self.visit(at)
            kind, height, used = self.unpack("BBH", at + 4)
            if self.word(at) != b"TREE" or level not in (-1, height):
                raise _Endless(f"no node of a tree at byte {at}")
            children = [self.unpack("Q", at + 24 + key + n * (key + 8))[0] for n in range(used)]
            if height:
                waiting += [(child, height - 1) for child in children]
            elif kind == 0:
                for child in children:
                    self.symbols(child)

    def symbols(self, at: int) -> None:
        """The entries of a group in one leaf."""
        self.visit(at)
        if self.word(at) != b"SNOD":
            raise _Endless(f"no entries of a group at byte {at}")
        (count,) = self.unpack("H", at + 6)
        for entry in range(at + 8, at + 8 + 40 * count, 40):
            header, kind = self.unpack("QI", entry + 8)
            if kind != 2 and header != NOWHERE:  # 2: a soft link, which is not followed
                self.waiting.append(header)

    def heap(self, at: int) -> None:
        """The list of free places in the heap of a group's names."""
        self.visit(at)
        size, free, place = self.unpack("QQQ", at + 8)
        if self.word(at) != b"HEAP" or size > len(self.data):
            raise _Endless(f"no heap at byte {at}")
        seen = set[int]()
        while free not in (1, NOWHERE):  # 1 ends the list
            if free in seen or free + 16 > size:
                raise _Endless("free places of a heap that do not end")
            seen.add(free)
            (free,) = self.unpack("Q", place + free)

    def indexes(self) -> None:
        """Trees and arrays of newer versions, wherever they are: none deep, none of more elements than
        bytes.
        """
        for at in self._found(b"BTHD"):
            (node,) = self.unpack("I", at + 6)
            (depth,) = self.unpack("H", at + 12)
            if depth > MAX_DEPTH or node > MAX_NODE:
                raise _Endless(f"a tree of version 2 that is {depth} deep")
        for at in self._found(b"TREE"):  # of objects that lie in a tree of version 2
            if at not in self.nodes and self.unpack("B", at + 5)[0] > MAX_DEPTH:
                raise _Endless(f"the tree at byte {at} is too deep to be looked at")
        for at in self._found(b"FAHD"):
            if self.unpack("Q", at + 8)[0] > len(self.data):
                raise _Endless("an array of more chunks than the file has bytes")
        for at in self._found(b"EAHD"):
            if max(self.unpack("6Q", at + 12)) > 2 * len(self.data):
                raise _Endless("an array of more chunks than the file has bytes")

    def _found(self, word: bytes) -> Iterator[int]:
        at = self.data.find(word)
        while at >= 0:
            yield at - self.begin
            at = self.data.find(word, at + 4)
