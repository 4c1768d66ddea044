#!/usr/bin/env bash
# The peers' environment, benchmarks/.venv-peers: torch of the same version as ours, norse, snntorch, spikingjelly.
#   bash benchmarks/peers.sh [BIN]      BIN: the bin folder of the project's own environment (default .venv/bin)
#
# spikeflow is not installed here. A contender runs in a process of its own: the engine and the plain torch loop in
# the project's environment, a peer in this one, where PYTHONPATH gives it spikeflow's pure Python part (the graph
# and its file). The engine measured is therefore the one that the tests ran, and the two environments share the
# interpreter and the version of torch.
#
# The peers go in without their dependencies: they name torchvision, torchaudio and tensorboard, of which nothing
# here imports a line, and which have no CPU build everywhere. What they do import is listed below by version.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
env=benchmarks/.venv-peers
torch=${TORCH:-torch==2.13.0}
index=${TORCH_INDEX:+--index-url $TORCH_INDEX}

constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
printf 'torch==2.13.0\ntorchvision==0.28.0\n' > "$constraints"

[ -x "$env/bin/python" ] || "$bin/python" -m venv "$env"
install() { "$env/bin/python" -m pip install -q --disable-pip-version-check -c "$constraints" "$@"; }

install $index "$torch"
# setuptools_scm: norse comes as source only and takes its version from it
install "setuptools>=64" "setuptools_scm>=8" wheel
install numpy scipy h5py "loguru>=0.7,<1" matplotlib tqdm packaging pandas nir==1.0.8
install --no-deps nirtorch==2.6
install --no-deps --no-build-isolation norse==1.1.0 sinabs==3.1.3 snntorch==1.0.0 spikingjelly==2.0.0

"$env/bin/python" - <<'PYTHON'
"""A peer that cannot be imported ends the script."""
import importlib
from importlib.metadata import version

for module, package in (("torch", "torch"), ("norse.torch", "norse"), ("sinabs.layers", "sinabs"), ("snntorch", "snntorch"),
                        ("spikingjelly.activation_based.functional", "spikingjelly")):
    importlib.import_module(module)
    print(f"{package} {version(package)}")
PYTHON
