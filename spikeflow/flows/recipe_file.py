"""A task: data, network and training, read from a TOML file; plain data, of which nothing is run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from spikeflow.errors import DataError, FileError
from spikeflow.files.opened import PathLike, open_regular
from spikeflow.neurons.learned import SCOPES
from spikeflow.train.augment import Augment
from spikeflow.train.recipe import Recipe, check_types, of_table

MAX_BYTES = 1 << 20
STILL = ("direct", "rate")  # pictures, for as many steps as one likes
CODINGS = (*STILL, "frames", "steps", "mel")
POOLING = ("average", "max")
LONGEST = 1000  # steps of delay
MOST = 64  # members of a network
KINDS = ("dense", "conv", "recurrent", "two_point", "conv_recurrent", "conv_two_point")


def _check(where: str, fine: bool, got: object, wanted: str) -> None:
    if not fine:
        raise DataError(f"recipe: {where}", got, wanted)


@dataclass(frozen=True)
class Hearing:
    """How recordings become spikes with the coding ``mel``, and how those that train are varied.

    Parameters
    ----------
    ear : fields of `ir.preprocessing.MelSpikes`, besides steps and length of a step.
    variants : of each recording that trains; the first is the recording itself. Every epoch draws one.
    warp, stretch : the frequencies and the length of a variant are multiplied by a number between two.
    tilt : a number between two is added to the ear's: another microphone, another distance.
    noise : white noise of up to so many times the recording's own root mean square is added to it.
    bands, steps : what enters is moved by up to so many of them either way.
    mask : up to so many neighbouring bands, twice, and steps, once, fall silent.
    """

    ear: Mapping[str, Any] = field(default_factory=dict[str, Any])
    variants: int = 1
    warp: tuple[float, ...] = (1.0, 1.0)
    stretch: tuple[float, ...] = (1.0, 1.0)
    tilt: tuple[float, ...] = (0.0, 0.0)
    noise: float = 0.0
    bands: int = 0
    steps: int = 0
    mask: int = 0

    def __post_init__(self) -> None:
        _check("data.hearing.variants", 1 <= self.variants <= 64, self.variants, "1 to 64")
        for name in ("warp", "stretch"):
            ends = getattr(self, name)
            fine = len(ends) == 2 and 0.5 <= ends[0] <= ends[1] <= 2
            _check(f"data.hearing.{name}", fine, ends, "two numbers from 0.5 to 2, low and high")
        fine = len(self.tilt) == 2 and -8 <= self.tilt[0] <= self.tilt[1] <= 8
        _check("data.hearing.tilt", fine, self.tilt, "two numbers from -8 to 8, low and high")
        _check("data.hearing.noise", 0 <= self.noise <= 10, self.noise, "0 to 10")
        for name in ("bands", "steps", "mask"):
            _check(f"data.hearing.{name}", 0 <= getattr(self, name) <= 64, getattr(self, name), "0 to 64")


@dataclass(frozen=True)
class Data:
    """What is trained on.

    Parameters
    ----------
    set : ``digits`` (of scikit-learn), ``ecg_qtdb``, ``keywords``, a name of the catalogue
        (`spikeflow data list`), or ``samples``: a file of one's own, as `spikeflow convert` takes it.
    folder : where it lies; empty: ``SPIKEFLOW_DATA``, or where `spikeflow data prepare` puts it; of
        ``samples`` the file.
    test : of ``samples``, the file that tests; empty: a fifth of the other, drawn from the seed.
    coding : ``direct`` and ``rate`` for still pictures; ``frames`` for events; ``steps`` for ``samples``
        with a time axis; ``mel`` for sound, as `hearing` says.
    steps : of a sample.
    dt_us : length of a step: of frames in the recording; for all in the file that is written.
    clip : frames hold no more than 1 a pixel and step.
    batch_size : samples of a batch.
    valid : share of the training split that selects, whole groups (speakers) where the set has them; 0 for a
        tenth, or as the rule of the set says: see `spikeflow.flows.splits`.
    fold : of a set with folds, the part that is tested, from 0; -1 for the set's own test split.
    whole : of sound, whether the samples that select train, too, and the last epoch is kept: for settings
        that were chosen before.
    partial : whether an incomplete copy will do.
    limit : only so many samples of each split; 0 for all.
    workers : processes that read; 0 reads everything into memory first.
    augment : `train.augment.Augment`, for the training split alone; not with workers.
    """

    set: str
    folder: str = ""
    coding: str = "direct"
    steps: int = 8
    dt_us: int = 1000
    clip: bool = True
    batch_size: int = 64
    valid: float = 0.0
    fold: int = -1
    partial: bool = False
    limit: int = 0
    workers: int = 0
    augment: Augment = field(default=Augment())
    hearing: Hearing = field(default=Hearing())
    whole: bool = False
    test: str = ""

    def __post_init__(self) -> None:
        check_types("data", self)
        _check("data.coding", self.coding in CODINGS, self.coding, f"one of {', '.join(CODINGS)}")
        for name in ("steps", "dt_us", "batch_size"):
            _check(f"data.{name}", getattr(self, name) >= 1, getattr(self, name), "at least 1")
        _check("data.valid", 0 <= self.valid < 1, self.valid, "a share from 0 to below 1")
        heard = self.coding == "mel" or self.set == "keywords"
        _check("data.hearing", heard or self.hearing == Hearing(), self.set, "nothing where nothing is heard")
        _check("data.whole", self.coding == "mel" or not self.whole, self.whole, "false: only sound has it")
        _check("data.fold", self.fold >= -1, self.fold, "-1 or more")
        own, codings = self.set == "samples", ("direct", "rate", "steps")
        _check("data.test", own or not self.test, self.test, "nothing: only samples of one's own have it")
        _check("data.coding", own or self.coding != "steps", self.coding, "another: only samples have steps")
        _check("data.coding", not own or self.coding in codings, self.coding, "direct, rate or steps")
        _check("data.workers", not own or not self.workers, self.workers, "0: samples are read at once")
        _check("data.augment", not (self.augment.acts and self.workers), "workers", "workers = 0")
        for name in ("limit", "workers"):
            _check(f"data.{name}", getattr(self, name) >= 0, getattr(self, name), "0 or more")


    def unused(self) -> tuple[str, ...]:
        """In words, of each key that does nothing what it does nothing without."""
        frames, stored = self.coding == "frames", self.set != "digits"
        needs = (
            ("clip", not self.clip, frames, "without coding frames"),
            ("workers", self.workers > 0, frames, "without coding frames"),
            ("folder", bool(self.folder), stored, "with the digits"),
            ("partial", self.partial, stored, "with the digits"),
        )
        odd = ((name, words) for name, said, used, words in needs if said and not used)
        return tuple(f"recipe: data.{name} does nothing {words}" for name, words in odd)


@dataclass(frozen=True)
class Layers:
    """What is trained: layers of neurons one after the other, and a read-out that adds up.

    Parameters
    ----------
    kind : ``dense``: one layer for each of `hidden`; ``conv``: one for each of `channels`, pooling behind
        each, then those of `hidden`; ``recurrent``: layers of `hidden` whose spikes come back; ``two_point``:
        they come back to the apical port of two-point cells; ``conv_recurrent``, ``conv_two_point``: these
        behind convolutions, whose own neurons are of the same model and get nothing back.
    shape : in which convolutions see a moment of as many values, in C order: (channels, length), along which
        one kernel is moved, or (channels, height, width). Of mel spikes (2, bands): on and off. Empty: a
        moment's own, which is then a picture.
    kernel, pool : of convolutions, along every axis; `pools`: one number for each, where they differ.
    pooling : ``average`` or ``max``.
    delays, hidden_delays : whole steps, ascending, of convolutions and of the layers of `hidden`: for each
        they have synapses of their own, which see what was there so many steps before.
    batch_norm : tdBN before every layer of neurons, whose weights start at `batch_norm_start`.
    feedback_gain : of the orthogonal weights from which feedback starts.
    neuron : name of a model in `spikeflow.neurons`, with its `parameters`.
    spread : parameters by name that start at a number for each neuron, of convolutions for each channel,
        drawn between two.
    learn : parameters that are trained, for each `scope`: declared (a number for each that it starts with),
        shared, channel or neuron.
    bounds : of those, two ends for each name within which it stays; without, it acts within its legal range.
    surrogate : name in `spikeflow.neurons.surrogate`, with its `surrogate_parameters`.
    dropout : behind every layer of neurons.
    read_out : whether the outputs add up over the steps; else each step has its own, for labels of steps.
    read_out_decay : below 1 the outputs leak as they add up; this decay starts there and is trained where
        `learn` names a decay.
    members : several networks side by side as one, whose outputs are the mean of theirs; each is trained by
        its own loss, from a seed of its own (`flows.members`).
    """

    kind: str = "dense"
    hidden: tuple[int, ...] = (128,)
    channels: tuple[int, ...] = (16, 32)
    shape: tuple[int, ...] = ()
    kernel: int = 3
    pool: int = 2
    pools: tuple[int, ...] = ()
    pooling: str = "average"
    delays: tuple[int, ...] = (0,)
    hidden_delays: tuple[int, ...] = (0,)
    batch_norm: bool = False
    batch_norm_start: float = 1.0
    feedback_gain: float = 0.5
    neuron: str = "LIF"
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    spread: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])
    learn: tuple[str, ...] = ()
    scope: str = "declared"
    bounds: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])
    surrogate: str = "atan"
    surrogate_parameters: Mapping[str, float] = field(default_factory=dict[str, float])
    dropout: float = 0.0
    read_out: bool = True
    read_out_decay: float = 1.0
    members: int = 1

    def __post_init__(self) -> None:
        check_types("network", self)
        _check("network.kind", self.kind in KINDS, self.kind, f"one of {', '.join(KINDS)}")
        fits = len(self.shape) in (0, 2, 3)
        _check("network.shape", fits, self.shape, "(channels, length) or (channels, height, width)")
        for name in ("hidden", "channels", "shape"):
            sizes = getattr(self, name)
            _check(f"network.{name}", all(size >= 1 for size in sizes), sizes, "sizes from 1")
        _check("network.kernel", self.kernel >= 1, self.kernel, "at least 1")
        fits = len(self.pools) in (0, len(self.channels)) and all(pool >= 1 for pool in self.pools)
        _check(
            "network.pools", fits, self.pools, f"one from 1 on for each of {len(self.channels)} convolutions"
        )
        _check("network.pool", self.pool >= 1, self.pool, "at least 1")
        _check("network.pooling", self.pooling in POOLING, self.pooling, f"one of {', '.join(POOLING)}")
        for name in ("delays", "hidden_delays"):
            late = getattr(self, name)
            fits = bool(late) and late == tuple(sorted({*late})) and late[0] >= 0 and late[-1] <= LONGEST
            _check(f"network.{name}", fits, late, f"steps from 0 to {LONGEST}, ascending, each once")
        for name, ends in self.spread.items():
            _check(f"network.spread.{name}", len(ends) == 2 and ends[0] <= ends[1], ends, "two, low and high")
        for name, ends in self.bounds.items():
            fine = name in self.learn and len(ends) == 2 and ends[0] < ends[1]
            _check(f"network.bounds.{name}", fine, ends, "two ends, low and high, of what `learn` names")
        _check("network.scope", self.scope in SCOPES, self.scope, f"one of {', '.join(SCOPES)}")
        _check("network.batch_norm_start", self.batch_norm_start > 0, self.batch_norm_start, "above 0")
        _check("network.read_out_decay", 0 <= self.read_out_decay <= 1, self.read_out_decay, "0 to 1")
        _check("network.members", 1 <= self.members <= MOST, self.members, f"1 to {MOST}")
        _check("network.dropout", 0 <= self.dropout < 1, self.dropout, "0 to below 1")
        for name in self.spread:
            _check(f"network.spread.{name}", name not in self.parameters, "another in parameters", "one")

    @property
    def convolves(self) -> bool:
        """Whether convolutions come first."""
        return self.kind.startswith("conv")

    @property
    def two_point(self) -> bool:
        """Whether spikes come back to an apical port."""
        return self.kind.endswith("two_point")

    @property
    def feeds_back(self) -> bool:
        """Whether the spikes of `hidden` come back."""
        return self.two_point or self.kind.endswith("recurrent")

    def unused(self) -> tuple[str, ...]:
        """In words, of each key that does nothing what it does nothing without."""
        of_conv = ("channels", "shape", "kernel", "pool", "pools", "pooling", "delays")
        needs = (
            (of_conv, self.convolves, "kind conv"),
            (("feedback_gain",), self.feeds_back, "kind recurrent or two_point"),
            (("batch_norm_start",), self.batch_norm, "batch_norm = true"),
            (("read_out_decay",), self.read_out, "read_out = true"),
        )
        default = {f.name: f.default for f in fields(self)}
        return tuple(
            f"recipe: network.{name} does nothing without {wanted}"
            for names, used, wanted in needs
            for name in names
            if not used and getattr(self, name) != default[name]
        )


@dataclass(frozen=True)
class Reduce:
    """Training that begins with `first` steps and goes on with one fewer, down to those of the data; 0: with
    these alone. The epochs are those of all stages together (`train.reduce`).
    """

    first: int = 0

    def __post_init__(self) -> None:
        check_types("reduce", self)
        _check("reduce.first", self.first >= 0, self.first, "0 or more")


@dataclass(frozen=True)
class Task:
    """A recipe file: ``[data]``, ``[network]``, ``[training]``, ``[reduce]``."""

    data: Data
    network: Layers = field(default=Layers())
    training: Recipe = field(default=Recipe())
    reduce: Reduce = field(default=Reduce())
    title: str = ""

    def __post_init__(self) -> None:
        check_types("", self)
        follows = self.training.distillation.layers  # only batches of fine-tuning say what layers hand on
        _check("training.distillation.layers", not follows, follows, "0: layers follow with --finetune alone")
        first, steps = self.reduce.first, self.data.steps
        if first:
            _check("reduce.first", first > steps, first, f"more than the {steps} of data.steps")
            _check("reduce", self.data.coding in STILL, self.data.coding, "direct or rate coding: of frames "
                   "fewer steps would be another recording")  # fmt: skip


def read(path: PathLike) -> Task:
    """The task in a TOML file.

    Raises
    ------
    FileError
        Where it is missing, too large, or no TOML.
    DataError
        For a key that is not known, with the nearest known, and a value of a wrong type or out of range.
    """
    file, size = open_regular(path)
    with file:
        if size > MAX_BYTES:
            raise FileError(path, f"has {size} bytes; a recipe has at most {MAX_BYTES}")
        text = file.read()
    try:
        return of_table(Task, tomllib.loads(text.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileError(path, f"is no TOML ({error})", "examples/recipes of the project") from error
