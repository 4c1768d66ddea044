#!/usr/bin/env bash
# The environment of the readers of event files that decode.py compares with, benchmarks/.venv-event-peers.
#   bash benchmarks/event_peers.sh [BIN]      BIN: the bin folder of the project's own environment (default .venv/bin)
# spikeflow is not installed here: its reader runs in the project's environment, each peer in a process of this one.
# tonic goes in without its dependencies, of which its readers need only the ones listed; torch is for its data loader.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
env=benchmarks/.venv-event-peers

[ -x "$env/bin/python" ] || "$bin/python" -m venv "$env"
install() { "$env/bin/python" -m pip install -q --disable-pip-version-check "$@"; }

install "${TORCH:-torch==2.13.0}"
install expelliarmus==1.1.12 faery==0.7.1 evlib==0.13.2 event_stream==1.6.3 dv_processing==2.0.4 aedat==2.3.0
install numpy h5py scipy tqdm librosa importRosbag
install --no-deps tonic==1.7.0

"$env/bin/python" - <<'PYTHON'
"""A peer that cannot be imported ends the script."""
import importlib
from importlib.metadata import version

for module in ("expelliarmus", "faery", "evlib", "event_stream", "dv_processing", "aedat", "tonic.io"):
    importlib.import_module(module)
    package = module.split(".")[0]
    print(package, version(package))
PYTHON
