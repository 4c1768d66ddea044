#include "step_loop.hpp"

#if defined(SPIKEFLOW_X86) && defined(__linux__)
#include "kernels.hpp"
#include "loop_body.hpp"
#endif

namespace spikeflow {

#if defined(SPIKEFLOW_X86) && defined(__linux__)
namespace {

// What the code reads.
struct Call {
    float* const* places;
    int64_t whole;                                 // bytes of the neurons that fill vectors
    int64_t tail;                                  // a bit for each neuron that is left
    const float* least;
};

class Compiler : private LoopBody {
public:
    Compiler(const LoopText& text, const Sinks& sinks) : LoopBody(text, kLeast), sinks_(sinks) {}

    std::vector<uint8_t> compile() {
        for (const Gpr r : kKept) a_.push(r);
        a_.load(r11, rdi, offsetof(Call, places));
        a_.load(rsi, rdi, offsetof(Call, whole));
        a_.load(rax, rdi, offsetof(Call, least));
        a_.bytes({0x31, 0xC9});                                         // rcx <- 0
        a_.vector(vbroadcastss, kLeast, 0, {Place::Kind::memory, rax});
        begin();
        const std::size_t loop = a_.here();
        a_.bytes({0x48, 0x39, 0xF1});                                   // cmp rcx, rsi
        const std::size_t out = a_.jump({0x0F, 0x83});                  // jae
        body();
        a_.bytes({0x48, 0x83, 0xC1, 0x40});                             // add rcx, 64
        a_.jump_back(loop);
        a_.land(out);
        a_.load(rax, rdi, offsetof(Call, tail));
        a_.bytes({0x48, 0x85, 0xC0});                                   // test rax, rax
        const std::size_t done = a_.jump({0x0F, 0x84});                 // jz
        a_.to_mask(kLaneMask);
        masked_ = true;
        body();
        a_.land(done);
        a_.bytes({0xC5, 0xF8, 0x77});                                   // vzeroupper
        for (auto r = std::rbegin(kKept); r != std::rend(kKept); ++r) a_.pop(*r);
        a_.bytes({0xC3});
        return a_.finish(pool_);
    }

private:
    // A result may go to where a state was read: of that only the output, which is written first, may still be made.
    void body() {
        operations();
        write(value(text_.output, kOther), text_.next.size());
        for (std::size_t i = 0; i < text_.next.size(); ++i) write(value(text_.next[i], kOther), i);
    }
    void write(int from, std::size_t sink) {
        if (sink < sinks_.carried) {
            const int mask = remember(kNone);
            a_.vector(vandps, kFirst, kMagnitude, vector_place(from));
            a_.vector(vcmpps, mask, kFirst, vector_place(kLeast), kLess);
            a_.vector(vblendmps, kSecond, from, vector_place(kZero), -1, {mask});
            from = kSecond;
        }
        store(sinks_.first + sink, from);
    }

    Sinks sinks_;
};

}  // namespace

std::shared_ptr<const StepLoop> StepLoop::make(LoopText text, const Sinks& sinks) {
    // no end of a step looks at them once more
    text.inputs.clear();
    text.states.clear();
    const bool simple = std::all_of(text.code.begin(), text.code.end(), [](const auto& i) { return takes(i.op); });
    if (best_isa() != Isa::avx512 || !simple) return nullptr;
    auto code = MachineCode::make(Compiler(text, sinks).compile());
    return code == nullptr ? nullptr : std::shared_ptr<const StepLoop>(new StepLoop(std::move(code)));
}

void StepLoop::run(float* const* places, int32_t n, float least) const {
    const int32_t rest = n % Loop::kLanes;
    Call call{places, (n - rest) * int64_t{4}, (int64_t{1} << rest) - 1, &least};
    code_->run(&call);
}

#else

std::shared_ptr<const StepLoop> StepLoop::make(LoopText, const Sinks&) { return nullptr; }
void StepLoop::run(float* const*, int32_t, float) const {}

#endif

}  // namespace spikeflow
