// What synapses that learn remember between runs, in the order in which sim/plastic.py lists it.
#include "plastic_runner.hpp"

namespace spikeflow {

void PlasticRunner::save(std::size_t m, int64_t time, std::span<float> to) const {
    const std::size_t eligible = 2 * value_.size();
    const bool arrived = m == 1 + eligible + pre_.size() + post_.size();
    const auto fits = [&](std::size_t count) { if (to.size() != count) throw Error(Fault::simulation, node_.name, "a state of another size"); };
    if (m <= eligible) {
        fits(rows_.size());
        for (std::size_t s = 0; s < rows_.size(); ++s) {
            const std::size_t e = m == 0 ? 0 : (m - 1) / 2;
            float& at = to[static_cast<std::size_t>(rows_.place[s])];
            if (m == 0) at = real(w_[s]);
            else if (m % 2 == 1) at = value_[e][s];
            else at = static_cast<float>(std::min<int64_t>(clock_ - last_[e][s], static_cast<int64_t>(node_.tables[e].size()) - 1));
        }
    } else if (arrived) {
        const std::size_t steps = to.size() / std::max<std::size_t>(sources_, 1);
        fits(steps * sources_);
        std::fill(to.begin(), to.end(), 0.0f);
        for (int64_t due = time; due < time + static_cast<int64_t>(moments_); ++due) {
            const DueRows& rows = ring_[moment(due)];
            for (std::size_t k = 0; k < rows.row.size(); ++k) {
                const auto row = static_cast<std::size_t>(rows.row[k]);
                const auto age = static_cast<std::size_t>(time - 1 - (due - rows_.delay[row]));
                if (age >= steps) throw Error(Fault::simulation, node_.name, "a past that is too short");
                to[age * sources_ + static_cast<std::size_t>(rows_.source[row])] = rows.value[k];
            }
        }
    } else if (m - 1 - eligible < pre_.size()) {
        fits(moments_ * sources_);
        const Buffer<float>& history = pre_[m - 1 - eligible];
        for (std::size_t age = 0; age < moments_; ++age)
            std::copy_n(history.data() + moment(time + static_cast<int64_t>(moments_ - age)) * sources_, sources_, to.data() + age * sources_);
    } else {
        fits(targets_);
        node_.layout.to_logical(trace(m)->data(), to.data());
    }
}

void PlasticRunner::load(std::size_t m, int64_t time, std::span<const float> from) {
    const std::size_t eligible = 2 * value_.size();
    const bool arrived = m == 1 + eligible + pre_.size() + post_.size();
    const auto fits = [&](std::size_t count) { if (from.size() != count) throw Error(Fault::simulation, node_.name, "a state of another size"); };
    if (m <= eligible) {
        fits(rows_.size());
        for (std::size_t s = 0; s < rows_.size(); ++s) {
            const std::size_t e = m == 0 ? 0 : (m - 1) / 2;
            const float x = from[static_cast<std::size_t>(rows_.place[s])];
            if (m == 0) w_[s] = held(x);
            else if (m % 2 == 1) value_[e][s] = x;
            else last_[e][s] = clock_ - static_cast<int32_t>(x >= 0 && x <= static_cast<float>(kLongest) ? x : static_cast<float>(kLongest));
        }
    } else if (arrived) {
        const std::size_t steps = from.size() / std::max<std::size_t>(sources_, 1);
        fits(steps * sources_);
        for (std::size_t age = steps; age-- > 0;)
            for (std::size_t i = 0; i < sources_; ++i)
                if (const float x = from[age * sources_ + i]; x != 0.0f) file<true>(static_cast<int32_t>(i), x, time - 1 - static_cast<int64_t>(age), time);
    } else if (m - 1 - eligible < pre_.size()) {
        fits(moments_ * sources_);
        Buffer<float>& history = pre_[m - 1 - eligible];
        for (std::size_t age = 0; age < moments_; ++age)
            std::copy_n(from.data() + age * sources_, sources_, history.data() + moment(time + static_cast<int64_t>(moments_ - age)) * sources_);
    } else {
        fits(targets_);
        node_.layout.to_physical(from.data(), post_[m - 1 - eligible - pre_.size()].data());
    }
}

}  // namespace spikeflow
