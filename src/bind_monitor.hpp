// What takes long runs without the interpreter's lock; signals, such as Ctrl-C, and the caller's progress stop it.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "engine/watch.hpp"

namespace spikeflow {

namespace nb = nanobind;

// Asked by the engine now and then; never throws into it.
struct Monitor {
    nb::object progress;
    int64_t samples = 0;
    std::optional<nb::python_error> failure = {};

    bool operator()(int64_t done) {
        const nb::gil_scoped_acquire locked;
        try {
            if (PyErr_CheckSignals() != 0) throw nb::python_error();
            if (!progress.is_none()) progress(done, samples);
            return true;
        } catch (nb::python_error& error) {
            failure.emplace(std::move(error));
            return false;
        }
    }
};

// f(go_on), which touches no object of Python's; what stopped it is thrown as Python raised it.
template <class F>
auto interruptible(const F& f) {
    Monitor monitor{nb::none()};
    try {
        const nb::gil_scoped_release unlocked;
        return f(GoOn([&monitor] { return monitor(0); }));
    } catch (...) {
        if (monitor.failure) throw std::move(*monitor.failure);
        throw;
    }
}

}  // namespace spikeflow
