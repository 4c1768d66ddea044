#include "program.hpp"

#include <algorithm>

#include "error.hpp"
#include "fixed.hpp"

namespace spikeflow {
namespace {

constexpr std::size_t kMaxInstructions = 4096;

// Of one that a program holds; what the compiler makes is not asked.
int arity(Op op) { return kOperations[static_cast<int>(op)].arguments; }

bool within(int64_t x, int64_t low, int64_t high) { return low <= x && x <= high; }

template <class R>
void check_instruction(const std::string& node, const ProgramText& text, std::size_t index) {
    const Instruction& i = text.code[index];
    require(within(i.op, 0, kOps - 1), node, "an unknown operation");
    const Op op = static_cast<Op>(i.op);
    require(kOperations[i.op].legal<R>(), node, "an operation of the other number type");
    const int64_t args[] = {i.a, i.b, i.c};
    for (int k = 0; k < arity(op); ++k)
        require(within(args[k], 0, static_cast<int64_t>(index) - 1), node, "an argument is not an earlier register");
    const int64_t names = op == Op::param ? text.params : op == Op::state ? text.states
                        : op == Op::input ? text.inputs : op == Op::table ? static_cast<int64_t>(text.tables.size()) : 1;
    if (op == Op::param || op == Op::state || op == Op::input || op == Op::table)
        require(within(i.name, 0, names - 1), node, "an unknown name in the program");
    if (op == Op::shift) require(within(i.value, -62, 62), node, "a shift by more than 62");
    if (op == Op::mul) require(within(i.value, 0, 62) && (i.value == 0 || !std::is_floating_point_v<R>), node, "a product shifted out of range");
    if (op == Op::narrow) require(within(i.value, 2, 62) && within(i.mode, 0, 3), node, "narrowing to an unknown width or by an unknown mode");
    if (op == Op::shift || op == Op::mul) require(within(i.mode, 0, 2), node, "an unknown rounding");
}

}  // namespace

template <class R>
Program<R>::Program(const std::string& node, const ProgramText& text) {
    check(node, text);
    translate(text);
    if (text.once) mark_once();
    if constexpr (std::is_floating_point_v<R>) fuse(text);
    const auto rest = std::stable_partition(code_.begin(), code_.end(), [](const Compiled& i) { return i.once; });
    once_ = static_cast<std::size_t>(rest - code_.begin());
    separate_states();
    share_registers();
    if constexpr (std::is_floating_point_v<R>) find_integration();
    count_places();
    carried_ = static_cast<std::size_t>(text.carried);
    if constexpr (std::is_same_v<R, float>)
        if (text.once) step_loop_ = StepLoop::make(loop_text({}), {sink_place(0), carried_});
}

template <class R>
void Program<R>::check(const std::string& node, const ProgramText& text) const {
    const auto count = static_cast<int64_t>(text.code.size());
    require(within(count, 1, kMaxInstructions), node, "a program of 0 or more than 4096 instructions");
    require(text.constants.size() == text.code.size(), node, "constants and instructions differ in number");
    for (const int64_t n : {text.inputs, text.states, text.params})
        require(within(n, 0, kMaxInstructions), node, "too many inputs, states or params");
    require(within(text.carried, 0, text.states), node, "more states are carried than there are");
    for (std::size_t i = 0; i < text.code.size(); ++i) check_instruction<R>(node, text, i);
    require(within(text.output, 0, count - 1), node, "the output is not a register");
    require(static_cast<int64_t>(text.next_states.size()) == text.states, node, "next states and states differ in number");
    for (const int64_t r : text.next_states) require(within(r, 0, count - 1), node, "a next state is not a register");
    for (const auto& table : text.tables) require(!table.empty(), node, "an empty table");
}

// Places: registers, then constants, inputs, params, states.
template <class R>
void Program<R>::translate(const ProgramText& text) {
    registers_ = text.code.size();
    first_constant_ = registers_;
    const auto is_constant = [](const Instruction& i) { return static_cast<Op>(i.op) == Op::constant; };
    first_input_ = first_constant_ + static_cast<std::size_t>(std::count_if(text.code.begin(), text.code.end(), is_constant));
    first_param_ = first_input_ + static_cast<std::size_t>(text.inputs);
    first_state_ = first_param_ + static_cast<std::size_t>(text.params);
    states_ = static_cast<std::size_t>(text.states);
    tables_ = text.tables;
    std::vector<std::size_t> place(text.code.size());
    for (std::size_t r = 0; r < text.code.size(); ++r) {
        const Instruction& i = text.code[r];
        const Op op = static_cast<Op>(i.op);
        const auto name = static_cast<std::size_t>(i.name);
        const auto arg = [&](int64_t x, int k) { return place[static_cast<std::size_t>(k < arity(op) ? x : i.a)]; };
        place[r] = r;
        if (op == Op::constant) {
            place[r] = first_constant_ + constants_.size();
            constants_.push_back(std::is_floating_point_v<R> ? static_cast<R>(text.constants[r]) : static_cast<R>(i.value));
        } else if (op == Op::input) place[r] = first_input_ + name;
        else if (op == Op::param) place[r] = first_param_ + name;
        else if (op == Op::state) place[r] = first_state_ + name;
        else if (op == Op::stop_gradient) place[r] = arg(i.a, 0);
        else {
            Compiled next{op, r, arg(i.a, 0), arg(i.b, 1), arg(i.c, 2), {}, 0, -1, r, false};
            next.immediate.value = static_cast<int32_t>(i.value);
            next.immediate.mode = static_cast<int32_t>(i.mode);
            if (op == Op::narrow) next.counter = narrows_++;
            if (op == Op::table) next.table = static_cast<int32_t>(i.name);
            code_.push_back(next);
        }
    }
    output_ = place[static_cast<std::size_t>(text.output)];
    for (const int64_t r : text.next_states) next_.push_back(place[static_cast<std::size_t>(r)]);
    const auto is_output = [this](const Compiled& i) { return i.dst == output_; };
    const auto made_by = std::find_if(code_.begin(), code_.end(), is_output);
    spikes_ = made_by != code_.end() && made_by->op == Op::spike;
}

template <class R>
void Program<R>::mark_once() {
    std::vector<char> known(first_state_ + states_, 0);
    for (std::size_t p = first_constant_; p < first_state_; ++p) known[p] = p < first_input_ || p >= first_param_;
    for (Compiled& i : code_) known[i.dst] = i.once = known[i.a] && known[i.b] && known[i.c];
}

// A product or difference that is read once, by the next operation, needs no register of its own.
template <class R>
void Program<R>::fuse(const ProgramText& text) {
    std::vector<int> uses(text.code.size(), 0);
    std::vector<int> maker(text.code.size(), -1);
    const auto count = [&](std::size_t place) { if (place < registers_) ++uses[place]; };
    for (const Compiled& i : code_) {
        const std::size_t args[] = {i.a, i.b, i.c};
        for (int k = 0; k < arity(i.op); ++k) count(args[k]);
    }
    count(output_);
    for (const std::size_t r : next_) count(r);
    std::vector<char> gone(code_.size(), 0);
    for (std::size_t k = 0; k < code_.size(); ++k) {
        Compiled& i = code_[k];
        const auto single = [&](std::size_t place, Op op) {
            if (place >= registers_ || maker[place] < 0 || uses[place] != 1) return false;
            const Compiled& made = code_[static_cast<std::size_t>(maker[place])];
            return made.op == op && made.once == i.once;
        };
        const auto take = [&](std::size_t place, Op op, std::size_t other) {
            const auto from = static_cast<std::size_t>(maker[place]);
            gone[from] = 1;
            i.op = op;
            i.a = code_[from].a;
            i.b = code_[from].b;
            i.c = other;
        };
        // a + b and b + a have the same bits, and so have products
        const bool either = i.op == Op::add || i.op == Op::mul;
        if (i.op == Op::sub && single(i.b, Op::mul)) take(i.b, Op::sub_mul, i.a);
        else if (i.op == Op::spike && single(i.a, Op::sub)) take(i.a, Op::sub_spike, code_[static_cast<std::size_t>(maker[i.a])].a);
        else for (const Pair& pair : kPairs) {
            if (i.op != pair.second) continue;
            if (single(i.a, pair.first)) { take(i.a, pair.op, i.b); break; }
            if (either && single(i.b, pair.first)) { take(i.b, pair.op, i.a); break; }
        }
        maker[i.dst] = static_cast<int>(k);
    }
    std::vector<Compiled> kept;
    for (std::size_t k = 0; k < code_.size(); ++k) if (!gone[k]) kept.push_back(code_[k]);
    code_ = std::move(kept);
}

// States are written one after the other at the end: a next state that is another state's old value is copied first.
template <class R>
void Program<R>::separate_states() {
    for (std::size_t s = 0; s < next_.size(); ++s) {
        if (next_[s] < first_state_ || next_[s] == first_state_ + s) continue;
        const std::size_t fresh = registers_++;
        const auto shifted = [fresh](std::size_t place) { return place >= fresh ? place + 1 : place; };
        for (Compiled& i : code_) i = {i.op, i.dst, shifted(i.a), shifted(i.b), shifted(i.c), i.immediate, i.counter, i.table, i.reg, i.once};
        for (std::size_t& r : next_) r = shifted(r);
        output_ = shifted(output_);
        for (std::size_t* first : {&first_constant_, &first_input_, &first_param_, &first_state_}) ++*first;
        code_.push_back({Op::copy, fresh, next_[s], next_[s], next_[s], {}, 0, -1, fresh, false});
        next_[s] = fresh;
    }
}

// Registers whose last reader has run are used again, which keeps the block in the first-level cache.
template <class R>
void Program<R>::share_registers() {
    std::vector<std::size_t> last(registers_, 0), buffer(registers_, SIZE_MAX), free;
    for (std::size_t k = 0; k < code_.size(); ++k)
        for (const std::size_t p : {code_[k].a, code_[k].b, code_[k].c})
            if (p < registers_) last[p] = k;
    const auto keep = [&](std::size_t p) { if (p < registers_) last[p] = SIZE_MAX; };
    keep(output_);
    for (const std::size_t p : next_) keep(p);
    for (std::size_t k = 0; k < once_; ++k) keep(code_[k].dst);    // what `prepare` leaves is read in every run
    std::size_t used = 0;
    const std::size_t old = registers_;
    for (std::size_t k = 0; k < code_.size(); ++k) {
        Compiled& i = code_[k];
        const std::size_t reg = i.dst;
        if (free.empty()) free.push_back(used++);
        buffer[reg] = free.back();
        free.pop_back();
        const std::size_t args[] = {i.a, i.b, i.c};
        for (int n = 0; n < 3; ++n) {
            const std::size_t p = args[n];
            const bool first_time = std::find(args, args + n, p) == args + n;
            if (p < old && p != reg && last[p] == k && first_time) free.push_back(buffer[p]);
        }
        if (last[reg] == 0 && reg != output_) free.push_back(buffer[reg]);      // nobody reads it
    }
    const auto moved = [&](std::size_t p) { return p < old ? (buffer[p] == SIZE_MAX ? 0 : buffer[p]) : p - old + used; };
    for (Compiled& i : code_) i = {i.op, buffer[i.dst], moved(i.a), moved(i.b), moved(i.c), i.immediate, i.counter, i.table, i.reg, i.once};
    output_ = moved(output_);
    for (std::size_t& p : next_) p = moved(p);
    for (std::size_t* first : {&first_constant_, &first_input_, &first_param_, &first_state_}) *first = *first - old + used;
    registers_ = used;
}

template <class R>
void Program<R>::find_integration() {
    if (code_.size() != 3 || states_ != 1 || inputs() != 1) return;
    const Compiled &sum = code_[0], &spike = code_[1], &left = code_[2];
    const std::size_t state = first_state_, input = first_input_;
    const auto pair = [](const Compiled& i, std::size_t x, std::size_t y) { return (i.a == x && i.b == y) || (i.a == y && i.b == x); };
    const auto given = [&](std::size_t place) { return place >= first_constant_ && place != state && place != input; };
    const bool fires = spike.op == Op::sub_spike && spike.a == sum.dst && given(spike.b) && output_ == spike.dst;
    const bool subtracts = left.op == Op::sub_mul && left.c == sum.dst && pair(left, spike.b, spike.dst) && next_[0] == left.dst;
    if (!fires || !subtracts) return;
    if (sum.op == Op::add && pair(sum, state, input)) integration_ = {input, spike.b, {}};
    const std::size_t decay = sum.a == state ? sum.b : sum.a;
    if (sum.op == Op::mul_add && pair(sum, state, decay) && given(decay) && sum.c == input) integration_ = {input, spike.b, decay};
}

template <class R>
LoopText Program<R>::loop_text(std::span<const int32_t> uniform) const {
    LoopText text;
    for (std::size_t k = 0; k < once_; ++k) text.before.push_back(code_[k].dst);
    for (std::size_t k = once_; k < code_.size(); ++k) text.code.push_back({code_[k].op, code_[k].dst, code_[k].a, code_[k].b, code_[k].c});
    text.registers = registers_;
    text.places = first_state_ + states_;
    text.output = output_;
    text.next = next_;
    text.stores_output = !spikes_;
    for (int32_t i = 0; i < inputs(); ++i) text.inputs.push_back(input_place(i));
    for (int32_t i = 0; i < states(); ++i) text.states.push_back(state_place(i));
    for (std::size_t i = 0; i < constants_.size(); ++i) text.uniform.push_back(first_constant_ + i);
    for (const int32_t i : uniform) text.uniform.push_back(param_place(i));
    return text;
}

template <class R>
void Program<R>::count_places() {
    std::vector<char> met(first_state_ + states_, 0);
    for (std::size_t k = once_; k < code_.size(); ++k)
        for (const std::size_t p : {code_[k].dst, code_[k].a, code_[k].b, code_[k].c}) met[p] = 1;
    places_ = static_cast<std::size_t>(std::count(met.begin(), met.end(), 1));
}

template <class R>
bool Program<R>::alone(std::size_t place) const {
    const auto made = [place](const Compiled& i) { return i.dst == place; };
    const auto rest = code_.begin() + static_cast<std::ptrdiff_t>(once_);
    const auto ends = std::count(next_.begin(), next_.end(), place) + (place == output_);
    return place < registers_ && ends == 1 && std::any_of(rest, code_.end(), made) && std::none_of(code_.begin(), rest, made);
}

template <class R>
typename Program<R>::Frame Program<R>::frame(int32_t block) const {
    Frame frame;
    const auto width = static_cast<std::size_t>(block);
    const std::size_t kept = registers_ + constants_.size();
    frame.memory = Buffer<R>(std::max<std::size_t>(1, kept) * width, R{0});
    frame.places.assign(sink_place(states_) + 1, nullptr);
    for (std::size_t p = 0; p < kept; ++p) frame.places[p] = frame.memory.data() + p * width;
    for (std::size_t c = 0; c < constants_.size(); ++c)
        std::fill_n(frame.places[first_constant_ + c], width, constants_[c]);
    return frame;
}

template <class R>
bool Program<R>::run_from(std::size_t first, std::size_t last, Frame& frame, const Kernels<R>& kernels, int32_t n, const Narrowed& narrowed) const {
    bool any = false;
    R* const* at = frame.places.data();
    for (std::size_t k = first; k < last; ++k) {
        const Compiled& i = code_[k];
        const Operation<R> operation = kernels.operations[static_cast<int>(i.op)];
        if (i.op == Op::table) {
            const auto& table = tables_[static_cast<std::size_t>(i.table)];
            Immediate with = i.immediate;
            with.table = table.data();
            with.table_last = static_cast<int64_t>(table.size()) - 1;
            operation(at[i.dst], at[i.a], at[i.b], at[i.c], n, with);
            continue;
        }
        const Clips clips = operation(at[i.dst], at[i.a], at[i.b], at[i.c], n, i.immediate);
        if (clips.low != 0 || clips.high != 0) {
            narrowed.counts[i.counter][0] += clips.low;
            narrowed.counts[i.counter][1] += clips.high;
            kernels.mark_different(narrowed.marks, at[i.dst], at[i.a], n);
            any = true;
        }
    }
    return any;
}

template class Program<float>;
template class Program<double>;
template class Program<int32_t>;
template class Program<int64_t>;

}  // namespace spikeflow
