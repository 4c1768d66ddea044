"""Every command on good input: exit code 0, text for people, JSON with the documented keys, files that fit together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spikeflow import __version__
from spikeflow.ir import file
from tests.cli.conftest import Call, Ended

REFERENCE = ("--engine", "reference")


def facts(ended: Ended) -> dict[str, Any]:
    """The JSON on stdout; nothing else may stand there, and on stderr its warnings alone where that is no terminal."""
    assert ended.code == 0, ended
    found: dict[str, Any] = json.loads(ended.out)
    assert ended.err.splitlines() == [f"warning: {text}" for text in found.get("warnings", [])], ended
    return found


def test_version_and_help(call: Call) -> None:
    assert call("--version").out.strip().endswith(__version__)
    for arguments in (("--help",), ("-h",)):
        ended = call(*arguments)
        assert ended.code == 0
        assert [line.split()[0] for line in ended.out.split("Commands:")[1].strip().splitlines()] == [
            "convert",
            "train",
            "run",
            "map",
            "show",
            "report",
            "data",
            "doctor",
        ]


@pytest.mark.parametrize("command", ["convert", "train", "run", "map", "show", "report"])
def test_every_command_explains_itself(call: Call, command: str) -> None:
    ended = call(command, "--help")
    assert ended.code == 0
    assert "--json" in ended.out
    if command != "show":
        assert "--seed" in ended.out


def test_show_prints_a_network(call: Call, files: Path) -> None:
    ended = call("show", files / "net.h5")
    assert (ended.code, ended.err) == (0, "")
    assert "run 8 steps, coding direct" in ended.out and "hidden" in ended.out
    found = facts(call("show", files / "net.h5", "--json"))
    assert set(found) >= {"kind", "digest", "nodes", "edges", "steps", "text"}
    assert (found["kind"], found["nodes"], found["steps"]) == ("network", 6, 8)


def test_show_tells_how_two_files_differ(call: Call, files: Path, tmp_path: Path) -> None:
    """Exit codes as of diff: 0 equal, 1 different, 2 trouble."""
    network = file.read(files / "net.h5")
    other = tmp_path / "other.h5"
    file.write(other, replace(network, record=replace(network.record, steps=9)))
    same = call("show", files / "net.h5", files / "net.h5")
    assert (same.code, same.err) == (0, "") and "are equal" in same.out
    ended = call("show", files / "net.h5", other)
    assert (ended.code, ended.err) == (1, "") and "~ record.steps: 8 -> 9" in ended.out.splitlines()
    found = json.loads(call("show", files / "net.h5", other, "--json").out)
    assert found["equal"] is False and found["kinds"] == ["network", "network"]
    assert [change["where"] for change in found["changes"]] == ["record.steps"]
    trouble = call("show", files / "net.h5", tmp_path / "none.h5")
    assert trouble.code == 2 and trouble.out == "" and trouble.err.startswith("Error: ")


def test_show_tells_a_conversion_as_tables(call: Call, files: Path, tmp_path: Path) -> None:
    network = file.read(files / "net.h5")
    notes = {"conversion": '{"samples": 41, "layers": [{"name": "hidden", "median": 1.5}]}', "from": "there"}
    file.write(tmp_path / "noted.h5", replace(network, record=replace(network.record, notes=notes)))
    ended = call("show", tmp_path / "noted.h5")
    assert ended.code == 0 and "{" not in ended.out and "from: there" in ended.out
    assert "Conversion: Spiking layers and their thresholds" in ended.out and "median" in ended.out
    assert facts(call("show", tmp_path / "noted.h5", "--json"))["conversion"]["samples"] == 41


def test_run_answers_the_samples(call: Call, files: Path) -> None:
    ended = call("run", files / "net.h5", "--data", files / "data.npz", *REFERENCE)
    assert (ended.code, ended.err) == (0, "")
    assert "12 samples, 8 steps" in ended.out and "accuracy: " in ended.out
    found = facts(call("run", files / "net.h5", "--data", files / "data.npz", "--json", *REFERENCE))
    assert set(found) >= {
        "file",
        "engine",
        "stage",
        "samples",
        "steps",
        "accuracy",
        "accuracy_over_steps",
        "synaptic_operations",
        "computed_operations",
        "seconds",
        "nodes",
    }
    assert 0 <= found["accuracy"] <= 1 and list(found["accuracy_over_steps"]) == ["1", "2", "4", "8"]


def test_run_takes_fewer_samples_and_other_steps(call: Call, files: Path) -> None:
    found = facts(
        call(
            "run",
            files / "net.h5",
            "--data",
            files / "data.npz",
            "--limit",
            5,
            "--steps",
            3,
            "--json",
            *REFERENCE,
        )
    )
    assert (found["samples"], found["steps"]) == (5, 3)


def test_the_engines_agree(call: Call, files: Path) -> None:
    runs = [
        facts(call("run", files / "net.h5", "--data", files / "data.npz", "--json", "--engine", engine))
        for engine in ("cpp", "reference")
    ]
    for found in runs:
        del found["engine"], found["seconds"], found["computed_operations"]
    assert runs[0] == runs[1]


def test_the_seed_draws_other_spikes(call: Call, files: Path) -> None:
    def operations(*seed: object) -> object:
        found = facts(
            call("run", files / "rate.h5", "--data", files / "data.npz", "--json", *REFERENCE, *seed)
        )
        return found["synaptic_operations"]

    assert operations() == operations("--seed", 0) == operations("--seed", 0)
    assert operations("--seed", 1) != operations()


def test_convert_writes_a_network_that_runs(call: Call, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.h5"
    found = facts(
        call("convert", files / "ann.pt", "--data", files / "data.npz", "--steps", 16, "--out", out, "--json")
    )
    assert set(found) >= {"out", "verdicts", "layers", "options", "samples", "ann_accuracy", "data_free"}
    assert (found["samples"], found["data_free"]) == (8, False)  # 4 are held back
    assert {verdict["verdict"] for verdict in found["verdicts"]} >= {"synapses", "spiking"}
    assert file.read(out).record.steps == 16
    assert facts(call("run", out, "--data", files / "data.npz", "--json", *REFERENCE))["steps"] == 16


def test_convert_without_data_says_so(call: Call, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.h5"
    found = facts(call("convert", files / "ann.pt", "--input-shape", "6", "--out", out, "--json"))
    assert found["data_free"] is True and found["samples"] == 0


@pytest.mark.parametrize(
    ("option", "value", "field", "wanted"),
    [
        ("--reset", "zero", "reset", "zero"),
        ("--input", "rate", "coding", "rate"),
        ("--input", "onoff", "coding", "onoff"),
        ("--percentile", "99", "percentile", 99.0),
        ("--seed", "3", "seed", 3),
    ],
)
def test_convert_follows_its_options(
    call: Call, files: Path, tmp_path: Path, option: str, value: str, field: str, wanted: object
) -> None:
    found = facts(
        call(
            "convert",
            files / "ann.pt",
            "--data",
            files / "data.npz",
            option,
            value,
            "--out",
            tmp_path / "n.h5",
            "--json",
        )
    )
    assert found["options"][field] == wanted


def test_map_writes_a_mapping_that_runs_and_shows(call: Call, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.map.h5"
    ended = call(
        "map", files / "net.h5", "--chip", "loihi2", "--data", files / "data.npz", "--out", out, "--json"
    )
    assert facts(ended)["out"] == str(out)
    run = facts(call("run", out, "--data", files / "data.npz", "--json", *REFERENCE))
    assert (run["stage"], run["samples"]) == ("fixed", 12)
    assert facts(call("show", out, "--json"))["kind"] == "mapping"
    assert "Loihi 2" in call("show", out).out


@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
def test_the_same_seed_maps_the_same(call: Call, files: Path, tmp_path: Path, chip: str) -> None:
    for name in ("a", "b"):
        ended = call(
            "map",
            files / "net.h5",
            "--chip",
            chip,
            "--data",
            files / "data.npz",
            "--seed",
            4,
            "--out",
            tmp_path / name,
        )
        assert ended.code == 0, ended
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_report_writes_a_page_with_the_same_facts(call: Call, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    arguments = ("report", files / "net.h5", "--data", files / "data.npz", "--out", out, *REFERENCE)
    found = facts(call(*arguments, "--json"))
    assert set(found) >= {
        "out",
        "made",
        "network",
        "layers",
        "run",
        "ann",
        "conversion",
        "raster",
        "cost",
        "mapped",
    }
    assert out.read_text().count("<section") >= 5
    ended = call(*arguments)
    assert ended.out.rstrip().endswith(f"Written: {out}")
    assert f"{100 * found['run']['accuracy']:.2f} %" in ended.out


def test_report_measures_the_ann_and_runs_the_mapping(
    call: Call, files: Path, mapped: Path, tmp_path: Path
) -> None:
    found = facts(
        call(
            "report",
            files / "net.h5",
            "--map",
            mapped,
            "--ann",
            files / "ann.pt",
            "--data",
            files / "data.npz",
            "--out",
            tmp_path / "r.html",
            "--json",
            *REFERENCE,
        )
    )
    assert 0 <= found["ann"]["accuracy"] <= 1
    assert found["mapped"]["chip"] == "loihi2"
    cores = found["mapped"]["cores"]
    assert cores and all(0 <= use["used"] <= use["limit"] for core in cores for use in core["uses"])
