"""The JSON of an archive, field by field: each is of the type that torch writes, or the file is damaged."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeVar

from spikeflow.convert.load.zipped import StoredZip
from spikeflow.errors import FileError

AGAIN = "torch.export.save(torch.export.export(model, (example,)), path) with torch 2.10 or newer"
MAX_SIZE = 2**48
MAX_JSON = 64 * 2**20
_NAMES = {"name": re.compile(r"\w{1,1000}"), "target": re.compile(r"[\w.]{1,200}")}
_T = TypeVar("_T")


class Fields:
    """The entries of one archive; every method either returns a checked value or raises FileError."""

    def __init__(self, archive: StoredZip) -> None:
        self.archive, self.path = archive, archive.path
        self.top = next(iter(archive.entries)).partition("/")[0] if archive.entries else ""

    def bad(self, what: str) -> NoReturn:
        """Raise: the file is not as torch writes it."""
        raise FileError(self.path, f"the archive's graph is damaged: {what}", AGAIN)

    def member(self, record: Any, key: str, kind: type[_T]) -> _T:
        """A required field of a JSON object, of exactly the type named."""
        if type(record) is not dict or key not in record:
            self.bad(f"{key!r} is missing")
        if type(record[key]) is not kind:
            self.bad(f"{key!r} is {type(record[key]).__name__}")
        return record[key]

    def name(self, record: Any, key: str = "name") -> str:
        """A required name of a value or operation, as torch makes them."""
        found = self.member(record, key, str)
        return found if _NAMES[key].fullmatch(found) else self.bad("a name holds signs that no name has")

    def user_name(self, record: Any, key: str) -> str:
        """A required name that the user chose: any signs that can be shown."""
        found = self.member(record, key, str)
        return found if found.isprintable() and len(found) < 1000 else self.bad("a name cannot be shown")

    def optional(self, record: dict[str, Any], key: str) -> dict[str, Any]:
        """An object that may be absent."""
        return self.member(record, key, dict) if record.get(key) is not None else {}

    def one(self, record: Any) -> tuple[str, Any]:
        """Name and value of a record with exactly one field, as torch writes a choice."""
        if type(record) is not dict or len(record) != 1:
            self.bad("a choice does not have exactly one value")
        return next(iter(record.items()))

    def json(self, name: str) -> dict[str, Any]:
        """An entry that is one JSON object, no field of it given twice."""

        def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) != len(pairs):
                self.bad("a field stands twice")
            return found

        try:
            found = json.loads(self.archive.read(f"{self.top}/{name}", MAX_JSON), object_pairs_hook=once)
        except ValueError:
            raise FileError(self.path, f"{name} in it is not JSON", AGAIN) from None
        return found if type(found) is dict else self.bad(f"{name} is no object")

    def symbol(self, value: Any) -> Any:
        """The example's number for a size, never the expression beside it."""
        kind, found = self.one(value)
        if kind == "as_expr":
            hint = found.get("hint") if type(found) is dict else None
            if hint is None:
                raise FileError(self.path, "a size in the archive has no example value", AGAIN)
            kind, found = self.one(hint)
        expected = {"as_int": int, "as_float": float, "as_bool": bool}.get(kind)
        return found if type(found) is expected else self.bad("a size is no number")

    def size(self, value: Any) -> int:
        """A size of the example, as a whole number."""
        size = self.symbol(value)
        return size if type(size) is int and 0 <= size <= MAX_SIZE else self.bad("a size is no whole number")
