// Python meets the decoders here, and nowhere else: bytes in, columns out, errors translated; no logic.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/unique_ptr.h>

#include <memory>

#include "events/bin5.hpp"

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

nb::tuple take(Decoder& decoder) {
    Columns columns = decoder.take();
    const std::size_t n = columns.size();
    if (n == 0) columns.room(1);
    return nb::make_tuple(owned(columns.t, n), owned(columns.x, n), owned(columns.y, n), owned(columns.p, n));
}

nb::dict counts(const Decoder& decoder) {
    nb::dict out;
    for (std::size_t i = 0; i < FAULTS.size(); ++i) out[FAULTS[i]] = decoder.count(static_cast<Fault>(i));
    return out;
}

template <class D>
void format(nb::module_& m, const char* name, const char* text) {
    m.def(name, [](std::uint32_t width, std::uint32_t height, bool strict) -> std::unique_ptr<Decoder> {
        return std::make_unique<D>(Settings{width, height, strict});
    }, "width"_a = 0, "height"_a = 0, "strict"_a = true, text);
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
        }, "piece"_a, "Decode the next bytes of the file, cut anywhere. Raises DecodeError(fault, byte) where strict.")
        .def("finish", &Decoder::finish, "The file ended: an incomplete record at its end is a fault.")
        .def("take", &take, "The columns t, x, y, p of the events since the last call.")
        .def("clone", &Decoder::clone, "A decoder in the same state, without the events.")
        .def_prop_ro("position", &Decoder::position, "Bytes decoded so far.")
        .def_prop_ro("pending", &Decoder::pending, "Bytes fed that wait for the rest of their record.")
        .def_prop_ro("last", &Decoder::last, "Time of the last event kept, or None.")
        .def_prop_ro("counts", &counts, "For each fault, how often it occurred.");

    format<Bin5>(m, "bin5", "40-bit events of N-MNIST and its like.");
}
