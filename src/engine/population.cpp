#include "population.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "gathered.hpp"
#include "population_node.hpp"

namespace spikeflow {
namespace {

template <class V, class R>
class PopulationRunner final : public Runner<V> {
public:
    PopulationRunner(const PopulationNode<V, R>& node, const Context<V>& context)
        : node_(node), layout_(node.layout), context_(context), first_(context.share.first_block(layout_)),
          last_(context.share.last_block(layout_)), size_(size_of_share()), kernels_(kernels<R>(context.isa)),
          value_kernels_(kernels<V>(context.isa)), casts_(cast_kernels(context.isa)),
          frame_(node.program.frame(node.layout.block)), zero_(static_cast<std::size_t>(node.layout.block), R{0}),
          arrived_(static_cast<std::size_t>(node.layout.block) * node.ports), values_(static_cast<std::size_t>(node.layout.block)),
          marks_(static_cast<std::size_t>(node.layout.block), Word<R>{0}),
          gathered_(node.params, states_, node.ports), single_(node.ports == 1 && node.program.states() == 1 && node.program.narrows() == 0 && node.divided.none()) {
        for (int32_t s = 0; s < node.program.states(); ++s) states_.emplace_back(static_cast<std::size_t>(layout_.size));
        resting_.assign(static_cast<std::size_t>(layout_.blocks), 0);
        awake_.assign(static_cast<std::size_t>(layout_.blocks), ~uint32_t{0});
    }

    void reset() override {
        for (std::size_t s = 0; s < states_.size(); ++s) {
            const Operand<R>& from = node_.initial[s];
            for (int32_t b = first_; b < last_; ++b)      // memory of others' blocks is never touched
                std::copy_n(from.values.data() + offset(b, from.step), layout_.length(b), states_[s].data() + layout_.first(b));
        }
        std::fill(resting_.begin(), resting_.end(), uint8_t{0});
        std::fill(awake_.begin(), awake_.end(), ~uint32_t{0});
        gathered_.forget();
        sparse_ = 0;
    }

    std::size_t memories() const override { return states_.size(); }
    void save(std::size_t state, int64_t, std::span<Stored<V>> to) const override {
        check_size(to.size());
        if (layout_.permuted) return layout_.to_logical(states_[state].data(), to.data());
        // then logical and physical order are one
        const auto from = states_[state].begin() + layout_.first(first_);
        std::copy(from, from + size_, to.begin() + layout_.first(first_));
        gathered_.tell(state, to);
    }
    void load(std::size_t state, int64_t, std::span<const Stored<V>> from) override {
        check_size(from.size());
        layout_.to_physical(from.data(), states_[state].data());
    }

    int64_t unbounded(std::size_t state) const override {
        int64_t count = 0;
        if constexpr (std::is_floating_point_v<R>)
            for (int32_t i = layout_.first(first_); i < layout_.first(first_) + size_; ++i)
                count += !(std::abs(gathered_.state(state, i)) <= std::numeric_limits<R>::max());
        return count;
    }

    void pick(std::size_t state, std::span<const int32_t> neurons, std::span<Stored<V>> to) const override {
        const int32_t first = layout_.first(first_), last = first + size_;
        for (std::size_t k = 0; k < neurons.size(); ++k) {
            const int32_t at = layout_.physical(neurons[k]);
            if (at >= first && at < last) to[k] = static_cast<Stored<V>>(gathered_.state(state, at));
        }
    }

    void open(Step<V>& step) override {
        for (Port<V>& port : step.ports) port.prepare();
    }

    void step(Step<V>& step) override {
        if (step.time < node_.start) {
            step.counters.idle += size_;
            for (int32_t b = first_; b < last_; ++b) node_.divided.rest(b, false, step.counters.parts);
            return step.out.clear();
        }
        if (context_.share.count == 1) open(step);
        dense_ = !node_.program.spikes();
        whole_ = !dense_ && step.out.whole;
        events_ = dense_ || whole_ ? nullptr : &step.out.write_events();
        if (dense_) step.out.write_dense();
        if (whole_) step.out.open_dense();
        step.counters.updates += size_;
        step.counters.narrowed.resize(node_.program.narrows());
        node_.divided.open(step.counters.parts, node_.program.narrows());
        if (gathered_.active()) return run_gathered(step);
        const int64_t idle = step.counters.idle;
        vectors_ = 0;
        for (int32_t b = first_; b < last_; ++b) run_block(b, step);
        gather(size_ - (step.counters.idle - idle));
        if (events_ != nullptr && layout_.permuted) context_.scratch.collect(layout_.size, events_->index);
    }

private:
    int32_t size_of_share() const { return std::min(layout_.size, layout_.first(last_)) - layout_.first(first_); }
    void check_size(std::size_t count) const {
        if (count != static_cast<std::size_t>(layout_.size)) throw Error(Fault::simulation, node_.name, "a state of another size");
    }
    static std::size_t offset(int32_t b, int32_t step) { return static_cast<std::size_t>(b) * static_cast<std::size_t>(step); }

    void run_block(int32_t b, Step<V>& step) {
        const int32_t n = layout_.length(b);
        const auto at = static_cast<std::size_t>(b);
        bool silent = true;
        for (std::size_t p = 0; p < step.ports.size(); ++p) silent &= silent_port(step.ports[p], b);
        if (silent && resting_[at]) {
            if (whole_) step.out.clear_blocks(b, b + 1);
            step.counters.skipped += n;
            step.counters.idle += n;
            return node_.divided.rest(b, true, step.counters.parts);
        }
        const Settled settled = looped() ? run_loop(b, n, step) : single_ ? run_single(b, n, step) : run_marked(b, n, step);
        step.counters.idle += settled.idle;
        resting_[at] = silent && !settled.changed;
    }

    bool looped() const { return node_.loop != nullptr && context_.isa == Isa::avx512; }

    // Of a block some of whose neurons are awake the vectors where they lie, and those where something arrives.
    Settled run_loop(int32_t b, int32_t n, Step<V>& step) {
        uint32_t& awake = awake_[static_cast<std::size_t>(b)];
        uint32_t vectors = dense_ ? ~uint32_t{0} : awake;
        for (std::size_t p = 0; p < step.ports.size(); ++p)
            if (const R* arrived = arrive(p, step.ports[p], b, n); arrived != nullptr && vectors != ~uint32_t{0}) vectors |= heard(arrived, n);
        place_operands(b);
        if constexpr (std::is_same_v<R, float>) {
            const Loop::Outcome done = node_.loop->run(frame_.places.data(), n, context_.scratch.masks, vectors);
            vectors_ += std::popcount(vectors & whole_vectors(n));
            // all awake is said of all places, whatever the block's length
            awake = done.awake == whole_vectors(n) ? ~uint32_t{0} : done.awake;
            hand_on(b, n, static_cast<int32_t>(done.emitted), step);
            return {static_cast<int32_t>(done.idle), done.changed || done.emitted != 0};
        } else {
            return {};
        }
    }
    static uint32_t whole_vectors(int32_t n) { return static_cast<uint32_t>((uint64_t{1} << (n / Loop::kLanes)) - 1); }

    // Whether few neurons are awake and lie among many others has to be so for a while.
    void gather(int64_t awake) {
        const bool few = looped() && !layout_.permuted && !dense_ && vectors_ >= kFewVectors && awake * 4 < vectors_ * Loop::kLanes;
        sparse_ = few ? sparse_ + 1 : 0;
        if (sparse_ < kPatience) return;
        gathered_.begin(layout_.first(first_), size_);
        for (int32_t b = first_; b < last_; ++b)
            for (int32_t i = 0; i < layout_.length(b) && !resting_[static_cast<std::size_t>(b)]; ++i)
                if (i / Loop::kLanes == layout_.length(b) / Loop::kLanes || ((awake_[static_cast<std::size_t>(b)] >> (i / Loop::kLanes)) & 1) != 0)
                    gathered_.wake(layout_.first(b) + i);
    }

    // Back to blocks, of which none is known to rest.
    void scatter() {
        std::fill(resting_.begin(), resting_.end(), uint8_t{0});
        std::fill(awake_.begin(), awake_.end(), uint32_t{0});
        for (int32_t k = 0; k < gathered_.size(); ++k)
            awake_[static_cast<std::size_t>(gathered_.neuron(k) / kBlock)] |= uint32_t{1} << (gathered_.neuron(k) % kBlock / Loop::kLanes);
        gathered_.end();
        sparse_ = 0;
    }

    void run_gathered(Step<V>& step) {
        for (int32_t b = first_; b < last_; ++b)
            for (std::size_t p = 0; p < step.ports.size(); ++p)
                if (!silent_port(step.ports[p], b)) hear(p, step.ports[p], b);
        if constexpr (std::is_same_v<R, float>) {
            int64_t resting = 0;
            fired_.clear();
            for (int32_t first = 0; first < gathered_.size(); first += kBlock) {
                const int32_t n = std::min(kBlock, gathered_.size() - first);
                gathered_.put(node_.program, frame_, first);
                const Loop::Outcome done = node_.loop->run(frame_.places.data(), n, context_.scratch.masks, ~uint32_t{0}, gathered_.idle(first));
                resting += done.idle;
                if (done.emitted != 0)
                    for (const int32_t place : context_.scratch.masked(n)) fired_.push(gathered_.neuron(first + place));
            }
            step.counters.skipped += size_ - gathered_.size();
            step.counters.idle += size_ - gathered_.size() + resting;
            step.counters.spikes += static_cast<int64_t>(fired_.size());
            std::sort(fired_.begin(), fired_.end());
            for (const int32_t neuron : fired_) events_->index.push(neuron);
            gathered_.silence();
            if (resting * 4 > gathered_.size()) gathered_.rest();
            if (gathered_.size() > size_ / 2) scatter();
        }
    }

    void hear(std::size_t p, Port<V>& port, int32_t b) {
        const int32_t n = layout_.length(b);
        const R* const arrived = arrive(p, port, b, n);
        if (arrived == nullptr || kernels_.nonzero(arrived, n, context_.scratch.masks) == 0) return;
        for (const int32_t place : context_.scratch.masked(n)) gathered_.hear(p, layout_.first(b) + place, arrived[place]);
    }

    // The vectors of a block that hold a value other than 0.
    uint32_t heard(const R* arrived, int32_t n) {
        uint64_t* const masks = context_.scratch.masks;
        uint32_t vectors = 0;
        if (kernels_.nonzero(arrived, n, masks) == 0) return 0;
        for (int32_t w = 0; w * 64 < n; ++w)
            for (int32_t v = 0; masks[w] != 0 && v < 4; ++v)
                vectors |= static_cast<uint32_t>(((masks[w] >> (16 * v)) & 0xFFFF) != 0) << (4 * w + v);
        return vectors;
    }

    // One port, one state, and nothing is narrowed: the last loop counts what is idle.
    Settled run_single(int32_t b, int32_t n, Step<V>& step) {
        arrive(0, step.ports[0], b, n);
        place_operands(b);
        const Program<R>& program = node_.program;
        R* const state = states_[0].data() + layout_.first(b);
        const R* const arrived = frame_.places[program.input_place(0)];
        if (const auto& whole = program.integration()) {
            const R* const decay = whole->decay ? frame_.places[*whole->decay] : nullptr;
            Settled settled = kernels_.integrate(state, program.output(frame_), decay, arrived, frame_.places[whole->threshold], n);
            settled.changed |= emit(b, n, step) != 0;
            return settled;
        }
        program.run(frame_, kernels_, n, {step.counters.narrowed, marks_.data()});
        const bool emitted = emit(b, n, step) != 0;      // before the state, which may be the output, is written
        Settled settled = kernels_.settle_single(state, program.next_state(frame_, 0), arrived, program.output(frame_), n);
        settled.changed |= emitted;
        return settled;
    }

    Settled run_marked(int32_t b, int32_t n, Step<V>& step) {
        std::fill_n(marks_.data(), n, Word<R>{0});
        for (std::size_t p = 0; p < step.ports.size(); ++p)
            if (const R* arrived = arrive(p, step.ports[p], b, n)) kernels_.mark_nonzero(marks_.data(), arrived, n);
        place_operands(b);
        bool changed = node_.program.run(frame_, kernels_, n, {step.counters.narrowed, marks_.data()});
        if (changed && !node_.divided.none()) narrow_parts(b, n, step);
        if (emit(b, n, step) != 0) {
            kernels_.mark_nonzero(marks_.data(), node_.program.output(frame_), n);
            changed = true;
        }
        for (std::size_t s = 0; s < states_.size(); ++s)
            changed |= kernels_.settle(states_[s].data() + layout_.first(b), node_.program.next_state(frame_, s), marks_.data(), n);
        node_.divided.ran(b, marks_.data(), kernels_, step.counters.parts);
        return {kernels_.unmarked(marks_.data(), n), changed};
    }

    // Something was narrowed, which is rare: each part runs alone, to count what is its own; then all again, for the registers.
    void narrow_parts(int32_t b, int32_t n, Step<V>& step) {
        const Program<R>& program = node_.program;
        std::vector<R*> places = frame_.places;
        std::vector<std::array<int64_t, 2>> spare(program.narrows());
        Buffer<Word<R>> marks(static_cast<std::size_t>(n), Word<R>{0});
        for (const DividedNeurons::Run& run : node_.divided.of(b)) {
            const auto moved = [&](std::size_t place) { frame_.places[place] = places[place] + run.first; };
            for (std::size_t p = 0; p < node_.ports; ++p) moved(program.input_place(static_cast<int32_t>(p)));
            for (int32_t p = 0; p < program.params(); ++p) moved(program.param_place(p));
            for (int32_t s = 0; s < program.states(); ++s) moved(program.state_place(s));
            auto& narrowed = step.counters.parts[static_cast<std::size_t>(run.part)].narrowed;
            program.run(frame_, kernels_, run.length, {narrowed, marks.data()});
        }
        frame_.places = std::move(places);
        program.run(frame_, kernels_, n, {spare, marks.data()});
    }

    bool silent_port(const Port<V>& port, int32_t b) const {
        for (const Slot<V>* term : port.terms)
            if (!term->silent() && (term->active(b) || term->bias(b) != nullptr)) return false;
        return true;
    }

    void place_operands(int32_t b) {
        const Program<R>& program = node_.program;
        for (int32_t p = 0; p < program.params(); ++p) {
            const Operand<R>& from = node_.params[static_cast<std::size_t>(p)];
            // operands are only read; the table of places is not const because registers are written
            frame_.places[program.param_place(p)] = const_cast<R*>(from.values.data() + offset(b, from.step));
        }
        for (int32_t s = 0; s < program.states(); ++s)
            frame_.places[program.state_place(s)] = states_[static_cast<std::size_t>(s)].data() + layout_.first(b);
    }

    // The sum of a port's terms, left to right; where one array holds it already, that array. Null where it is 0.
    const R* arrive(std::size_t p, Port<V>& port, int32_t b, int32_t n) {
        const V* sum = nullptr;
        V* own = values_.data();
        for (Slot<V>* term : port.terms) {
            if (term->silent()) continue;
            const V* bias = term->bias(b);
            const V* values = term->active(b) ? term->block(b) : nullptr;
            if (values == nullptr && bias == nullptr) continue;
            if (sum == nullptr && values != nullptr && bias != nullptr) {
                value_kernels_.add(own, values, bias, n);
                sum = own;
            } else if (sum == nullptr) {
                sum = values != nullptr ? values : bias;
            } else if (values != nullptr && bias != nullptr) {
                value_kernels_.add_biased(own, sum, values, bias, n);
                sum = own;
            } else {
                value_kernels_.add(own, sum, values != nullptr ? values : bias, n);
                sum = own;
            }
        }
        const R* arrived = as_register(p, sum, own, n);
        frame_.places[node_.program.input_place(static_cast<int32_t>(p))] = const_cast<R*>(arrived);
        return sum != nullptr ? arrived : nullptr;
    }

    const R* as_register(std::size_t p, const V* sum, const V* own, int32_t n) {
        if (sum == nullptr) return zero_.data();
        R* kept = arrived_.data() + p * static_cast<std::size_t>(layout_.block);
        if constexpr (std::is_same_v<V, R>) {
            if (sum != own || node_.ports == 1) return sum;
            std::copy_n(sum, n, kept);       // the next port needs the space
        } else {
            casts_.widen(kept, sum, n);
        }
        return kept;
    }

    // Hand on the output of the block; returns how many values are not 0.
    int32_t emit(int32_t b, int32_t n, Step<V>& step) {
        const int32_t count = kernels_.nonzero(node_.program.output(frame_), n, context_.scratch.masks);
        hand_on(b, n, count, step);
        return count;
    }

    // The same, of so many values that are not 0, for which bits are set in the masks.
    void hand_on(int32_t b, int32_t n, int32_t count, Step<V>& step) {
        Scratch<V>& scratch = context_.scratch;
        if (count == 0 && whole_) step.out.clear_blocks(b, b + 1);
        if (count == 0) return;
        step.counters.spikes += count;
        node_.divided.emitted(b, scratch.masks, step.counters.parts);
        if (dense_) {
            write_block(const_cast<V*>(step.out.block(b)), node_.program.output(frame_), n);
            step.out.touch(b);
            return;
        }
        if (whole_) {
            value_kernels_.spread(const_cast<V*>(step.out.block(b)), scratch.masks, n);
            step.out.touch(b);
            return;
        }
        if (layout_.permuted) {
            for (const int32_t place : scratch.masked(n)) scratch.mark(layout_.logical(b, place));
        } else {
            scratch.append(n, layout_.first(b), events_->index);
        }
    }

    // -0 does not leave a population: x + 0 is +0 for it and changes nothing else.
    void write_block(V* to, const R* output, int32_t n) const {
        if constexpr (std::is_same_v<V, R>) value_kernels_.add(to, output, zero_.data(), n);
        else casts_.cut(to, output, n);
    }

    const PopulationNode<V, R>& node_;
    const Layout& layout_;
    Context<V> context_;
    int32_t first_, last_, size_;           // blocks of this share, and its neurons
    static constexpr int64_t kFewVectors = 64;      // fewer are quicker run where they lie
    static constexpr int32_t kPatience = 16;        // steps
    const Kernels<R>& kernels_;
    const Kernels<V>& value_kernels_;
    const CastKernels& casts_;
    typename Program<R>::Frame frame_;
    Buffer<R> zero_, arrived_;
    Buffer<V> values_;
    Buffer<Word<R>> marks_;                 // of the block that runs: neurons in which something happens
    std::vector<Buffer<R>> states_;
    Gathered<R> gathered_;                  // where few neurons are awake, these
    Buffer<int32_t> fired_;                 // of them
    int64_t vectors_ = 0;                   // that ran in the last step, by blocks
    int32_t sparse_ = 0;                    // steps in which few neurons were awake among many
    bool single_;                           // see run_single
    std::vector<uint8_t> resting_;
    std::vector<uint32_t> awake_;           // vectors of each block in which something happened in its last step
    Events<V>* events_ = nullptr;
    bool dense_ = false, whole_ = false;    // how the step's output is written, if not as spikes: as values, as a dense 0 or 1
};

}  // namespace

template <class V, class R>
std::unique_ptr<Runner<V>> PopulationNode<V, R>::runner(const Context<V>& context) const {
    return std::make_unique<PopulationRunner<V, R>>(*this, context);
}

template <class V, class R>
std::unique_ptr<Node<V>> make_population(const std::string& name, const Shape& shape, const PopulationText<R>& text) {
    return std::make_unique<PopulationNode<V, R>>(name, Layout(shape, name), text);
}

template std::unique_ptr<Node<float>> make_population<float, float>(const std::string&, const Shape&, const PopulationText<float>&);
template std::unique_ptr<Node<int32_t>> make_population<int32_t, int32_t>(const std::string&, const Shape&, const PopulationText<int32_t>&);
template std::unique_ptr<Node<int32_t>> make_population<int32_t, int64_t>(const std::string&, const Shape&, const PopulationText<int64_t>&);
template std::unique_ptr<Node<int64_t>> make_population<int64_t, int64_t>(const std::string&, const Shape&, const PopulationText<int64_t>&);

}  // namespace spikeflow
