"""Two builds of the engine side by side, each in a process of its own, which take turns: what a change of its code costs.

    python benchmarks/two_engines.py OLD.so NEW.so [--scale 0.3] [--drive poisson] [--threads 1] [--steps 500] [--pairs 24]
        --out benchmarks/records/two_engines_NAME.json

OLD.so and NEW.so are compiled modules `spikeflow.sim._engine` of the Python code beside this file. Both run the cortical
microcircuit (`examples/microcircuit.py`) from the same seed, stretch after stretch in turns, the first of each pair changing; what is
told is CPU time, as a machine may have other work, and the quotients of pairs. Their spikes have to be the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import Record

SEED, SETTLING, DT_S = 1, 500, 1e-4
NAME = "spikeflow.sim._engine"


def child(module: str, scale: float, drive: str, threads: int, steps: int) -> None:
    """Runs a stretch for every line that it reads; tells its CPU seconds and all spikes until then."""
    spec = importlib.util.spec_from_file_location(NAME, module)
    assert spec is not None and spec.loader is not None
    sys.modules[NAME] = engine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(engine)
    from spikeflow.sim import prepare

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
    from microcircuit import NAMES, network

    live = prepare(network(scale, drive, SEED), "cpp", threads).begin(1)
    live.advance({}, SETTLING)
    spikes = 0
    for _ in sys.stdin:
        begun = time.process_time()
        found = live.advance({}, steps)
        spent = time.process_time() - begun
        spikes += sum(found.counts[name].spikes for name in NAMES)
        print(json.dumps([spent, spikes]), flush=True)


def ask(one: subprocess.Popen[str]) -> tuple[float, int]:
    """The next stretch of a process."""
    assert one.stdin is not None and one.stdout is not None
    one.stdin.write("\n")
    one.stdin.flush()
    spent, spikes = json.loads(one.stdout.readline())
    return spent, spikes


def compared(command: list[str], modules: list[str], pairs: int, biology: float) -> dict[str, Any]:
    """CPU seconds a second of biology of both, and the quotients of pairs."""
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*command, "--child", module], **pipes) for module in modules]
    spent, spikes = np.zeros((pairs, 2)), [0, 0]
    for k in range(pairs):
        for which in (k % 2, 1 - k % 2):
            spent[k, which], spikes[which] = ask(both[which])
        assert spikes[0] == spikes[1], spikes
    for one in both:
        one.communicate()
    low, middle, high = np.quantile(spent[:, 1] / spent[:, 0], [0.25, 0.5, 0.75]).tolist()
    return {
        "cpu_per_s": (np.median(spent, axis=0) / biology).tolist(),
        "quotient": middle,
        "quartiles": [low, high],
        "spikes": spikes[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("modules", nargs="*", help="two compiled modules, the old one first")
    parser.add_argument("--scale", type=float, default=0.3)
    parser.add_argument("--drive", choices=("poisson", "dc"), default="poisson")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--out", default="two_engines.json")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.scale, args.drive, args.threads, args.steps)
        return
    settings = {"scale": args.scale, "drive": args.drive, "threads": args.threads, "steps": args.steps}
    command = [sys.executable, __file__, *(w for k, v in settings.items() for w in (f"--{k}", str(v)))]
    record = Record(args.out, settings | {"pairs": args.pairs, "seed": SEED})
    record.put("two engines", compared(command, args.modules, args.pairs, args.steps * DT_S))
    print(json.dumps(record["two engines"]))


if __name__ == "__main__":
    main()
