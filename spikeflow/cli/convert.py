"""``spikeflow convert ann.pt --data calib.npz --steps 64 --out net.h5``."""

from __future__ import annotations

from typing import Any

import click

from spikeflow.cli import console

COMPARED = 200  # calibration samples on which the two networks are compared


@click.command("convert", cls=console.Writing)
@click.argument("ann", type=click.Path())
@click.option(
    "--data",
    type=click.Path(),
    help=f"{console.SAMPLES} Without them thresholds come from the batch-norm statistics.",
)
@click.option("--steps", type=click.IntRange(1), default=64, show_default=True, help="Steps of a run.")
@click.option(
    "--read-from",
    default="0",
    show_default=True,
    help="Read answers from this step on: a number, or depth or estimated, taken where held-back samples are "
    "answered no worse. --steps counts all of them.",
)
@click.option(
    "--until",
    default="",
    help="Take the smallest number of steps, up to --most-steps, after which held-back samples are answered "
    "as wanted: drop<=0.5 (points answered otherwise than by the original) or agreement>=0.99.",
)
@click.option(
    "--most-steps", type=click.IntRange(1), default=512, show_default=True, help="With --until: its limit."
)
@click.option(
    "--exit",
    type=click.FloatRange(0, 100),
    default=None,
    metavar="POINTS",
    help="Let a sample stop as soon as it is sure: at most so many points of the held-back samples, such as "
    "0, may then be answered otherwise than after all steps.",
)
@console.ARCH
@click.option("--input-shape", help="Shape of one sample, such as 3,32,32, where no data tells it.")
@click.option(
    "--reset",
    type=click.Choice(["subtract", "zero"]),
    default="subtract",
    show_default=True,
    help="What a spike does to its neuron: subtract the threshold, or set the neuron to zero.",
)
@click.option(
    "--alphabet",
    default="binary",
    show_default=True,
    help="What a neuron may hand on in a step: binary (0 or 1), signed (-1 takes back), burst:M (0 to M), "
    "multi-threshold:N (0, -2^k and 2^k for k below N), or differential:M (changes of a running mean, -M to "
    "M, worth 1 / t in step t, or R^(t - 1) in differential:M:R; no chip takes them). Functions with values "
    "below 0 get signed at least.",
)
@click.option(
    "--approximate",
    default="",
    help="What may be taken of running means, in floats that chips do not have: norms (layer, group, "
    "instance and RMS norm, square roots), products (products and quotients of two values, powers, "
    "attention, softmax inside the network), or norms,products. Without it each is refused by name.",
)
@click.option(
    "--max-pool",
    type=click.Choice(["running", "any"]),
    default="running",
    show_default=True,
    help="How spikes are pooled by their maximum: as many as the busiest source of a window sends, exactly; "
    "or one in each step in which any source spikes, too many, but without memory on a chip.",
)
@click.option(
    "--input",
    "coding",
    type=click.Choice(["direct", "rate", "onoff"]),
    default="direct",
    show_default=True,
    help="How a sample enters: as a current, as spikes, or as spikes of two signs.",
)
@click.option(
    "--method",
    default="",
    help="How thresholds are chosen: percentile (of the activations; the default with --data), largest, "
    "percentile-of-all, percentile-of-layer, percentile-for-steps, least-error, local (local threshold "
    "balancing), light (biases corrected), tracking (of differential:M, steps that become finer as fast as "
    "neurons can follow), batch-norm (the default without), or auto, which runs several for these steps and "
    "takes the best.",
)
@click.option("--thresholds", default="", hidden=True, help="The former name of --method.")
@click.option(
    "--percentile",
    type=click.FloatRange(1, 100),
    default=None,
    help="With percentile: which one of a channel's activations is its threshold.  [default: 99.9]",
)
@click.option(
    "--output", default="", help="The output that answers, by key or index, where forward() returns several."
)
@click.option(
    "--answer",
    default="",
    help="What an output means, where its shape and the labels do not tell: class or value; of several "
    "outputs NAME=value,NAME=class.",
)
@click.option(
    "--preprocess",
    multiple=True,
    help="What is done to samples first, here and in every later run: divide=255, "
    "normalise=MEANS/DEVIATIONS, resize=WIDTHxHEIGHT, crop=WIDTHxHEIGHT. Give the option once for "
    "each, in their order.",
)
@click.option(
    "--finetune",
    type=click.IntRange(1),
    default=None,
    metavar="EPOCHS",
    help="Train the converted network on at its steps, with the ANN as teacher, on the samples of --data. "
    "Checkpoints stand in OUT.finetune.",
)
@click.option("--finetune-rate", type=float, default=None, help="Highest step size.  [default: 0.001]")
@click.option(
    "--finetune-labels",
    type=click.FloatRange(0, 1),
    default=None,
    help="Share of the labels of --data in what is trained for; the rest is the ANN's.  [default: 0]",
)
@click.option(
    "--finetune-augment",
    multiple=True,
    help="What is done to pictures while training: shift=4 (pixels at most), flip. Once for each.",
)
@click.option("--resume", is_flag=True, help="Go on with a --finetune that was broken off.")
@click.option(
    "--debug",
    "check_identity",
    is_flag=True,
    help="Hold threshold x spikes = sum of currents + v(0) - v(T) for every neuron, on a few samples.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Print what would become of every operation, all refusals at once, and a forecast of time and "
    "memory; convert nothing.",
)
@click.option(
    "--bits",
    is_flag=True,
    help="Set the result, on held-back samples of --data, against the quantised original of equal bits: "
    "answers, operations, bits moved, energy.",
)
@console.SEED
@click.option(
    "--out", type=console.OutputPath(dir_okay=False), help="File to write; needed but with --explain."
)
@console.JSON
def command(
    ann: str,
    data: str | None,
    out: str | None,
    as_json: bool,
    input_shape: str | None,
    preprocess: tuple[str, ...],
    **options: Any,
) -> None:
    """Convert a trained network into a spiking one.

    ANN is a saved torch module, an archive of torch.export, an ONNX or TFLite network, or with --arch a state
    dict. Printed are what became of every operation, the thresholds, and how often the result answers as the
    original does.
    """
    explain, bits = options.pop("explain"), options.pop("bits")
    if not explain and not out:
        raise click.MissingParameter(param_hint="'--out'", param_type="option")
    if bits and not data:
        raise click.UsageError("--bits needs samples: --data.")
    from spikeflow.cli.finetuned import Wishes, finetuned
    from spikeflow.convert import convert
    from spikeflow.ir import file
    from spikeflow.samples import Samples, samples_of

    samples: Samples | None = samples_of(data) if data else None
    wishes = Wishes.taken(options, samples, out or "")
    chosen = _chosen(options, preprocess, input_shape)
    if explain or not out:
        _explained(ann, samples, as_json, chosen)
        return
    with console.heard() as warned, console.progress("converting") as progress:
        conversion = convert(ann, samples, progress=progress, **chosen)
    trained = None
    if wishes is not None:
        with console.heard() as told:
            trained = finetuned(conversion, samples, wishes)
        conversion, warned = trained.conversion, warned + told
    file.write(out, conversion.network)
    facts, text = conversion.report.to_json(), conversion.report.to_text()
    if trained is not None:
        facts["finetune"], text = trained.to_json(), f"{text}\n\n{trained.to_text()}"
    with console.heard() as measured:
        more, texts = _measured(conversion, samples, bits)
    facts = {"out": out, **facts, **more, "warnings": [*dict.fromkeys([*warned, *measured])]}
    console.emit(as_json, facts, "\n\n".join([text, *texts]) + f"\nWritten: {out}")


def _measured(conversion: Any, samples: Any, bits: bool) -> tuple[dict[str, Any], list[str]]:
    """What else is measured of the result, as facts and as texts."""
    facts: dict[str, Any] = {}
    texts = []
    if samples is not None and samples.y is not None:
        facts["agreement"], text = _compared(conversion, samples.first(COMPARED))
        texts.append(text)
    if bits:
        facts["bits"], text = _bits(conversion, samples)
        texts.append(text)
    return facts, texts


def _compared(conversion: Any, few: Any) -> tuple[dict[str, Any], str]:
    """The spiking network against the ANN on a few labelled samples, as facts and as text."""
    from spikeflow.convert import agreement

    with console.progress("comparing with the ANN") as progress:
        found = agreement(conversion, few, progress=progress)
    text = f"Spiking network against the ANN on the first calibration samples: {found.to_text()}"
    return found.to_json(), text


def _bits(conversion: Any, samples: Any) -> tuple[dict[str, Any], str]:
    """The bit budget on held-back samples, as facts and as text."""
    from dataclasses import replace

    from spikeflow.calibration import split
    from spikeflow.convert.bits.budget import bit_budget
    from spikeflow.sim.joined import taken

    all_of = taken(conversion.network, samples)
    held = split(all_of.x).held_back[:COMPARED]
    if not len(held):
        raise click.UsageError("--bits needs samples that set no threshold: more of --data.")
    y = None if all_of.y is None else all_of.y[held]
    found = bit_budget(conversion, replace(all_of, x=all_of.x[held], y=y))
    title = "Against the quantised ANN of equal bits, on held-back samples: "
    return found.to_json(), title + found.to_text()


def _chosen(options: dict[str, Any], preprocess: tuple[str, ...], input_shape: str | None) -> dict[str, Any]:
    """The options that were given, as `convert` takes them."""
    from spikeflow.ir.preprocessing import of_text

    chosen = {name: value for name, value in options.items() if value is not None}
    chosen["preprocessing"] = of_text(preprocess)
    words = str(chosen.pop("approximate", "")).split(",")
    chosen["approximate"] = tuple(word.strip() for word in words if word.strip())
    if input_shape:
        chosen["input_shape"] = console.shape_option(input_shape)
    return chosen


def _explained(ann: str, samples: Any, as_json: bool, chosen: dict[str, Any]) -> None:
    """Print what a conversion would do."""
    from spikeflow.convert.explain import explain

    with console.heard() as warned:
        found = explain(ann, samples, **chosen)
    console.emit(as_json, {**found.to_json(), "warnings": warned}, found.to_text())
