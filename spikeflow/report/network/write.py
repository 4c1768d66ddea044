"""Writing the page: whole or not at all. The drawing libraries are loaded only when there is a page to
draw.
"""

from __future__ import annotations

import os

from spikeflow.files.write import replace_file
from spikeflow.report.network.facts import ReportFacts


def to_html(facts: ReportFacts) -> str:
    """The report as one HTML page."""
    from spikeflow.report.network import page

    return page.to_html(facts)


def write_page(path: str | os.PathLike[str], facts: ReportFacts) -> None:
    """Write the page; FileError leaves behind what was there before."""
    replace_file(path, (to_html(facts).encode(),))
