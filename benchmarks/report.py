"""Print a record as markdown: python benchmarks/report.py benchmarks/records/engine.json"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conversion_page import conversion_report

PEERS = ("torch", "norse", "sinabs", "snntorch", "spikingjelly")


def engine_report(record: dict[str, Any]) -> Iterator[str]:
    """Times of every contender, and how often the engine is faster than the fastest mode of each peer."""
    settings = record["settings"]
    yield f"\nThreads: {settings['threads']}; {settings['repeat']} interleaved passes; times are medians."
    for name, part in record["parts"].items():
        yield f"\n### {name}, T = {part['steps']}, {part['neurons']:,} neurons\n"
        yield "| contender | median, ms | minimum, ms | peak, MiB | first run, s | ties | differing spikes |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_line(who, result) for who, result in part["contenders"].items())
        yield ""
        yield _ratios(part["contenders"])


def _line(who: str, r: dict[str, Any]) -> str:
    if "error" in r:
        return f"| {who} | failed: {r['error'].splitlines()[0][:90]} | | | | | |"
    agreement = r["agreement"]
    times = f"{1e3 * r['median_s']:.3g} | {1e3 * r['minimum_s']:.3g}" if "median_s" in r else "not timed | "
    ties = f"{agreement['ties']}" if agreement["equal"] else f"**{agreement['errors']} errors**"
    return (
        f"| {who} | {times} | {r.get('peak_mib', 0):.0f} | {r['prepare_s'] + r['first_run_s']:.2g} | {ties} | "
        f"{agreement['differing_from_first']} |"
    )


def _ratios(contenders: dict[str, dict[str, Any]]) -> str:
    best = {who: _fastest(contenders, who) for who in ("spikeflow", *PEERS)}
    ours = best.pop("spikeflow")
    if ours is None:
        return "The engine was not timed."
    parts = [
        f"{who} {found[1] / ours[1]:.2f} ({found[0].removeprefix(who).strip()})"
        if found
        else f"{who} not timed"
        for who, found in best.items()
    ]
    return f"Fastest mode of each over the engine's ({ours[0].removeprefix('spikeflow').strip()}): {', '.join(parts)}."


def _fastest(contenders: dict[str, dict[str, Any]], who: str) -> tuple[str, float] | None:
    timed = [
        (name, r["median_s"]) for name, r in contenders.items() if name.split()[0] == who and "median_s" in r
    ]
    return min(timed, key=lambda pair: pair[1]) if timed else None


def resnet_report(record: dict[str, Any]) -> Iterator[str]:
    """Accuracies over T of the ANN, the SNN and the mapped integer networks, and what they cost."""
    parts = record["parts"]
    runs = {name: part for name, part in parts.items() if "accuracy" in part}
    steps = sorted({int(t) for part in runs.values() for t in part["accuracy"]})
    yield f"\n{record['settings']['images']} test images; calibration on {record['settings']['calibration']} training images.\n"
    yield (
        "| network | "
        + " | ".join(f"T = {t}" for t in steps)
        + " | seconds | synaptic operations an image | cores | chips |"
    )
    yield "|---" * (len(steps) + 5) + "|"
    if "ann" in parts:
        yield f"| ANN | {100 * parts['ann']['test_accuracy']:.2f} % |" + " |" * (len(steps) + 3)
    for name, part in runs.items():
        values = [
            f"{100 * part['accuracy'][str(t)]:.2f} %" if str(t) in part["accuracy"] else "" for t in steps
        ]
        mapped = parts.get(name.replace("run", "map"), {})
        yield (
            f"| {name} | "
            + " | ".join(values)
            + f" | {part['seconds']:.0f} | {part['operations_per_image']:,.0f} | "
            f"{mapped.get('cores', '')} | {mapped.get('chips', '')} |"
        )
    for name, part in parts.items():
        if "refusal" in part:
            yield f"\n{name}: refused\n\n```\n{part['refusal']}\n```"


def fuzz_report(record: dict[str, Any]) -> Iterator[str]:
    """How many random graphs were compared."""
    parts = record["parts"].values()
    yield f"\n{sum(p['graphs'] for p in parts):,} random graphs, {sum(len(p['failures']) for p in parts)} differences."


def fuzz_events_report(record: dict[str, Any]) -> Iterator[str]:
    """How many damaged streams were decoded."""
    parts = record["parts"].values()
    failed = sum(1 for part in parts if part["failure"])
    yield f"\n{sum(p['inputs'] for p in parts):,} damaged streams, sanitizers on; {failed} blocks ended in a failure."


def decode_report(record: dict[str, Any]) -> Iterator[str]:
    """Times of every reader of event files, and theirs over ours."""
    settings = record["settings"]
    yield f"\n{settings['passes']} interleaved passes; {', '.join(' '.join(v) for v in settings['versions'].items())}."
    for name, part in record["parts"].items():
        yield f"\n### {name}, {part['bytes'] / 1e6:.3g} MB\n"
        yield "| reader | median, ms | minimum, ms | processor, ms | million events/s | MB/s | over ours | other values in |"
        yield "|---|---|---|---|---|---|---|---|"
        ours = part["readers"]["spikeflow"]
        for who, r in part["readers"].items():
            if "median_s" not in r:
                yield f"| {who} | failed: {r['error'].splitlines()[0][:90]} | | | | | | |"
                continue
            yield (
                f"| {who} | {1e3 * r['median_s']:.3g} | {1e3 * r['minimum_s']:.3g} | {1e3 * r['cpu_s']:.3g} | {r['events_per_s'] / 1e6:.3g} | "
                f"{r['mb_per_s']:.4g} | {r['median_s'] / ours['median_s']:.2f} | {', '.join(r['differs_in'])} |"
            )


def loading_report(record: dict[str, Any]) -> Iterator[str]:
    """Loading against training, for each number of workers; the peer's loading."""
    settings = record["settings"]
    data = "real data" if settings["real"] else "synthetic twins"
    yield f"\nOf {data}; torch with {settings['threads']} thread; medians of {settings['passes']} interleaved passes."
    for name, part in record["parts"].items():
        alone, share = part["training_s"], part["loading_processor_s"] / part["training_processor_s"]
        yield f"\n### {name}, {part['samples']} samples, batches of {part['batch']}, T = {part['steps']}\n"
        yield f"Training alone {alone:.3g} s; processor time of loading over that of training {share:.3g}.\n"
        yield "| loader | samples/s | loading over training | epoch over training alone | share of waiting |"
        yield "|---|---|---|---|---|"
        for w, r in part["workers"].items():
            yield (
                f"| {w} workers | {r['samples_a_second']:,.0f} | {r['loading_over_training']:.3g} | "
                f"{r['epoch_over_training']:.3g} | {r['waited_share']:.3g} |"
            )
        tonic = part.get("tonic", {})
        if "error" in tonic:
            yield f"| tonic | failed: {tonic['error'][:90]} | | | |"
        for w, r in tonic.get("workers", {}).items():
            words = "the same batches" if tonic["equal"] else "**other batches**"
            yield f"| tonic, {w} workers, {words} | {r['samples_a_second']:,.0f} | {r['loading_s'] / alone:.3g} | | |"


def two_point_claim_report(record: dict[str, Any]) -> Iterator[str]:
    """Accuracy and spikes of every arm, and the gate's paired differences with their intervals."""
    for name, part in record["parts"].items():
        folds, seeds = len(part["splits"]), len(part["arms"]["gate"]["accuracy_by_fold_and_seed"][0])
        made = "; ".join(f"{m['runs']} trainings on {m['machine']}" for m in part["made by"])
        yield f"\n### {name}: {folds} folds x {seeds} seeds ({', '.join(part['splits'])})\n\n{made}.\n"
        yield "| arm | parameters | test accuracy | spikes a sample | gate's lead, points | 95 %, folds | 95 %, pairs | bootstrap | better in |"
        yield "|---|---|---|---|---|---|---|---|---|"
        for arm, r in part["arms"].items():
            first = f"| {arm} | {r['parameters']:,} | {100 * r['accuracy']:.1f} % | {r['spikes_a_sample']:,.0f} | "
            d = part["gate against"].get(arm)
            kinds = [_points(d[k]) for k in ("t_folds", "t_pairs", "bootstrap")] if d else [""] * 3
            lead = f"{100 * d['mean']:+.1f}" if d else ""
            yield first + " | ".join([lead, *kinds, d["better_in"] if d else ""]) + " |"


def _points(interval: list[float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"


def recipes_report(record: dict[str, Any]) -> Iterator[str]:
    """Selection and test of every training of a data set, and which candidate validation chose for each fold."""
    parts = dict(record["parts"])
    chosen = parts.pop("summed.json")["chosen on validation"]
    yield f"\nChosen on validation: {', '.join(f'fold {f}: {c}' for f, c in chosen.items()) or 'nothing yet'}.\n"
    yield "| training | epoch selected | validation | test, once | machine |"
    yield "|---|---|---|---|---|"
    for name, part in parts.items():
        valid, test = part["selection"], part["test"]
        yield (
            f"| {name.removesuffix('/record.json')} | {valid['epoch']} of {part['epochs']} | {_share(valid)} | "
            f"{_share(test) if test else 'not looked at'} | {part['machine']['device']} |"
        )


def _share(part: dict[str, Any]) -> str:
    return f"{100 * part['accuracy']:.2f} % of {part['samples']:,}"


REPORTS = {
    "conversion": conversion_report,
    "recipes": recipes_report,
    "two_point_claim": two_point_claim_report,
    "loading": loading_report,
    "engine": engine_report,
    "resnet": resnet_report,
    "fuzz": fuzz_report,
    "fuzz_events": fuzz_events_report,
    "decode": decode_report,
}


def main() -> None:
    """Print each record that is named."""
    for path in sys.argv[1:]:
        record = json.loads(Path(path).read_text())
        machine = record["machine"]
        print(
            f"## {Path(path).stem}\n\nCommit {record['commit']}; {machine['processor']}, {machine['cores']} cores "
            f"({', '.join(machine['features'])}); Python {machine['python']}, torch {machine['packages']['torch']}."
        )
        kind = record["settings"].get("kind", "engine")
        for line in REPORTS[kind](record):
            print(line)


if __name__ == "__main__":
    main()
