"""Pictures of a recording: `facts` gathers what is shown; `page`, `picture` and `film` show it, `write`
writes it.
"""

from spikeflow.report.recording.facts import About, RecordingFacts, View, recording_facts

__all__ = ["About", "RecordingFacts", "View", "recording_facts"]
