#include "driven.hpp"

#include "active_rows.hpp"
#include "large_pages.hpp"

namespace spikeflow {
namespace {

using namespace active_rows;

constexpr int64_t kRows = 256;                      // of a tile, at least where there are as many
constexpr int64_t kNarrow = 64;                     // columns of a panel, at least, that threads make narrower

// Steps [begin, begin + steps) of samples [first, first + samples).
struct Tile {
    int64_t begin, steps, first, samples;
    int64_t rows() const { return steps * samples; }
};

// How a stretch falls into tiles and panels; the row of sample g and step k of a tile is g * steps + k.
class Tiling {
public:
    explicit Tiling(const Stretch& stretch)
        : stretch_(stretch), samples_(stretch.population == 0 ? 0 : stretch.elements / stretch.population),
          steps_(std::max<int64_t>(1, kRows / stretch.interval) * stretch.interval),
          each_(std::max<int64_t>(1, kRows / std::min(steps_, stretch.steps))), times_(blocks_of(stretch.steps, steps_)),
          groups_(blocks_of(samples_, each_)) {
        // few panels are made narrower, so that every thread has one
        const int64_t shared = blocks_of(blocks_of(stretch.population, std::max(1, stretch.threads)), kTile) * kTile;
        panels = panels_of(stretch.population, std::clamp(shared, kNarrow, kPanel));
    }
    int64_t times() const { return times_; }
    int64_t groups() const { return groups_; }
    int64_t most_rows() const { return std::min(steps_, stretch_.steps) * std::min(each_, samples_); }
    Tile tile(int64_t group, int64_t time) const {
        const int64_t begin = time * steps_, first = group * each_;
        return {begin, std::min(steps_, stretch_.steps - begin), first, std::min(each_, samples_ - first)};
    }
    // A neuron of a sample among the elements of a step.
    int64_t element(int64_t sample, const Panel& panel) const { return sample * stretch_.population + panel.first; }
    // The states before a step, of a panel and a sample, lie here, state by state; those kept behind it in the same order.
    int64_t kept(int64_t begin, int64_t sample, const Panel& panel, std::size_t states) const {
        const auto count = static_cast<int64_t>(states);
        return count * (moments() * element(sample, panel) + begin / stretch_.interval * panel.count);
    }
    int64_t moments() const { return blocks_of(stretch_.steps, stretch_.interval); }

    std::vector<Panel> panels;

private:
    const Stretch& stretch_;
    int64_t samples_, steps_, each_, times_, groups_;
};

// A stretch in tiles, and what stands in each of them.
class Driven {
public:
    Driven(const Drive& drive, const Stretch& stretch, bool backward)
        : tiling(stretch), drive_(drive), stretch_(stretch), blocks_(blocks_of(drive.inputs, kBlock)), by_row_(at(tiles() * blocks_)),
          by_source_(at(backward ? tiles() : 0)) {
        in_threads(tiles(), stretch.threads, [this] {
            return [this, words = Buffer<uint64_t>()](int64_t tile) mutable { list(tile, words); };
        });
    }

    PackedWeights packed(std::span<const Panel> panels, int32_t threads) const {
        const Product size{0, drive_.inputs, stretch_.population, threads, stretch_.isa};
        return {size, drive_.weight, drive_.bias, panels};
    }
    // The sources of a tile's rows, block by block.
    const Lists* by_row(int64_t group, int64_t time) const { return by_row_.data() + number(group, time) * blocks_; }
    const Lists& by_source(int64_t group, int64_t time) const { return by_source_[at(number(group, time))]; }

    // One sample of a tile, a panel of its neurons, as a stretch of its own.
    Stretch part(const Tile& tile, const Panel& panel) const { return {tile.steps, panel.count, panel.count, stretch_.interval, 1, stretch_.isa}; }
    std::vector<Stream<float>> ports(const std::vector<Stream<float>>& given, const float* currents, const Tile& tile, const Panel& panel) const {
        std::vector<Stream<float>> made = given;
        made[drive_.port] = {currents, tile.steps * panel.width, panel.width};
        return made;
    }
    static std::vector<Parameter<float>> params(const std::vector<Parameter<float>>& given, const Panel& panel) {
        std::vector<Parameter<float>> made = given;
        for (Parameter<float>& param : made)
            if (param.owner != nullptr) param.owner += panel.first;
        return made;
    }

    const Tiling tiling;

private:
    int64_t tiles() const { return tiling.times() * tiling.groups(); }
    int64_t number(int64_t group, int64_t time) const { return group * tiling.times() + time; }

    void list(int64_t number, Buffer<uint64_t>& words) {
        const Tile tile = tiling.tile(number / tiling.times(), number % tiling.times());
        const int64_t samples = stretch_.elements / stretch_.population;
        const auto row = [&](int64_t r) {
            return drive_.x + ((tile.begin + r % tile.steps) * samples + tile.first + r / tile.steps) * drive_.inputs;
        };
        for (int64_t b = 0; b < blocks_; ++b) {
            Lists& lists = by_row_[at(number * blocks_ + b)];
            lists = active_rows::by_row(row, tile.rows(), b * kBlock, std::min(kBlock, drive_.inputs - b * kBlock), static_cast<Isa>(stretch_.isa), words);
            if (lists.ones) lists.value = {};
        }
        if (by_source_.empty()) return;
        by_source_[at(number)] = active_rows::by_source(row, tile.rows(), drive_.inputs, static_cast<Isa>(stretch_.isa), words);
        if (by_source_[at(number)].ones) by_source_[at(number)].value = {};
    }

    const Drive& drive_;
    const Stretch& stretch_;
    int64_t blocks_;
    std::vector<Lists> by_row_, by_source_;
};

// A panel of some samples through all steps.
class Onward {
public:
    Onward(const Program<float>& program, const Driven& driven, const PackedWeights& weights, const ForwardText<float>& text)
        : program_(program), driven_(driven), weights_(weights), text_(text), currents_(at(driven.tiling.most_rows() * kPanel)) {}

    void operator()(const Panel& panel, int64_t group) {
        for (int64_t time = 0; time < driven_.tiling.times(); ++time) {
            const Tile tile = driven_.tiling.tile(group, time);
            weights_.sum(driven_.by_row(group, time), tile.rows(), panel, currents_.data());
            for (int64_t g = 0; g < tile.samples; ++g) sweep(tile, g, panel);
        }
    }

private:
    void sweep(const Tile& tile, int64_t g, const Panel& panel) {
        const int64_t element = driven_.tiling.element(tile.first + g, panel);
        const float* currents = currents_.data() + g * tile.steps * panel.width;
        ForwardText<float> part{driven_.part(tile, panel), driven_.ports(text_.ports, currents, tile, panel), driven_.params(text_.params, panel), {},
                                text_.out + tile.begin * text_.stretch.elements + element, {}, nullptr, text_.stretch.elements};
        for (std::size_t s = 0; s < text_.state.size(); ++s) {
            part.after.push_back(text_.after[s] + element);
            part.state.push_back(tile.begin == 0 ? text_.state[s] + element : part.after[s]);
        }
        if (text_.kept != nullptr) {
            float* kept = text_.kept + driven_.tiling.kept(tile.begin, tile.first + g, panel, text_.state.size());
            for (const float* const state : part.state) kept = std::copy_n(state, panel.count, kept);
            part.kept = kept;
        }
        sweep_forward(program_, part);
    }

    const Program<float>& program_;
    const Driven& driven_;
    const PackedWeights& weights_;
    const ForwardText<float>& text_;
    Buffer<float> currents_;
};

// A panel of all samples back through all steps, with all that its neurons' weights get; into `totals` (wanted parameters,
// population) what each neuron asks of a parameter, so that sums over neurons know nothing of panels.
class Back {
public:
    Back(const Backward<float>& programs, const std::vector<int32_t>& params, const Driven& driven, const Drive& drive, const BackwardText<float>& text,
         const ToDrive& to, double* totals)
        : programs_(programs), wanted_{{static_cast<int32_t>(drive.port)}, params}, driven_(driven), drive_(drive), text_(text), to_(to), totals_(totals),
          currents_(at(driven.tiling.most_rows() * kPanel)), cotangents_(at(driven.tiling.most_rows() * kPanel), 0.0f),
          sums_(to.weight == nullptr ? 0 : at(drive.inputs * kPanel)) {}

    void operator()(const Panel& panel) {
        params_ = driven_.params(text_.params, panel);
        own_.clear();
        for (const int32_t p : wanted_.params) params_[at(p)] = own_.emplace_back(params_[at(p)], panel).param();
        std::fill(sums_.begin(), sums_.end(), 0.0f);
        const PackedWeights weights = driven_.packed({&panel, 1}, 1);
        Buffer<double> bias(at(panel.count), 0.0);
        for (int64_t group = 0; group < driven_.tiling.groups(); ++group)
            for (int64_t time = driven_.tiling.times() - 1; time >= 0; --time) {
                const Tile tile = driven_.tiling.tile(group, time);
                weights.sum(driven_.by_row(group, time), tile.rows(), panel, currents_.data());
                for (int64_t g = 0; g < tile.samples; ++g) sweep(tile, g, panel);
                hand_on(tile, panel, driven_.by_source(group, time), bias);
            }
        if (to_.weight != nullptr)
            transpose(sums_.data(), panel.width, drive_.inputs, panel.count, to_.weight + panel.first * drive_.inputs, drive_.inputs);
        if (to_.bias != nullptr)
            std::transform(bias.begin(), bias.end(), to_.bias + panel.first, [](double x) { return static_cast<float>(x); });
    }

private:
    // A parameter with an entry for each neuron of a panel, and what a sweep brings to it.
    struct Own {
        Own(const Parameter<float>& from, const Panel& panel) : values(at(panel.count)), brought(at(panel.count)), owner(at(panel.count)) {
            for (std::size_t i = 0; i < values.size(); ++i) {
                values[i] = from.values[from.owner == nullptr ? 0 : from.owner[i]];
                owner[i] = static_cast<int32_t>(i);
            }
        }
        Parameter<float> param() const { return {values.data(), static_cast<int64_t>(values.size()), owner.data()}; }
        Buffer<float> values, brought;
        Buffer<int32_t> owner;
    };

    void sweep(const Tile& tile, int64_t g, const Panel& panel) {
        const int64_t element = driven_.tiling.element(tile.first + g, panel), row = g * tile.steps * panel.width;
        BackwardText<float> part;
        part.stretch = driven_.part(tile, panel);
        part.ports = driven_.ports(text_.ports, currents_.data() + row, tile, panel);
        part.params = params_;
        const float* state = text_.kept + driven_.tiling.kept(tile.begin, tile.first + g, panel, text_.state.size());
        part.kept = state + static_cast<int64_t>(text_.state.size()) * panel.count;
        part.out = text_.out;
        if (text_.out.count != 1) part.out = {text_.out.values + tile.begin * text_.stretch.elements + element, tile.steps * text_.stretch.elements, text_.stretch.elements};
        const bool last = tile.begin + tile.steps == text_.stretch.steps;
        for (std::size_t s = 0; s < text_.state.size(); ++s) {
            part.state.push_back(state + static_cast<int64_t>(s) * panel.count);
            part.to_state.push_back(text_.to_state[s] + element);
            if (!last) part.after.push_back({part.to_state[s], panel.count});
            else part.after.push_back(text_.after[s].count == 1 ? text_.after[s] : Stream<float>{text_.after[s].values + element, panel.count});
        }
        part.to_ports = {cotangents_.data() + row};
        part.ports_stride = panel.width;
        for (Own& own : own_) part.to_params.push_back(own.brought.data());
        sweep_backward<float>(programs_, wanted_, part);
        for (std::size_t i = 0; i < own_.size(); ++i) {
            double* total = totals_ + static_cast<int64_t>(i) * text_.stretch.population + panel.first;
            for (const float brought : own_[i].brought) *total++ += static_cast<double>(brought);
        }
    }

    // The cotangents of a tile's currents.
    void hand_on(const Tile& tile, const Panel& panel, const Lists& lists, Buffer<double>& bias) {
        const RowKernels<float, float>& kernels = row_kernels<float, float>(static_cast<Isa>(text_.stretch.isa));
        for (int64_t i = 0; to_.weight != nullptr && i < drive_.inputs; ++i)
            lists.add(kernels, i, cotangents_.data(), panel.width, sums_.data() + i * panel.width);
        for (int64_t r = 0; r < tile.rows(); ++r) {
            const float* row = cotangents_.data() + r * panel.width;
            for (std::size_t j = 0; to_.bias != nullptr && j < bias.size(); ++j) bias[j] += static_cast<double>(row[j]);
            const int64_t at_row = (tile.begin + r % tile.steps) * text_.stretch.elements + driven_.tiling.element(tile.first + r / tile.steps, panel);
            if (to_.currents != nullptr) std::copy_n(row, panel.count, to_.currents + at_row);
        }
    }

    const Backward<float>& programs_;
    const Wanted wanted_;
    const Driven& driven_;
    const Drive& drive_;
    const BackwardText<float>& text_;
    const ToDrive& to_;
    double* totals_;
    Buffer<float> currents_, cotangents_, sums_;
    std::vector<Parameter<float>> params_;
    std::vector<Own> own_;
};

}  // namespace

void driven_forward(const Program<float>& program, const Drive& drive, const ForwardText<float>& text) {
    const Driven driven(drive, text.stretch, false);
    const PackedWeights weights = driven.packed(driven.tiling.panels, text.stretch.threads);
    const int64_t groups = driven.tiling.groups();
    want_large_pages(text.out, text.stretch.steps * text.stretch.elements);
    in_threads(static_cast<int64_t>(driven.tiling.panels.size()) * groups, text.stretch.threads, [&] {
        return [&, worker = Onward(program, driven, weights, text)](int64_t piece) mutable { worker(driven.tiling.panels[at(piece / groups)], piece % groups); };
    });
}

void driven_backward(const Backward<float>& programs, const std::vector<int32_t>& params, const Drive& drive, const BackwardText<float>& text,
                     const ToDrive& to) {
    const Driven driven(drive, text.stretch, true);
    const std::vector<Panel>& panels = driven.tiling.panels;
    const int64_t population = text.stretch.population;
    Buffer<double> totals(params.size() * at(population), 0.0);
    in_threads(static_cast<int64_t>(panels.size()), text.stretch.threads, [&] {
        return [&, worker = Back(programs, params, driven, drive, text, to, totals.data())](int64_t panel) mutable { worker(panels[at(panel)]); };
    });
    for (std::size_t i = 0; i < params.size(); ++i) {
        const Parameter<float>& param = text.params[at(params[i])];
        Buffer<double> sums(at(param.count), 0.0);
        for (int64_t neuron = 0; neuron < population; ++neuron)
            sums[at(param.owner == nullptr ? 0 : param.owner[neuron])] += totals[i * at(population) + at(neuron)];
        std::transform(sums.begin(), sums.end(), text.to_params[i], [](double x) { return static_cast<float>(x); });
    }
}

}  // namespace spikeflow
