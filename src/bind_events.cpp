// Python meets the decoders here, and nowhere else: bytes in, columns out, errors translated; no logic.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/unique_ptr.h>

#include <memory>

#include "events/aedat2.hpp"
#include "events/aedat3.hpp"
#include "events/aedat4.hpp"
#include "events/bin5.hpp"
#include "events/dat.hpp"
#include "events/es.hpp"
#include "events/evt2.hpp"
#include "events/evt21.hpp"
#include "events/evt3.hpp"
#include "events/filters.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace spikeflow::events;

namespace {

using Piece = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> owned(Column<T>& column, std::size_t count) {
    T* data = column.release();
    nb::capsule owner(data, [](void* p) noexcept { std::free(p); });
    return {data, {count}, owner};
}

// An array that keeps its block of memory, which it shares with others.
template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> shared(T* data, std::size_t count, const std::shared_ptr<void>& block) {
    nb::capsule owner(new std::shared_ptr<void>(block), [](void* p) noexcept { delete static_cast<std::shared_ptr<void>*>(p); });
    return {data, {count}, owner};
}

nb::tuple take(Decoder& decoder) {
    Columns columns = decoder.take();
    const std::size_t n = columns.size();
    if (n == 0) columns.room(1);
    const Cursor from = columns.begin();
    const std::shared_ptr<void> block(columns.release(), std::free);
    return nb::make_tuple(shared(from.t, n, block), shared(from.x, n, block), shared(from.y, n, block), shared(from.p, n, block));
}

nb::dict counts(const Decoder& decoder) {
    nb::dict out;
    for (std::size_t i = 0; i < FAULTS.size(); ++i) out[FAULTS[i]] = decoder.count(static_cast<Fault>(i));
    return out;
}

template <class D>
void format(nb::module_& m, const char* name, const char* text) {
    m.def(name, [](std::uint32_t width, std::uint32_t height, bool strict, bool ordered) -> std::unique_ptr<Decoder> {
        return std::make_unique<D>(Settings{width, height, strict, ordered});
    }, "width"_a = 0, "height"_a = 0, "strict"_a = true, "ordered"_a = true, text);
}

template <class T>
using Track = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Remembered = nb::ndarray<std::int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// A filter of `events/filters.hpp`: columns, memory (changed in place) and its own arguments to 0 or 1 for each event.
template <class... More, class... Names>
void filter(nb::module_& m, const char* name, void (*run)(View, Memory, std::uint8_t*, More...), const char* text,
            Names... names) {
    m.def(name, [run](Track<std::int64_t> t, Track<std::uint16_t> x, Track<std::uint16_t> y, Track<std::uint8_t> p,
                      Remembered memory, More... more) {
        const std::size_t n = t.size();
        if (x.size() != n || y.size() != n || p.size() != n) throw std::length_error("columns of different lengths");
        Column<std::uint8_t> keep;
        keep.resize(n);
        {
            nb::gil_scoped_release unlocked;
            run({t.data(), x.data(), y.data(), p.data(), n}, {memory.data(), memory.shape(0), memory.shape(1)},
                keep.data(), more...);
        }
        return owned(keep, n);
    }, "t"_a.noconvert(), "x"_a.noconvert(), "y"_a.noconvert(), "p"_a.noconvert(), "memory"_a.noconvert(), names...,
    text);
}

}  // namespace

NB_MODULE(_decode, m) {
    m.doc() = "Decoders of event files: bytes in, in pieces of any size; columns t, x, y, p out.";
    // (fault, offset): Python's own exception type, so that the reader can add the path
    static PyObject* failed = PyErr_NewException("spikeflow.datasets._decode.DecodeError", PyExc_ValueError, nullptr);
    m.attr("DecodeError") = nb::borrow(failed);
    nb::register_exception_translator([](const std::exception_ptr& p, void*) {
        try {
            std::rethrow_exception(p);
        } catch (const Error& e) {
            PyErr_SetObject(failed, nb::make_tuple(e.what(), e.offset).ptr());
        }
    });

    nb::class_<Decoder>(m, "Decoder", "One file's decoder and its state.")
        .def("feed", [](Decoder& self, Piece piece) {
            const Bytes bytes(piece.data(), piece.size());
            nb::gil_scoped_release unlocked;
            self.feed(bytes);
        }, "piece"_a.noconvert(), "Decode the next bytes of the file, cut anywhere. Raises DecodeError(fault, byte) where strict.")
        .def("finish", &Decoder::finish, "The file ended: an incomplete record at its end is a fault.")
        .def("expect", &Decoder::expect, "bytes"_a, "About this many bytes will follow, before `take`: a hint.")
        .def("take", &take, "The columns t, x, y, p of the events since the last call.")
        .def("clone", &Decoder::clone, "A decoder in the same state, without the events.")
        .def_prop_ro("position", &Decoder::position, "Bytes decoded so far.")
        .def_prop_ro("pending", &Decoder::pending, "Bytes fed that wait for the rest of their record.")
        .def_prop_ro("ready", &Decoder::ready, "Events that `take` would give.")
        .def_prop_ro("last", &Decoder::last, "Time of the last event kept, or None.")
        .def_prop_ro("counts", &counts, "For each fault, how often it occurred.");

    format<Bin5>(m, "bin5", "40-bit events of N-MNIST and its like.");
    format<Evt2>(m, "evt2", "Prophesee EVT 2.0.");
    format<Evt21<false>>(m, "evt21", "Prophesee EVT 2.1.");
    format<Evt21<true>>(m, "evt21_legacy", "Prophesee EVT 2.1, the halves of each word swapped.");
    format<Evt3>(m, "evt3", "Prophesee EVT 3.0.");
    format<Dat2>(m, "dat", "Prophesee DAT, version 2.");
    format<Dat1>(m, "dat1", "Prophesee DAT, before version 2.");
    format<Aedat1>(m, "aedat1_dvs128", "AEDAT 1.0 of a DVS128.");
    format<Aedat2<Dvs128>>(m, "aedat2_dvs128", "AEDAT 2.0 of a DVS128.");
    format<Aedat2<Davis>>(m, "aedat2_davis", "AEDAT 2.0 of a DAVIS.");
    m.def("aedat3", [](std::uint32_t width, std::uint32_t height, bool strict, bool ordered, int source) -> std::unique_ptr<Decoder> {
        return std::make_unique<Aedat3>(Settings{width, height, strict, ordered}, source);
    }, "width"_a = 0, "height"_a = 0, "strict"_a = true, "ordered"_a = true, "source"_a = Aedat3::ANY, "AEDAT 3.0 and 3.1; of one source, or of any.");
    format<Aedat4>(m, "aedat4", "The packets of events of AEDAT 4, without compression.");
    format<Es<EsKind::dvs>>(m, "es_dvs", "Event Stream 2, type DVS.");
    format<Es<EsKind::atis>>(m, "es_atis", "Event Stream 2, type ATIS.");

    filter(m, "background_activity", &background_activity, "Which events have a neighbour in time and space.",
           "window"_a, "itself"_a);
    filter(m, "refractory", &refractory, "Which events come at least a period after the pixel's last kept one.", "period"_a);
    filter(m, "integrate", &integrate, "At which events a pixel's sum of on and off reaches the threshold.", "threshold"_a);
}
