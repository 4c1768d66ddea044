"""Every format, in the order in which they are asked: those with a magic word first, bare layouts last."""

from spikeflow.datasets.formats import (
    aedat1,
    aedat2,
    aedat3,
    aedat4,
    bin5,
    dat,
    es,
    evt2,
    evt3,
    evt21,
    hdf5,
    mat,
    npy,
    npz,
    text,
)
from spikeflow.datasets.formats.format import Format

FORMATS: tuple[Format, ...] = (
    dat.FORMAT,
    evt3.FORMAT,
    evt2.FORMAT,
    evt21.FORMAT,
    aedat4.FORMAT,
    aedat1.FORMAT,
    aedat2.FORMAT,
    aedat3.FORMAT,
    es.FORMAT,
    npy.FORMAT,
    npz.FORMAT,
    mat.FORMAT,
    hdf5.FORMAT,
    bin5.FORMAT,
    text.FORMAT,
)
