// Gathered: the neurons of a population that are awake, side by side.
//
// Where few neurons are awake and lie anywhere, most lanes of the vectors that run hold neurons in which nothing happens: of a
// fly's brain 2 % of the neurons, in 27 % of the vectors. Then the states of those that are awake, what they have of params of
// their own and what arrives at them are held here, in any order; all others are at a fixed point of their step, and wake where
// something arrives. Neurons do not read each other's states, so no bit depends on where one lies.
#pragma once

#include <span>
#include <vector>

#include "population_node.hpp"

namespace spikeflow {

template <class R>
class Gathered {
public:
    // `homes`: where states lie while a neuron is not here.
    Gathered(const std::vector<Operand<R>>& operands, std::vector<Buffer<R>>& homes, std::size_t ports)
        : operands_(operands), homes_(homes), params_(operands.size()), arrived_(ports) {}

    bool active() const { return active_; }
    int32_t size() const { return static_cast<int32_t>(neurons_.size()); }
    int32_t neuron(int32_t place) const { return neurons_[static_cast<std::size_t>(place)]; }

    // Of `count` neurons from `first` on; all are at home yet.
    void begin(int32_t first, int32_t count) {
        active_ = true;
        first_ = first;
        states_.resize(homes_.size());
        places_.assign(static_cast<std::size_t>(count), kHome);
    }
    // All go home.
    void end() {
        while (size() > 0) leave(size() - 1);
        active_ = false;
    }
    // Homes are written anew.
    void forget() {
        resize(0);
        active_ = false;
    }

    int32_t wake(int32_t neuron) {
        int32_t& place = places_[static_cast<std::size_t>(neuron - first_)];
        if (place != kHome) return place;
        const auto at = static_cast<std::size_t>(neuron);
        place = size();
        neurons_.push(neuron);
        for (std::size_t s = 0; s < states_.size(); ++s) states_[s].push(homes_[s][at]);
        for (std::size_t p = 0; p < params_.size(); ++p)
            if (operands_[p].step != 0) params_[p].push(operands_[p].values[at]);
        for (Buffer<R>& arrived : arrived_) arrived.push(R{0});
        return place;
    }
    // What is not 0 arrives at a neuron, which wakes; forgotten by `silence`.
    void hear(std::size_t port, int32_t neuron, R value) {
        const int32_t place = wake(neuron);
        arrived_[port][static_cast<std::size_t>(place)] = value;
        heard_.push(place);
    }
    void silence() {
        for (const int32_t place : heard_)
            for (Buffer<R>& arrived : arrived_) arrived[static_cast<std::size_t>(place)] = R{0};
        heard_.clear();
    }

    // Let the operands of a frame be those of the neurons from a place on.
    void put(const Program<R>& program, typename Program<R>::Frame& frame, int32_t first) {
        for (std::size_t s = 0; s < states_.size(); ++s) frame.places[program.state_place(static_cast<int32_t>(s))] = states_[s].data() + first;
        for (std::size_t p = 0; p < arrived_.size(); ++p) frame.places[program.input_place(static_cast<int32_t>(p))] = arrived_[p].data() + first;
        for (std::size_t p = 0; p < params_.size(); ++p)
            frame.places[program.param_place(static_cast<int32_t>(p))] =
                // operands are only read; the table of places is not const because registers are written
                operands_[p].step == 0 ? const_cast<R*>(operands_[p].values.data()) : params_[p].data() + first;
    }
    // Bits of the neurons that are idle, 16 by 16, to be written by a step.
    uint16_t* idle(int32_t first) {
        idle_.resize(static_cast<std::size_t>(size()) / 16 + 32);
        return idle_.data() + first / 16;
    }
    // Those that were idle in the last step go home.
    void rest() {
        for (int32_t k = size() - 1; k >= 0; --k)
            if ((idle_[static_cast<std::size_t>(k) / 16] >> (k % 16)) & 1) leave(k);
    }

    R state(std::size_t which, int32_t neuron) const {
        const int32_t place = active_ ? places_[static_cast<std::size_t>(neuron - first_)] : kHome;
        return place == kHome ? homes_[which][static_cast<std::size_t>(neuron)] : states_[which][static_cast<std::size_t>(place)];
    }

    // Of those that are here, among all.
    template <class S>
    void tell(std::size_t which, std::span<S> to) const {
        for (std::size_t k = 0; k < neurons_.size(); ++k) to[static_cast<std::size_t>(neurons_[k])] = static_cast<S>(states_[which][k]);
    }

private:
    static constexpr int32_t kHome = -1;

    // The last one takes the place.
    void leave(int32_t place) {
        const auto at = static_cast<std::size_t>(place), last = neurons_.size() - 1;
        const int32_t neuron = neurons_[at];
        for (std::size_t s = 0; s < states_.size(); ++s) homes_[s][static_cast<std::size_t>(neuron)] = states_[s][at];
        const auto move = [at, last](auto& values) { values[at] = values[last]; };
        move(neurons_);
        for (Buffer<R>& state : states_) move(state);
        for (std::size_t p = 0; p < params_.size(); ++p)
            if (operands_[p].step != 0) move(params_[p]);
        places_[static_cast<std::size_t>(neurons_[at] - first_)] = place;
        places_[static_cast<std::size_t>(neuron - first_)] = kHome;
        resize(last);
    }
    void resize(std::size_t count) {
        neurons_.resize(count);
        for (Buffer<R>& state : states_) state.resize(count);
        for (std::size_t p = 0; p < params_.size(); ++p)
            if (operands_[p].step != 0) params_[p].resize(count);
        for (Buffer<R>& arrived : arrived_) arrived.resize(count);
    }

    const std::vector<Operand<R>>& operands_;
    std::vector<Buffer<R>>& homes_;
    std::vector<Buffer<R>> states_, params_, arrived_;      // by place; arrived_ is 0 between steps
    Buffer<int32_t> neurons_, heard_;
    Buffer<uint16_t> idle_;
    std::vector<int32_t> places_;                           // of each neuron
    int32_t first_ = 0;
    bool active_ = false;
};

}  // namespace spikeflow
