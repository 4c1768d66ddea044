"""A published network of DVS gestures on recordings: inference alone, with what can and cannot be said of it.

python examples/dvs_gesture.py --data DIR   # DIR holds dvs128_gesture/ and pretrained/dvs_gesture_32x32_cnn/

The weights are those of a tutorial of SANA-FE (SLAM-Lab/SANA-FE, GPL-3.0; not part of this project): whole numbers
for an integrate-and-fire network, 32 x 32 - four convolutions - 11, into which a frame of event counts enters as a
constant current, 255 for the busiest pixel. Its authors say neither which output is which gesture nor how frames are
made, and none of its accuracy: so what is printed is which output answers, and no accuracy.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.datasets import read
from spikeflow.ir.nodes import Input
from spikeflow.neurons import IF, Neuron, Sequential
from spikeflow.sim.classify import classify
from spikeflow.typing import Array

STEPS, SIDE, SENSOR, LARGEST = 64, 32, 128, 255.0
EVENTS = 1416  # of the frame that comes with the weights


def network(held: dict[str, Array]) -> Sequential:
    """The published layers; weights lie as (height, width, in, out) in the file."""
    parts: list[nn.Module] = []
    for index, threshold in enumerate(held["thresholds"]):
        if index == 5:
            parts += [nn.Flatten(), _dense(held["dense1"])]
        elif index:
            parts.append(_convolution(held[f"conv{index}"], stride=2 if index == 1 else 1))
        parts.append(Neuron(IF(float(threshold), reset="subtract")))
    return Sequential(*parts).eval()


def _convolution(weight: Array, stride: int) -> nn.Conv2d:
    height, _, channels, more = weight.shape
    layer = nn.Conv2d(channels, more, height, stride, bias=False)
    layer.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 2, 0, 1))))
    return layer


def _dense(weight: Array) -> nn.Linear:
    """Its inputs are in the file by place and channel, here by channel and place."""
    inputs, outputs = weight.shape
    side = round((inputs / outputs) ** 0.5)
    rows = weight.reshape(side, side, -1, outputs).transpose(3, 2, 0, 1).reshape(outputs, inputs)
    layer = nn.Linear(inputs, outputs, bias=False)
    layer.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(rows)))
    return layer


def frames(path: Path, count: int = EVENTS, most: int = 20) -> Array:
    """The first frames of so many events each: counts of 4 x 4 pixels, the largest made 255."""
    events, step = read(path), SENSOR // SIDE
    found = np.zeros((min(len(events.x) // count, most), 1, SIDE, SIDE), np.float32)
    for index, frame in enumerate(found):
        part = slice(index * count, (index + 1) * count)
        np.add.at(frame[0], (np.asarray(events.y[part]) // step, np.asarray(events.x[part]) // step), 1)
        frame *= LARGEST / frame.max()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of real recordings")
    parser.add_argument("--smoke", action="store_true", help="two frames each, for the tests")
    args = parser.parse_args()
    with np.load(args.data / "pretrained/dvs_gesture_32x32_cnn/dvs_challenge.npz") as file:
        held = {name: file[name] for name in file.files}
    made = capture_trained(network(held), Input((1, SIDE, SIDE), "current"), 1e-3, STEPS)
    made = replace(made, record=replace(made.record, coding="direct"))  # a frame enters in every step
    own = classify(made, held["inputs"].astype(np.float32).reshape(1, 1, SIDE, SIDE))
    spikes = own.outputs["output"].reshape(-1, 11)[-1].astype(int)
    print(f"the frame that comes along: output {spikes.argmax()}, {spikes.max()} of {spikes.sum()} spikes")
    for path in sorted((args.data / "dvs128_gesture").glob("*.bin")):
        answers = classify(made, frames(path, most=2 if args.smoke else 20)).predictions()
        votes = np.bincount(answers, minlength=11)
        print(
            f"{path.stem}: output {votes.argmax()} in {votes.max()} of {votes.sum()} frames; all {votes.tolist()}"
        )


if __name__ == "__main__":
    main()
