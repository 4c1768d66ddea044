#include "plastic_runner.hpp"

namespace spikeflow {

void PlasticRunner::step(Step<float>& step) {
    const Events<float>& events = step.ports[0].value().events();
    count_operations(events, step.analog, step.counters, [this](int32_t i) { return node_.fan[static_cast<std::size_t>(i)]; });
    // kept for the end of the step: by then what arrived may lie elsewhere
    came_.assign(events.index.span());
    came_value_.resize(events.size());
    for (std::size_t e = 0; e < events.size(); ++e) came_value_[e] = events.at(e);
    for (std::size_t e = 0; e < events.size(); ++e) file<false>(came_[e], came_value_[e], step.time, step.time);
    const DueRows& due = ring_[moment(step.time)];
    if (due.row.empty()) step.out.clear();
    else if (node_.scale > 0) deliver_codes(due, step.out);
    else deliver(due, step.out);
    if (node_.bias.empty()) return;
    if (step.out.silent()) step.out.write_dense();
    step.out.set_bias(node_.bias.span(), node_.layout.block);
}

void PlasticRunner::deliver(const DueRows& due, Slot<float>& out) {
    float* const to = out.write_dense();
    out.touch_all();
    if (rows_.dense) {
        dense_.dense(to, node_.layout.size, w_.data(), due.row.data(), due.unit ? nullptr : due.value.data(), static_cast<int64_t>(due.row.size()));
        return;
    }
    const int32_t* const target = rows_.target.data();
    for (std::size_t k = 0; k < due.row.size(); ++k) {
        const auto row = static_cast<std::size_t>(due.row[k]);
        const float value = due.value[k];
        for (int64_t s = rows_.start[row]; s < rows_.start[row + 1]; ++s) to[target[s]] += w_[static_cast<std::size_t>(s)] * value;
    }
}

// Whole numbers, exact in any order; times the scale once.
void PlasticRunner::deliver_codes(const DueRows& due, Slot<float>& out) {
    std::fill(whole_.begin(), whole_.end(), int64_t{0});
    const auto most = static_cast<float>(node_.largest);
    for (std::size_t k = 0; k < due.row.size(); ++k) {
        const auto row = static_cast<std::size_t>(due.row[k]);
        const float x = due.value[k];
        if (!(x >= -most && x <= most) || std::floor(x) != x)
            throw Error(Fault::simulation, node_.name, "what arrives is no integer, or larger than its source said", "integers, or weights in floats");
        for (auto s = static_cast<std::size_t>(rows_.start[row]); s < static_cast<std::size_t>(rows_.start[row + 1]); ++s)
            whole_[static_cast<std::size_t>(rows_.target[s])] += static_cast<int64_t>(w_[s]) * static_cast<int64_t>(x);
    }
    float* const to = out.write_dense();
    out.touch_all();
    for (std::size_t j = 0; j < targets_; ++j) to[j] = static_cast<float>(whole_[j]) * node_.scale;
}

void PlasticRunner::learn(const Lesson<float>& lesson) {
    if (++clock_ > kTurn) set_back();
    for (std::size_t d = 0; d < moments_; ++d) base_[d] = moment(lesson.time + static_cast<int64_t>(moments_ - d)) * sources_;
    DueRows& due = ring_[moment(lesson.time)];
    at_rows(RulePart::at_pre, due.row.span(), 0);
    due.clear();
    for (const int32_t j : lesson.post.events().index) at_target(RulePart::at_post, static_cast<std::size_t>(node_.layout.physical(j)), 0);
    run_gathered(RulePart::at_post);
    if (lesson.modulator != nullptr && node_.part(RulePart::at_modulator)) modulate(*lesson.modulator);
    if (node_.every > 0 && (lesson.time + 1) % node_.every == 0) scale_targets();
    step_traces(lesson);
}

// One number for all synapses, or one for those onto each target.
void PlasticRunner::modulate(Slot<float>& modulator) {
    const Events<float>& signal = modulator.events();
    if (modulator.layout->size == 1 && signal.size() == 1) return at_rows(RulePart::at_modulator, every_row_.span(), signal.at(0));
    for (std::size_t k = 0; k < signal.size(); ++k)
        at_target(RulePart::at_modulator, static_cast<std::size_t>(node_.layout.physical(signal.index[k])), signal.at(k));
    run_gathered(RulePart::at_modulator);
}

// What a program made of the weights, within the bounds.
void PlasticRunner::keep(float* to, const float* from, int32_t n) {
    if (node_.bounds) {
        kernels_.operations[static_cast<int>(Op::maximum)](made_.data(), from, low_.data(), low_.data(), n, {});
        kernels_.operations[static_cast<int>(Op::minimum)](made_.data(), made_.data(), high_.data(), high_.data(), n, {});
        from = made_.data();
    }
    kernels_.keep(to, from, kFlush<float>, n);
    if (node_.scale > 0)
        for (int32_t k = 0; k < n; ++k) to[k] = held(to[k]);
}

// The synapses of rows: all targets, which lie in order, or listed ones, gathered.
void PlasticRunner::at_rows(RulePart which, std::span<const int32_t> rows, float signal) {
    if (!running(which).of.changes) return;
    for (const int32_t r : rows) {
        const auto row = static_cast<std::size_t>(r);
        const auto from = static_cast<int32_t>(base_[static_cast<std::size_t>(rows_.delay[row])] + static_cast<std::size_t>(rows_.source[row]));
        if (rows_.dense) {
            at_dense_row(which, static_cast<std::size_t>(rows_.start[row]), from, signal);
            continue;
        }
        for (auto s = static_cast<std::size_t>(rows_.start[row]); s < static_cast<std::size_t>(rows_.start[row + 1]); ++s)
            gather(which, {static_cast<int32_t>(s), from, rows_.target[s], signal});
    }
    run_gathered(which);
}

// The synapses onto a target.
void PlasticRunner::at_target(RulePart which, std::size_t target, float signal) {
    if (!running(which).of.changes) return;
    const auto j = static_cast<int32_t>(target);
    if (rows_.regular)
        for (std::size_t i = 0; i < sources_; ++i) gather(which, {static_cast<int32_t>(i * targets_ + target), static_cast<int32_t>(i), j, signal});
    else for (auto e = static_cast<std::size_t>(rows_.column[target]); e < static_cast<std::size_t>(rows_.column[target + 1]); ++e) {
        const std::size_t past = moments_ == 1 ? 0 : base_[static_cast<std::size_t>(rows_.after[e])];
        gather(which, {rows_.slot[e], static_cast<int32_t>(past) + rows_.from[e], j, signal});
    }
}

void PlasticRunner::at_dense_row(RulePart which, std::size_t first, int32_t from, float signal) {
    Running& run = running(which);
    for (std::size_t at = 0; at < targets_; at += kBlock) {
        const auto n = static_cast<int32_t>(std::min<std::size_t>(kBlock, targets_ - at));
        for (std::size_t k = 0; k < run.of.inputs.size(); ++k) {
            const Reading& r = run.of.inputs[k];
            if (r.from == From::post) run.place_input(k, post_[static_cast<std::size_t>(r.trace)].data() + at);
            else std::fill_n(run.input(k), n, r.from == From::pre ? pre_[static_cast<std::size_t>(r.trace)][static_cast<std::size_t>(from)] : signal);
        }
        float* const w = w_.data() + first + at;
        if (node_.scale == 0) run.place_state(0, w);
        else for (float* to = run.state(0); float x : std::span(w, static_cast<std::size_t>(n))) *to++ = real(x);
        for (std::size_t e = 0; e < value_.size(); ++e) {
            if (!run.of.reads[1 + e]) continue;
            float* const to = run.state(1 + e);
            for (int32_t k = 0; k < n; ++k) to[k] = left(e, first + at + static_cast<std::size_t>(k));
        }
        run.run(kernels_, n);
        if (!run.of.program.keeps_state(0)) keep(w, run.next(0), n);
        for (std::size_t e = 0; e < value_.size(); ++e) {
            if (run.of.program.keeps_state(1 + e)) continue;
            kernels_.keep(value_[e].data() + first + at, run.next(1 + e), kFlush<float>, n);
            std::fill_n(last_[e].data() + first + at, n, clock_);
        }
    }
}

// Run a program on the synapses gathered so far; no synapse comes twice.
void PlasticRunner::run_gathered(RulePart which) {
    Running& run = running(which);
    const std::size_t n = gathered_;
    gathered_ = 0;
    if (n == 0) return;
    const auto each = [&](float* to, auto value) { for (std::size_t i = 0; i < n; ++i) to[i] = value(met_[i]); };
    for (std::size_t k = 0; k < run.of.inputs.size(); ++k) {
        const Reading& r = run.of.inputs[k];
        const float* const pre = r.from == From::pre ? pre_[static_cast<std::size_t>(r.trace)].data() : nullptr;
        const float* const post = r.from == From::post ? post_[static_cast<std::size_t>(r.trace)].data() : nullptr;
        if (pre != nullptr) each(run.input(k), [&](const Met& m) { return pre[m.from]; });
        else if (post != nullptr) each(run.input(k), [&](const Met& m) { return post[m.target]; });
        else each(run.input(k), [](const Met& m) { return m.signal; });
    }
    each(run.state(0), [&](const Met& m) { return real(w_[static_cast<std::size_t>(m.slot)]); });
    for (std::size_t e = 0; e < value_.size(); ++e)
        if (run.of.reads[1 + e]) each(run.state(1 + e), [&](const Met& m) { return left(e, static_cast<std::size_t>(m.slot)); });
    run.run(kernels_, static_cast<int32_t>(n));
    if (!run.of.program.keeps_state(0)) {
        keep(made_.data(), run.next(0), static_cast<int32_t>(n));
        for (std::size_t i = 0; i < n; ++i) w_[static_cast<std::size_t>(met_[i].slot)] = made_[i];
    }
    for (std::size_t e = 0; e < value_.size(); ++e) {
        if (run.of.program.keeps_state(1 + e)) continue;
        kernels_.keep(made_.data(), run.next(1 + e), kFlush<float>, static_cast<int32_t>(n));
        for (std::size_t i = 0; i < n; ++i) {
            value_[e][static_cast<std::size_t>(met_[i].slot)] = made_[i];
            last_[e][static_cast<std::size_t>(met_[i].slot)] = clock_;
        }
    }
}

// The weights onto each target by one factor, made of their sum in stored order.
void PlasticRunner::scale_targets() {
    std::fill(sums_.begin(), sums_.end(), 0.0f);
    if (rows_.regular) for (std::size_t s = 0; s < rows_.size(); ++s) sums_[static_cast<std::size_t>(rows_.target[s])] += real(w_[s]);
    else for (std::size_t j = 0; j < targets_; ++j)
        for (int64_t k = rows_.column[j]; k < rows_.column[j + 1]; ++k) sums_[j] += real(w_[static_cast<std::size_t>(rows_.slot[static_cast<std::size_t>(k)])]);
    Running& run = running(RulePart::scaling);
    for (std::size_t at = 0; at < targets_; at += kBlock) {
        const std::size_t n = std::min<std::size_t>(kBlock, targets_ - at);
        for (std::size_t k = 0; k < run.of.inputs.size(); ++k) {
            const Reading& r = run.of.inputs[k];
            run.place_input(k, (r.from == From::sum ? sums_.data() : post_[static_cast<std::size_t>(r.trace)].data()) + at);
        }
        run.run(kernels_, static_cast<int32_t>(n));
        std::copy_n(run.output(), n, sums_.data() + at);
    }
    for (std::size_t at = 0; at < rows_.size(); at += kBlock) {
        const std::size_t n = std::min<std::size_t>(kBlock, rows_.size() - at);
        for (std::size_t i = 0; i < n; ++i) scaled_[i] = real(w_[at + i]) * sums_[static_cast<std::size_t>(rows_.target[at + i])];
        keep(w_.data() + at, scaled_.data(), static_cast<int32_t>(n));
    }
}

void PlasticRunner::step_traces(const Lesson<float>& lesson) {
    const Events<float>& post = lesson.post.events();
    for (const RulePart side : {RulePart::pre, RulePart::post}) {
        const bool of_pre = side == RulePart::pre;
        auto& traces = of_pre ? pre_ : post_;
        const std::size_t count = of_pre ? sources_ : targets_, events = of_pre ? came_.size() : post.size();
        const std::size_t now = of_pre ? moment(lesson.time) * count : 0, next = of_pre ? moment(lesson.time + 1) * count : 0;
        bool& resting = resting_[of_pre ? 0 : 1];
        if (traces.empty() || (resting && events == 0)) continue;
        const auto at = [&](std::size_t e) { return static_cast<std::size_t>(of_pre ? came_[e] : node_.layout.physical(post.index[e])); };
        for (std::size_t e = 0; e < events; ++e) spikes_[at(e)] = of_pre ? came_value_[e] : post.at(e);
        Running& run = running(side);
        bool changed = false;
        for (std::size_t first = 0; first < count; first += kBlock) {
            const auto n = static_cast<int32_t>(std::min<std::size_t>(kBlock, count - first));
            for (std::size_t k = 0; k < run.of.inputs.size(); ++k) run.place_input(k, spikes_.data() + first);
            for (std::size_t s = 0; s < traces.size(); ++s) run.place_state(s, traces[s].data() + now + first);
            run.run(kernels_, n);
            // with a past the next moment lies elsewhere, and nothing rests
            for (std::size_t s = 0; s < traces.size(); ++s) {
                if (now == next) changed |= kernels_.settle(traces[s].data() + now + first, run.next(s), marks_.data(), n);
                else kernels_.keep(traces[s].data() + next + first, run.next(s), kFlush<float>, n);
            }
        }
        for (std::size_t e = 0; e < events; ++e) spikes_[at(e)] = 0.0f;
        resting = now == next && !changed && events == 0;
    }
}

// The clock goes on from where every eligibility has faded that had then.
void PlasticRunner::set_back() {
    const int32_t by = clock_ - kLongest - 2;
    for (auto& last : last_)
        for (int32_t& step : last) step = std::max(step - by, 0);
    clock_ -= by;
}

std::unique_ptr<Runner<float>> PlasticNode::runner(const Context<float>& context) const {
    return std::make_unique<PlasticRunner>(*this, context);
}

std::unique_ptr<Node<float>> make_plastic(const std::string& name, const Shape& in, const Shape& out, const PlasticText& text) {
    return std::make_unique<PlasticNode>(name, in, Layout(out, name), text);
}

}  // namespace spikeflow
