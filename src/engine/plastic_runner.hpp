// A node whose synapses learn, and what a worker holds of it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lesson.hpp"
#include "operations.hpp"
#include "plastic.hpp"
#include "plastic_rows.hpp"
#include "plastic_rule.hpp"
#include "synapses.hpp"

namespace spikeflow {

using From = Reading::From;
inline constexpr int32_t kLongest = 1 << 20;            // steps after which an eligibility has faded
inline constexpr int32_t kWhole = 1 << 24;              // up to here float32 holds every integer
inline constexpr int32_t kTurn = 3 << 19;               // steps after which the clock is set back

class PlasticNode final : public Node<float> {
public:
    PlasticNode(const std::string& name, const Shape& in, Layout layout_of, const PlasticText& text)
        : Node<float>(name, std::move(layout_of), 1), in_shape(in), rows(PlasticRowMaker(name, layout, text).make(Layout(in, name).size)),
          bias(physical_bias<float>(name, layout, text.bias)), every(text.every), bounds(text.bounds), scale(text.scale), codes(text.codes),
          largest(text.largest) {
        for (const auto& table : text.eligibility) {
            require(!table.empty() && table.size() <= static_cast<std::size_t>(kLongest) + 2, name, "an eligibility without an end");
            tables.emplace_back(table.begin(), table.end());
        }
        require(std::isfinite(scale) && scale >= 0 && largest >= 0 && largest <= kWhole, name, "codes without a scale");
        require(std::abs(codes[0]) <= kWhole && std::abs(codes[1]) <= kWhole && codes[0] <= codes[1], name, "codes out of range");
        weights.resize(rows.size());
        for (std::size_t s = 0; s < rows.size(); ++s) weights[s] = text.weights[static_cast<std::size_t>(rows.place[s])];
        compile(text);
        const int64_t kept = traces(RulePart::pre) == 0 ? 0 : (int64_t{rows.longest} + 1) * rows.sources();
        require(kept < INT32_MAX, name, "traces of too many sources over too long delays");
        fan.assign(static_cast<std::size_t>(rows.sources()) + 1, 0);
        for (std::size_t i = 0; i + 1 < fan.size(); ++i) fan[i] = rows.start[static_cast<std::size_t>(rows.of_source[i + 1])] - rows.start[static_cast<std::size_t>(rows.of_source[i])];
    }

    void check_source(std::size_t, const Layout& source) const override {
        require(source.size == rows.sources(), name, "a source of another shape");
    }
    std::unique_ptr<Runner<float>> runner(const Context<float>& context) const override;
    bool repeats() const override { return false; }

    const std::optional<RuleProgram>& part(RulePart which) const { return parts[static_cast<std::size_t>(which)]; }
    std::size_t traces(RulePart side) const { return part(side)->reads.size(); }

    Shape in_shape;
    PlasticRows rows;
    Buffer<float> weights, bias;                 // of each slot; of codes the weights, not the codes
    std::vector<int64_t> fan;
    std::array<std::optional<RuleProgram>, kRuleParts> parts;
    std::vector<std::vector<float>> tables;
    int32_t every;
    std::optional<std::array<float, 2>> bounds;
    float scale;
    std::array<float, 2> codes;
    int64_t largest;

private:
    void compile(const PlasticText& text) {
        const auto states = [&](std::size_t p) { return text.parts[p] ? static_cast<std::size_t>(std::max<int64_t>(0, text.parts[p]->program.states)) : 0; };
        const std::array<std::size_t, 2> traces{states(0), states(1)};
        const std::vector<From> spike{From::spike}, event{From::pre, From::post}, signal{From::pre, From::post, From::modulator}, whole{From::post, From::sum};
        const std::vector<From>* const allowed[] = {&spike, &spike, &event, &event, &signal, &whole};
        for (std::size_t p = 0; p < kRuleParts; ++p) {
            require(p >= 4 || text.parts[p].has_value(), name, "a rule without one of its programs");
            if (!text.parts[p]) continue;
            const std::size_t held = p < 2 ? states(p) : p == 5 ? 0 : 1 + tables.size();
            parts[p].emplace(name, *text.parts[p], held, traces);
            parts[p]->require_inputs(name, *allowed[p]);
        }
        require(text.parts[5].has_value() == (every > 0) && every >= 0, name, "scaling without its steps");
    }
};

// What is due in one step.
struct DueRows {
    Buffer<int32_t> row;
    Buffer<float> value;
    bool unit = true;

    void clear() {
        row.clear();
        value.clear();
        unit = true;
    }
    void file(int32_t which, float v) {
        row.push(which);
        value.push(v);
        unit = unit && v == 1.0f;
    }
};

class PlasticRunner final : public Runner<float>, public Learns<float> {
public:
    PlasticRunner(const PlasticNode& node, const Context<float>& context)
        : node_(node), rows_(node.rows), kernels_(kernels<float>(context.isa)), dense_(row_kernels<float, float>(context.isa)),
          sources_(static_cast<std::size_t>(rows_.sources())), targets_(static_cast<std::size_t>(node.layout.size)),
          moments_(static_cast<std::size_t>(rows_.longest) + 1), ring_(moments_), w_(rows_.size()), spikes_(std::max(sources_, targets_), 0.0f),
          base_(moments_, 0), made_(kBlock), scaled_(kBlock), marks_(kBlock), met_(kBlock) {
        for (std::size_t p = 0; p < kRuleParts; ++p)
            if (node.parts[p]) running_[p] = std::make_unique<Running>(*node.parts[p]);
        for (std::size_t e = 0; e < node.tables.size(); ++e) {
            value_.emplace_back(rows_.size());
            last_.emplace_back(rows_.size());
        }
        for (std::size_t k = 0; k < node.traces(RulePart::pre); ++k) pre_.emplace_back(moments_ * sources_);
        for (std::size_t k = 0; k < node.traces(RulePart::post); ++k) post_.emplace_back(targets_);
        if (node.bounds) {
            low_ = Buffer<float>(kBlock, (*node.bounds)[0]);
            high_ = Buffer<float>(kBlock, (*node.bounds)[1]);
        }
        if (node.part(RulePart::at_modulator))
            for (std::size_t r = 0; r < rows_.source.size(); ++r) every_row_.push(static_cast<int32_t>(r));
        sums_.resize(node.scale > 0 || node.every > 0 ? targets_ : 0);
        whole_.resize(node.scale > 0 ? targets_ : 0);
    }

    void reset() override {
        for (DueRows& due : ring_) due.clear();
        clock_ = 0;
        for (std::size_t s = 0; s < w_.size(); ++s) w_[s] = held(node_.weights[s]);
        for (auto* all : {&value_, &pre_, &post_})
            for (auto& values : *all) std::fill(values.begin(), values.end(), 0.0f);
        for (auto& last : last_) std::fill(last.begin(), last.end(), 0);
        resting_ = {false, false};
    }

    // The weights; each eligibility, and the steps since it was changed; the traces of sources and targets; what arrived.
    std::size_t memories() const override { return 1 + 2 * value_.size() + pre_.size() + post_.size() + (rows_.longest > 0 ? 1 : 0); }
    void save(std::size_t m, int64_t time, std::span<float> to) const override;
    void load(std::size_t m, int64_t time, std::span<const float> from) override;
    int64_t unbounded(std::size_t m) const override {
        const Buffer<float>* const values = m == 0 ? &w_ : m <= 2 * value_.size() ? (m % 2 == 1 ? &value_[m / 2] : nullptr) : trace(m);
        int64_t count = 0;
        if (values != nullptr)
            for (const float x : *values) count += !(std::abs(x) <= std::numeric_limits<float>::max());
        return count;
    }

    void step(Step<float>& step) override;
    void learn(const Lesson<float>& lesson) override;

private:
    Running& running(RulePart which) { return *running_[static_cast<std::size_t>(which)]; }
    // Weights as they are held: codes as codes.
    float held(float w) const {
        if (node_.scale == 0) return w;
        return w == w ? std::min(std::max(std::nearbyint(w / node_.scale), node_.codes[0]), node_.codes[1]) : node_.codes[0];
    }
    float real(float w) const { return node_.scale == 0 ? w : w * node_.scale; }
    const Buffer<float>* trace(std::size_t m) const {
        const std::size_t k = m - 1 - 2 * value_.size();
        return k < pre_.size() ? &pre_[k] : k - pre_.size() < post_.size() ? &post_[k - pre_.size()] : nullptr;
    }
    float left(std::size_t e, std::size_t slot) const {
        const std::vector<float>& table = node_.tables[e];
        return value_[e][slot] * table[std::min(static_cast<std::size_t>(clock_ - last_[e][slot]), table.size() - 1)];
    }
    std::size_t moment(int64_t time) const { return static_cast<std::size_t>(time) % moments_; }

    template <bool late>
    void file(int32_t source, float value, int64_t emitted, int64_t now) {
        for (int64_t r = rows_.of_source[static_cast<std::size_t>(source)]; r < rows_.of_source[static_cast<std::size_t>(source) + 1]; ++r) {
            const int64_t due = emitted + rows_.delay[static_cast<std::size_t>(r)];
            if (!late || due >= now) ring_[moment(due)].file(static_cast<int32_t>(r), value);
        }
    }
    void deliver(const DueRows& due, Slot<float>& out);
    void deliver_codes(const DueRows& due, Slot<float>& out);

    // A synapse that is to run a program: where its weight and the trace of its source lie, its target, the modulator.
    struct Met {
        int32_t slot, from, target;
        float signal;
    };
    void gather(RulePart which, const Met& one) {
        met_[gathered_] = one;
        if (++gathered_ == kBlock) run_gathered(which);
    }
    void at_rows(RulePart which, std::span<const int32_t> rows, float signal);
    void at_dense_row(RulePart which, std::size_t first, int32_t from, float signal);
    void at_target(RulePart which, std::size_t target, float signal);
    void run_gathered(RulePart which);
    void modulate(Slot<float>& modulator);
    void keep(float* to, const float* from, int32_t n);
    void scale_targets();
    void step_traces(const Lesson<float>& lesson);
    void set_back();

    const PlasticNode& node_;
    const PlasticRows& rows_;
    const Kernels<float>& kernels_;
    const RowKernels<float, float>& dense_;
    std::size_t sources_, targets_, moments_;
    std::vector<DueRows> ring_;
    std::array<std::unique_ptr<Running>, kRuleParts> running_;
    Buffer<float> w_;
    std::vector<Buffer<float>> value_, pre_, post_;      // pre_: a moment is a row of all sources
    std::vector<Buffer<int32_t>> last_;                  // by this worker's clock
    int32_t clock_ = 0;
    Buffer<float> spikes_;                               // 0 between uses
    Buffer<int32_t> came_;                               // sources of what arrived in this step
    Buffer<float> came_value_;
    std::array<bool, 2> resting_{};
    std::vector<std::size_t> base_;                      // where the traces of so many steps ago begin
    Buffer<float> made_, scaled_, sums_, low_, high_;
    Buffer<int64_t> whole_;
    Buffer<uint32_t> marks_;
    Buffer<int32_t> every_row_;
    Buffer<Met> met_;
    std::size_t gathered_ = 0;
};

}  // namespace spikeflow
