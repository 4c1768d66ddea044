"""Reports: the facts of a network, its run and its mapping, as one HTML page, as text and as JSON.

::

    facts = collect(network, samples, mapping)
    write_page("report.html", facts)
"""

from spikeflow.report.network.ann import measure_ann
from spikeflow.report.network.collect import ReportOptions, collect
from spikeflow.report.network.facts import AnnFacts, ReportFacts
from spikeflow.report.network.text import to_json, to_text
from spikeflow.report.network.verdicts import read_conversion
from spikeflow.report.network.write import to_html, write_page

__all__ = [
    "AnnFacts",
    "ReportFacts",
    "ReportOptions",
    "collect",
    "measure_ann",
    "read_conversion",
    "to_html",
    "to_json",
    "to_text",
    "write_page",
]
