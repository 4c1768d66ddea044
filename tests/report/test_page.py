"""The page is whole, fetches nothing, and takes no name from a file for anything but text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from spikeflow.errors import FileError
from spikeflow.report import ReportFacts, to_html, write_page
from tests.report.conftest import FORMULA, HOSTILE

VOID = {"meta", "link", "br", "img", "input", "hr"}
FETCHING = {"script", "iframe", "object", "embed", "img", "audio", "video", "base", "form"}


class Reader(HTMLParser):
    """Tags in order, attributes, and text; every element must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def page(facts: ReportFacts) -> str:
    return to_html(facts)


def test_the_page_has_its_sections_and_pictures(page: str) -> None:
    for name in ("accuracy", "layers", "spikes", "conversion", "cost", "record"):
        assert f'<section id="{name}">' in page and f'href="#{name}"' in page
    assert page.count("<svg") == 4
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_page_fetches_nothing(page: str) -> None:
    reader = read(page)
    assert not FETCHING & set(reader.tags)
    assert reader.tags.count("link") == 1
    for name, value in reader.attributes:
        if name in ("src", "href", "xlink:href", "action", "srcset", "data"):
            assert value.startswith("#") or value == "data:,", f"{name}={value}"
        assert not name.startswith("on")
        if name == "style":
            assert not re.search(r"url\((?!#)", value)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style and "url(" not in style[1] and "@import" not in style[1]
    assert "default-src 'none'" in page


def test_a_name_from_a_file_is_only_text(page: str) -> None:
    reader = read(page)
    assert "script" not in reader.tags
    assert any(HOSTILE in text for text in reader.text)
    assert any(FORMULA in text for text in reader.text)


def test_every_string_of_the_facts_is_escaped(facts: ReportFacts) -> None:
    evil = '"><script>alert(1)</script><svg onload=alert(1)>'
    network = replace(
        facts.network, notes={evil: evil}, labels=(evil,), readout=evil, coding=evil, stage=evil
    )
    layers = tuple(replace(layer, node=evil, kind=evil, overflow={evil: 3}) for layer in facts.layers)
    hostile = replace(
        facts,
        network=network,
        layers=layers,
        made=replace(facts.made, sources={evil: evil, "network": evil}, engine=evil),
        run=replace(facts.run, title=evil, stage=evil),
        conversion={evil: evil, "x": [{evil: evil}]},
        raster=tuple(replace(r, node=evil) for r in facts.raster),
        sample={evil: evil},
    )
    reader = read(to_html(hostile))
    assert "script" not in reader.tags
    assert not any(name.startswith("on") for name, _ in reader.attributes)


def test_equal_facts_give_equal_pages(facts: ReportFacts, page: str) -> None:
    assert to_html(facts) == page


def test_a_network_that_never_spikes_still_has_a_page(facts: ReportFacts) -> None:
    quiet = replace(
        facts,
        raster=(),
        ann=None,
        conversion={},
        run=replace(facts.run, accuracy=None, accuracy_over_steps={}),
    )
    text = " ".join(read(to_html(quiet)).text)
    assert "No layer of this network spiked" in text
    assert "without labels" in text


def test_a_page_is_written_whole_or_not_at_all(facts: ReportFacts, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    write_page(target, facts)
    assert target.read_text().startswith("<!doctype html>")
    with pytest.raises(FileError):
        write_page(tmp_path / "no" / "folder" / "report.html", facts)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
