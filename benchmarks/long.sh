#!/usr/bin/env bash
# What takes hours: peers, speed, the CIFAR-10 result table, the long fuzzes; records into benchmarks/records/.
#   bash benchmarks/long.sh [BIN]      BIN: the bin folder of the project's environment (default .venv/bin)
# Needs a quiet machine for the speed part. Each part is resumable: call it again after it was cut off.
# SPIKEFLOW_DATA names the data folder; without it the parts on CIFAR-10 are left out, and said to be.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
records=benchmarks/records
export PYTHONPATH=$PWD
# a part that fails does not keep the others from running, but the script then fails at its end
failed=()
part() { echo "== ${*:2}"; "${@:2}" || failed+=("$1"); }

bash benchmarks/peers.sh "$bin"
part "engine, 1 thread" "$bin/python" benchmarks/engine.py --threads 1 --out "$records/engine-1.json"
part "engine, 2 threads" "$bin/python" benchmarks/engine.py --threads 2 --out "$records/engine-2.json"
if [ -n "${SPIKEFLOW_DATA:-}" ]; then
    part "resnet20" "$bin/python" benchmarks/resnet.py --data "$SPIKEFLOW_DATA" --images 1000 --out "$records/resnet20.json"
else
    echo "SPIKEFLOW_DATA is not set: ResNet-20 on CIFAR-10 is left out" >&2
fi
part "integers" "$bin/python" benchmarks/integers.py ${SPIKEFLOW_DATA:+--data "$SPIKEFLOW_DATA" --long} --out "$records/integers.json"
part "fuzz" "$bin/python" benchmarks/fuzz.py --count "${FUZZ:-1000000}" --out "$records/fuzz.json"
part "fuzz of the decoders" "$bin/python" benchmarks/fuzz_events.py --count "${FUZZ_EVENTS:-5000000}" --out "$records/fuzz_events.json"
part "fuzz of lowered arrays" "$bin/python" benchmarks/fuzz_lowered.py --count "${FUZZ_LOWERED:-10000000}" --out "$records/fuzz_lowered.json"
part "other processors" "$bin/python" benchmarks/processors.py --out "$records/processors.json"
part "fuzz of files and commands" "$bin/python" benchmarks/fuzz_files.py --count "${FUZZ_FILES:-10000000}" --block 1000 --out "$records/fuzz_files.json"
bash benchmarks/event_peers.sh "$bin"
part "decoding" "$bin/python" benchmarks/decode.py --out "$records/decode.json"
part "loading" "$bin/python" benchmarks/loading.py --out "$records/loading.json"

for record in "$records"/*.json; do
    "$bin/python" benchmarks/report.py "$record"
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
