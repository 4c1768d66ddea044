#!/usr/bin/env bash
# The whole path on real pictures: train, convert, run, map onto two chips, run mapped, and a report to open.
set -euo pipefail
bin=$1; data=${2:-}; out=demo
PATH="$PWD/$bin:$PATH"
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

mkdir -p "$out"
say python examples/train_ann.py --out "$out" ${data:+--data "$data"}
say spikeflow convert "$out/ann.pt" --data "$out/calib.npz" --steps 64 --out "$out/net.h5"
say spikeflow run "$out/net.h5" --data "$out/test.npz"
for chip in loihi2 spinnaker2; do
    say spikeflow map "$out/net.h5" --chip "$chip" --chips 4 --data "$out/calib.npz" --out "$out/net.$chip.map.h5"
    say spikeflow run "$out/net.$chip.map.h5" --data "$out/test.npz"
done
# the first generation takes spikes and resets to zero only: a network converted for it
say spikeflow convert "$out/ann.pt" --data "$out/calib.npz" --steps 64 --reset zero --input rate --out "$out/net.rate.h5"
say spikeflow map "$out/net.rate.h5" --chip loihi1 --chips 4 --data "$out/calib.npz" --out "$out/net.loihi1.map.h5"
say spikeflow run "$out/net.loihi1.map.h5" --data "$out/test.npz"
say spikeflow report "$out/net.h5" --map "$out/net.loihi2.map.h5" --ann "$out/ann.pt" --data "$out/test.npz" --out "$out/report.html"
