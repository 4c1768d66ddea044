"""DSEC on files made to its specification: layouts, clock, flow, disparity, masks, what is missing or damaged."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from spikeflow.datasets.base import PartialCopy
from spikeflow.datasets.sets.dsec import DRIVES, DSEC
from spikeflow.datasets.sets.dsec_drive import HEIGHT, WIDTH, Drive
from spikeflow.errors import DataError, FileError
from tests.datasets import made_files as made

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")

OFFSET = 49_599_300_523  # of the order of a real one: more than 32 bits
ROWS = tuple((t, t // 40 % 640, t // 60 % 480, t % 3 % 2) for t in range(0, 9_000, 7))
FLOW_TIMES = ((OFFSET + 1_000, OFFSET + 3_000), (OFFSET + 3_000, OFFSET + 5_000))

OFFICIAL = {
    "events_left": "train_events/{0}/events/left/events.h5",
    "rectify_map_left": "train_events/{0}/events/left/rectify_map.h5",
    "flow_forward": "train_optical_flow/{0}/flow/forward",
    "flow_forward_times": "train_optical_flow/{0}/flow/forward_timestamps.txt",
    "disparity_event": "train_disparity/{0}/disparity/event",
    "disparity_times": "train_disparity/{0}/disparity/timestamps.txt",
    "masks_11": "train_semantic_segmentation/train/{0}/11classes",
    "masks_times": "train_semantic_segmentation/train/{0}/{0}_semantic_timestamps.txt",
}
ONE_FOLDER = {name: f"train/{{0}}/{place.split('{0}/', 1)[1]}" for name, place in OFFICIAL.items()} | {
    "masks_11": "train/{0}/semantic/left/11classes/data",
    "masks_times": "train/{0}/semantic/timestamps.txt",
}
TONIC = {
    "events_left": "DSEC/{0}/events_left/events.h5",
    "rectify_map_left": "DSEC/{0}/events_left/rectify_map.h5",
    "flow_forward": "DSEC/{0}/optical_flow_forward_event",
    "flow_forward_times": "DSEC/{0}/optical_flow_forward_timestamps/{0}_optical_flow_forward_timestamps.txt",
    "disparity_event": "DSEC/{0}/disparity_event",
    "disparity_times": "DSEC/{0}/disparity_timestamps/{0}_disparity_timestamps.txt",
}
LAYOUTS = {"official": OFFICIAL, "one folder": ONE_FOLDER, "tonic": TONIC}
NAME = "zurich_city_02_a"


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _flow(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 2**16, (HEIGHT, WIDTH, 3), np.uint16)
    picture[..., 2] %= 2
    picture[0, :2] = [[2**15 + 128, 2**15 - 64, 1], [0, 0, 0]]
    return picture


def _make(root: Path, layout: dict[str, str], name: str = NAME) -> dict[str, Path]:
    at = {what: root / place.format(name) for what, place in layout.items()}
    made.dsec_events(at["events_left"], ROWS, OFFSET)
    with h5py.File(at["rectify_map_left"], "w") as file:
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        file["rectify_map"] = np.stack([x + 0.5, y - 0.25], 2)
    for i, number in enumerate((2, 10)):
        made.png(at["flow_forward"] / f"{number:06}.png", _flow(i))
    lines = "".join(f"{start}, {stop}\n" for start, stop in FLOW_TIMES)
    _text(at["flow_forward_times"], f"# from_timestamp_us, to_timestamp_us\n{lines}")
    disparity = np.full((4, 5, 1), 256 * 7 + 128, np.uint16)
    made.png(at["disparity_event"] / "000000.png", disparity)
    _text(at["disparity_times"], f"{OFFSET}\n")
    if "masks_11" in at:
        made.png(at["masks_11"] / "000000.png", np.full((4, 5, 1), 9, np.uint8))
        _text(at["masks_times"], f"{OFFSET}\n")
    return at


@pytest.fixture(params=LAYOUTS)
def drive(request: pytest.FixtureRequest, tmp_path: Path) -> Drive:
    _make(tmp_path, LAYOUTS[request.param])
    data = DSEC(tmp_path, partial=True)
    assert len(data) == 1 and data.facts()["layout"] == ("tonic" if request.param == "tonic" else "original")
    item, label = data[0]
    assert isinstance(item, Drive) and data.metadata.classes[label] == "zurich_city" and item.name == NAME
    return item


def test_events_between_times_of_flow(drive: Drive) -> None:
    start, stop = drive.flow_times()[0]
    events = drive.events(start, stop)
    expected = [(t, x, y, p) for t, x, y, p in ROWS if start <= t + OFFSET < stop]
    assert len(expected) > 100 and events.t.tolist() == [t + OFFSET for t, *_ in expected]
    assert events.x.tolist() == [x for _, x, *_ in expected] and events.p.tolist() == [
        p for *_, p in expected
    ]
    assert (events.width, events.height) == (640, 480)
    with drive.recording() as recording:
        assert len(recording.read()) == len(ROWS)


def test_flow(drive: Drive) -> None:
    assert drive.flow_times().tolist() == [list(pair) for pair in FLOW_TIMES]
    flow = drive.flow(0)
    assert flow.displacement[0, 0].tolist() == [1.0, -0.5] and flow.valid[0, :2].tolist() == [True, False]
    assert (flow.start_us, flow.stop_us) == FLOW_TIMES[0]
    second = drive.flow(-1)
    picture = _flow(1)
    assert (second.valid == (picture[..., 2] > 0)).all() and second.start_us == FLOW_TIMES[1][0]
    assert (second.displacement * 128 + 2**15 == picture[..., :2]).all()
    with pytest.raises(IndexError):
        drive.flow(2)


def test_rectify_disparity_masks(drive: Drive) -> None:
    table = drive.rectify_map()
    assert table.shape == (480, 640, 2) and table[3, 5].tolist() == [5.5, 2.75]
    assert (drive.disparity(0) == 7.5).all() and drive.disparity_times().tolist() == [OFFSET]
    if drive.has("masks_11"):
        assert (drive.mask(0) == 9).all() and drive.masks_times().tolist() == [OFFSET]
    with pytest.raises(DataError, match=f"{NAME}: flow_backward_times: got nothing"):
        drive.flow(0, "backward")
    with pytest.raises(DataError, match="events_right"):
        drive.events(0, 1, "right")


def test_official_drives() -> None:
    assert {split: len(names) for split, names in DRIVES.items()} == dict(DSEC.metadata.counts)
    assert len(set(DRIVES["train"]) | set(DRIVES["test"])) == 53
    assert "zurich_city_11_c" in DRIVES["train"] and "interlaken_00_b" in DRIVES["test"]


def test_counts_and_groups(tmp_path: Path) -> None:
    for name in ("zurich_city_02_a", "zurich_city_02_c", "thun_00_a", "interlaken_00_c", "interlaken_00_a"):
        made.dsec_events(tmp_path / f"{name}/events/left/events.h5", ROWS[:3], 0)
    with pytest.warns(PartialCopy, match="found 4, a complete copy has 41"):
        train = DSEC(tmp_path, partial=True)
    assert train.index.places == ["interlaken_00_c", "thun_00_a", "zurich_city_02_a", "zurich_city_02_c"]
    assert train.groups is not None and train.groups.tolist() == [0, 1, 2, 2]
    assert train.labels.tolist() == [0, 1, 2, 2]
    assert DSEC(tmp_path, "test", partial=True).index.places == ["interlaken_00_a"]
    _, held = train.validation(0.5)
    assert held.groups is not None and len(set(held.groups)) < 3


def test_files_of_a_drive(tmp_path: Path) -> None:
    at = _make(tmp_path, OFFICIAL)
    files = DSEC(tmp_path, partial=True).files()
    assert "train_optical_flow/zurich_city_02_a/flow/forward/000010.png" in files and len(files) == 9
    assert all((tmp_path / file).is_file() for file in files) and at["events_left"].is_file()


def test_damage(tmp_path: Path) -> None:
    at = _make(tmp_path, OFFICIAL)
    drive = DSEC(tmp_path, partial=True).sample(0)
    made.png(at["flow_forward"] / "000004.png", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(FileError, match="3 pictures, its table of times has 2 rows"):
        drive.flow(0)
    (at["flow_forward"] / "000010.png").unlink()
    with pytest.raises(FileError, match="flow number 1 is no RGB picture of 16 bits"):
        drive.flow(1)
    for text in ("1, 2, 3\n", "one, two\n", "1\n"):
        at["flow_forward_times"].write_text(text)
        with pytest.raises(FileError, match=r"forward_timestamps\.txt"):
            drive.flow(0)
    at["events_left"].write_bytes(at["events_left"].read_bytes()[:3000])
    with pytest.raises(FileError, match=r"events\.h5"):
        drive.events(OFFSET, OFFSET + 1000)
    at["rectify_map_left"].write_bytes(b"no")
    with pytest.raises(FileError, match=r"rectify_map\.h5"):
        drive.rectify_map()
    with h5py.File(at["rectify_map_left"], "w") as file:
        file["rectify_map"] = np.zeros((3, 4, 2))
    with pytest.raises(FileError, match="not of shape"):
        drive.rectify_map()
