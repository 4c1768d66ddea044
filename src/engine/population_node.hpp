// PopulationNode: neurons that run one program, as they are described; how they run is in population.cpp.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "buffer.hpp"
#include "division.hpp"
#include "population.hpp"

namespace spikeflow {

// A param or initial state: `step` is the stride from block to block, 0 where one block serves all.
template <class R>
struct Operand {
    Buffer<R> values;
    int32_t step = 0;
};

template <class R>
Operand<R> make_operand(const std::string& name, const Layout& layout, std::span<const R> given) {
    Operand<R> out;
    const auto size = static_cast<std::size_t>(layout.size), block = static_cast<std::size_t>(layout.block);
    const auto channels = static_cast<std::size_t>(layout.channels);
    if (given.size() == 1) {
        out.values = Buffer<R>(block, given[0]);
        return out;
    }
    if (given.size() == size) {
        out.values.resize(size);
        out.step = layout.block;
        for (std::size_t i = 0; i < size; ++i)
            out.values[static_cast<std::size_t>(layout.physical(static_cast<int32_t>(i)))] = given[i];
        return out;
    }
    require(layout.permuted && given.size() == channels, name, "a param or initial state of another size");
    const bool repeats = block % channels == 0;
    out.values.resize(repeats ? block : size);
    out.step = repeats ? 0 : layout.block;
    for (std::size_t i = 0; i < out.values.size(); ++i) out.values[i] = given[i % channels];
    return out;
}

template <class V, class R>
class PopulationNode final : public Node<V> {
public:
    PopulationNode(const std::string& name, Layout layout, const PopulationText<R>& text)
        : Node<V>(name, std::move(layout), static_cast<std::size_t>(std::max<int64_t>(0, text.program.inputs))),
          program(name, text.program), start(text.start) {
        require(start >= 0, name, "a start before step 0");
        require(static_cast<int64_t>(text.params.size()) == program.params(), name, "params that are not the program's");
        require(static_cast<int64_t>(text.initial.size()) == program.states(), name, "initial states that are not the program's");
        for (const auto& p : text.params) params.push_back(make_operand<R>(name, this->layout, p));
        for (const auto& s : text.initial) initial.push_back(make_operand<R>(name, this->layout, s));
        if constexpr (std::is_same_v<R, float>) {
            std::vector<int32_t> uniform;
            for (int32_t p = 0; p < program.params(); ++p)
                if (text.params[static_cast<std::size_t>(p)].size() == 1) uniform.push_back(p);
            loop = Loop::make(program.loop_text(uniform));
        }
    }

    void check_source(std::size_t, const Layout& from) const override {
        require(from.shape == this->layout.shape, this->name, "a source of another shape");
    }
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override;
    bool is_population() const override { return true; }
    bool repeats() const override { return false; }
    bool may_be_unconnected() const override { return true; }
    bool shares() const override { return !this->layout.permuted && program.spikes(); }
    void divide(const DivisionText& text) override {
        if constexpr (std::is_floating_point_v<V>) Node<V>::divide(text);
        else divided.make(this->name, this->layout, text);
    }

    Program<R> program;
    std::vector<Operand<R>> params, initial;
    int32_t start;
    std::shared_ptr<const Loop> loop;       // the program as one loop, where there is one
    DividedNeurons divided;
};

}  // namespace spikeflow
