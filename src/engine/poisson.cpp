#include "poisson.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "draw.hpp"

namespace spikeflow {
namespace {

constexpr uint64_t kDrive = (uint64_t{1} << 32) + 1;     // keeps its keys apart from those of rules
constexpr int32_t kFewThresholds = 48;                   // more are not all compared
constexpr float kMostWhole = 1 << 24;                    // of a weight that has to be an integer
constexpr uint32_t kMostlySilent = 0xE0000000u;          // the chance of no event above which spikes are listed

template <class V>
class PoissonNode final : public Node<V> {
public:
    PoissonNode(const std::string& name, const Shape& shape, const PoissonText& text)
        : Node<V>(name, Layout(shape, name), 0), thresholds_(text.thresholds.begin(), text.thresholds.end()),
          starts_(text.starts.begin(), text.starts.end()), table_(text.table.begin(), text.table.end()),
          seed_(static_cast<uint64_t>(text.seed)), number_(static_cast<uint64_t>(text.number)),
          weight_(weight_of(name, text.weight)), analog_(text.analog) {
        check();
        for (int32_t i = 0; i < this->layout.size && !uniform(); ++i)
            if (!thresholds_of(i).empty()) driven_.push_back(i);
        for (uint32_t high = 0; high < 256 && uniform(); ++high) guide_[high] = reached(thresholds_of(0), high << 24);
    }

    void check_source(std::size_t, const Layout&) const override {}
    std::unique_ptr<Runner<V>> runner(const Context<V>& context) const override {
        return std::make_unique<PoissonRunner>(*this, context);
    }
    bool repeats() const override { return false; }
    bool shares() const override { return !this->layout.permuted && filled(); }
    bool may_run_whole() const override { return true; }
    bool hands_on_sums() const override { return true; }
    int32_t shortest_delay() const override { return INT32_MAX - 1; }      // nothing arrives
    bool is_analog() const override { return analog_; }

private:
    // The weight as it is held; in a network of integers it has to be one.
    static V weight_of(const std::string& name, float weight) {
        const bool whole = std::abs(weight) <= kMostWhole && std::floor(weight) == weight;
        require(std::is_floating_point_v<V> || whole, name, "a weight that is no integer");
        return static_cast<V>(weight);
    }
    void check() const {
        require(starts_.size() >= 2 && starts_.front() == 0 && starts_.back() == static_cast<int64_t>(thresholds_.size()), this->name, "tables that are not where they should be");
        require(std::is_sorted(starts_.begin(), starts_.end()), this->name, "tables out of order");
        for (std::size_t k = 1; k < starts_.size(); ++k)
            require(std::is_sorted(thresholds_.begin() + starts_[k - 1], thresholds_.begin() + starts_[k]), this->name, "thresholds that fall");
        require(table_.size() == 1 || table_.size() == static_cast<std::size_t>(this->layout.size), this->name, "tables for another number of neurons");
        for (const int32_t table : table_) require(table >= 0 && static_cast<std::size_t>(table) + 1 < starts_.size(), this->name, "a table that does not exist");
    }
    bool uniform() const { return table_.size() == 1; }
    // Whether events are so many that all neurons are drawn into an array.
    bool filled() const { return uniform() && !thresholds_of(0).empty() && thresholds_of(0)[0] < kMostlySilent; }
    std::span<const uint32_t> thresholds_of(int32_t neuron) const {
        const auto table = static_cast<std::size_t>(table_[uniform() ? 0 : static_cast<std::size_t>(neuron)]);
        return std::span(thresholds_).subspan(static_cast<std::size_t>(starts_[table]), static_cast<std::size_t>(starts_[table + 1] - starts_[table]));
    }

    // How many of the rising thresholds a random number reaches.
    static int32_t reached(std::span<const uint32_t> thresholds, uint32_t u) {
        return static_cast<int32_t>(std::upper_bound(thresholds.begin(), thresholds.end(), u) - thresholds.begin());
    }

    class PoissonRunner final : public Runner<V> {
    public:
        PoissonRunner(const PoissonNode& node, const Context<V>& context)
            : node_(node), context_(context), draws_(draw_kernels(context.isa)), kernels_(kernels<V>(context.isa)) {}

        void open(Step<V>& step) override {
            if (context_.share.leads) step.out.open_dense();
        }

        void step(Step<V>& step) override {
            key_ = draw::key(node_.seed_, {node_.number_, kDrive, static_cast<uint64_t>(step.sample), static_cast<uint64_t>(step.time)});
            if (!node_.uniform()) listed(step);
            else if (node_.layout.permuted || !node_.filled()) scanned(step);
            else filled(step);
        }

    private:
        // Means of their own: each neuron that has one searches its own table.
        void listed(Step<V>& step) const {
            Events<V>& out = step.out.write_events();
            for (const int32_t i : node_.driven_) {
                const uint64_t word = draw::word(key_, static_cast<uint64_t>(i) / 2);
                push(out, i, reached(node_.thresholds_of(i), static_cast<uint32_t>(word >> (i & 1 ? 32 : 0))));
            }
            finish(out, step);
        }

        // One mean: the neurons are drawn block by block, those with events listed.
        void scanned(Step<V>& step) {
            Events<V>& out = step.out.write_events();
            for (int32_t first = 0; first < node_.layout.size; first += kBlock) {
                const int32_t n = draw_block(first);
                if (kernels<int32_t>(context_.isa).nonzero(counts_, n, context_.scratch.masks) == 0) continue;
                for (int32_t w = 0; w * 64 < n; ++w)
                    for (uint64_t word = context_.scratch.masks[w]; word != 0; word &= word - 1) {
                        const int32_t i = w * 64 + std::countr_zero(word);
                        push(out, first + i, counts_[i]);
                    }
            }
            finish(out, step);
        }

        // The same, as an array, of which every block is written.
        void filled(Step<V>& step) {
            const Share& share = context_.share;
            if (share.count == 1) open(step);
            V* const to = step.out.sums();
            for (int32_t b = share.first_block(node_.layout); b < share.last_block(node_.layout); ++b) {
                const int32_t first = node_.layout.first(b), n = draw_block(first);
                step.counters.spikes += kernels_.weigh(to + first, counts_, node_.weight_, n);
                step.out.touch(b);
            }
        }

        int32_t draw_block(int32_t first) {
            const auto thresholds = node_.thresholds_of(0);
            const int32_t n = std::min(kBlock, node_.layout.size - first);
            draws_.words(words_, key_, static_cast<uint64_t>(first) / 2, (n + 1) / 2);
            const auto count = static_cast<int32_t>(thresholds.size());
            if (count <= kFewThresholds) draws_.events(counts_, words_, (n + 63) / 64 * 64, thresholds.data(), count);
            else for (int32_t i = 0; i < n; ++i) {
                const auto u = static_cast<uint32_t>(words_[i / 2] >> (i & 1 ? 32 : 0));
                int32_t k = node_.guide_[u >> 24];
                while (k < count && u >= thresholds[static_cast<std::size_t>(k)]) ++k;
                counts_[i] = k;
            }
            return n;
        }

        void push(Events<V>& out, int32_t neuron, int32_t count) const {
            const V value = static_cast<V>(static_cast<V>(count) * node_.weight_);
            if (value == V{0}) return;
            out.index.push(neuron);
            out.value.push(value);
        }
        static void finish(Events<V>& out, Step<V>& step) {
            out.settle();
            step.counters.spikes += static_cast<int64_t>(out.size());
        }

        const PoissonNode& node_;
        Context<V> context_;
        const DrawKernels& draws_;
        const Kernels<V>& kernels_;
        uint64_t key_ = 0;
        alignas(64) uint64_t words_[kBlock / 2] = {};      // two neurons a word, the even one below
        alignas(64) int32_t counts_[kBlock] = {};
    };

    std::vector<uint32_t> thresholds_;
    std::vector<int32_t> starts_, table_;
    std::array<int32_t, 256> guide_{};         // by the high bits of a random number how many thresholds it reaches at least
    std::vector<int32_t> driven_;              // neurons that can have events, where means differ
    uint64_t seed_, number_;
    V weight_;
    bool analog_;
};

}  // namespace

template <class V>
std::unique_ptr<Node<V>> make_poisson(const std::string& name, const Shape& shape, const PoissonText& text) {
    return std::make_unique<PoissonNode<V>>(name, shape, text);
}

template std::unique_ptr<Node<float>> make_poisson<float>(const std::string&, const Shape&, const PoissonText&);
template std::unique_ptr<Node<int32_t>> make_poisson<int32_t>(const std::string&, const Shape&, const PoissonText&);
template std::unique_ptr<Node<int64_t>> make_poisson<int64_t>(const std::string&, const Shape&, const PoissonText&);

}  // namespace spikeflow
