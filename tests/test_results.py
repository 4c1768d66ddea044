"""Each command that a page names is there and takes the options it is named with; each record is committed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "benchmarks/README.md"])
COMMAND = re.compile(r"python ((?:benchmarks|examples|tests|docs)/[\w/]+\.py)([^`\n]*)")
RECORD = re.compile(r"benchmarks/records/\w+\.json")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    for script, arguments in COMMAND.findall(text):
        assert (ROOT / script).is_file(), script
        source = (ROOT / script).read_text()
        # options of an example may stand in what its examples share
        shared = (ROOT / "examples/trained.py").read_text() if script.startswith("examples/") else ""
        for option in re.findall(r"--[\w-]+", arguments):
            assert f'"{option}"' in source + shared, f"{script} {option}"
    for record in RECORD.findall(text):
        # a word in capitals stands for several
        assert list(ROOT.glob(re.sub("[A-Z]{2,}", "*", record))), record


def test_commands_and_records_are_found() -> None:
    text = (ROOT / "docs/results.md").read_text()
    assert len(COMMAND.findall(text)) >= 10 and len(RECORD.findall(text)) >= 8
