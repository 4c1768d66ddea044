#include "product.hpp"

#include <atomic>

#include "active_rows.hpp"
#include "threads.hpp"

namespace spikeflow {
namespace {

using namespace active_rows;

constexpr int64_t kRows = 256;                      // of y that one piece of work sums
constexpr int64_t kCounted = 1 << 16;               // values in which one piece of work looks for zeros

// y, in pieces of kRows rows and a panel of columns.
void forward(const Product& size, const float* s, const PackedWeights& tables, const std::vector<Panel>& panels, float* y) {
    const int64_t chunks = blocks_of(size.rows, kRows), blocks = blocks_of(size.inputs, kBlock);
    const auto rows_of = [&](int64_t chunk) { return std::min(kRows, size.rows - chunk * kRows); };
    std::vector<Lists> lists(at(blocks * chunks));
    in_threads(chunks, size.threads, [&] {
        return [&, words = Buffer<uint64_t>()](int64_t chunk) mutable {
            const auto row = [&](int64_t r) { return s + (chunk * kRows + r) * size.inputs; };
            for (int64_t b = 0; b < blocks; ++b) {
                const int64_t first = b * kBlock, count = std::min(kBlock, size.inputs - first);
                lists[at(chunk * blocks + b)] = by_row(row, rows_of(chunk), first, count, static_cast<Isa>(size.isa), words);
            }
        };
    });
    in_threads(static_cast<int64_t>(panels.size()) * chunks, size.threads, [&] {
        return [&, sums = Buffer<float>(at(kRows * kPanel))](int64_t piece) mutable {
            const Panel& panel = panels[at(piece / chunks)];
            const int64_t chunk = piece % chunks;
            tables.sum(lists.data() + chunk * blocks, rows_of(chunk), panel, sums.data());
            for (int64_t r = 0; r < rows_of(chunk); ++r)
                std::copy_n(sums.data() + r * panel.width, panel.count, y + (chunk * kRows + r) * size.outputs + panel.first);
        };
    });
}

class ToWeight {
public:
    ToWeight(const Product& size, const float* s, const float* cotangent, float* to)
        : size_(size), s_(s), cotangent_(cotangent), to_(to), panels_(panels_of(size.outputs)),
          blocks_(blocks_of(size.rows, kBlock)), lists_(at(blocks_)) {
        // where panels are few, the sources of each are shared, too
        const auto panels = static_cast<int64_t>(panels_.size());
        const bool few = panels % size.threads != 0 && panels < 4 * size.threads;
        share_ = few ? blocks_of(blocks_of(size.inputs, size.threads), kTile) * kTile : size.inputs;
        shares_ = blocks_of(size.inputs, std::max<int64_t>(1, share_));
    }

    void run() {
        in_threads(blocks_, size_.threads, [this] {
            return [this, words = Buffer<uint64_t>()](int64_t block) mutable { list(block, words); };
        });
        in_threads(static_cast<int64_t>(panels_.size()) * shares_, size_.threads, [this] {
            return [this, table = Buffer<float>(at(kBlock * kPanel)), sums = Buffer<float>()](int64_t piece) mutable {
                const Panel& panel = panels_[at(piece / shares_)];
                sums.resize(at(share_ * panel.width));
                sum(panel, piece % shares_ * share_, table.data(), sums.data());
            };
        });
    }

private:
    void list(int64_t block, Buffer<uint64_t>& words) {
        const int64_t begin = block * kBlock, rows = std::min(kBlock, size_.rows - begin);
        lists_[at(block)] = by_source([&](int64_t r) { return s_ + (begin + r) * size_.inputs; }, rows, size_.inputs, static_cast<Isa>(size_.isa), words);
    }

    void sum(const Panel& panel, int64_t first, float* table, float* sums) {
        const RowKernels<float, float>& kernels = row_kernels<float, float>(static_cast<Isa>(size_.isa));
        const int64_t sources = std::min(share_, size_.inputs - first);
        std::fill_n(sums, sources * panel.width, 0.0f);
        for (int64_t b = 0; b < blocks_; ++b) {
            const int64_t rows = std::min(kBlock, size_.rows - b * kBlock);
            for (int64_t r = 0; r < rows; ++r) {
                std::copy_n(cotangent_ + (b * kBlock + r) * size_.outputs + panel.first, panel.count, table + r * panel.width);
                std::fill(table + r * panel.width + panel.count, table + (r + 1) * panel.width, 0.0f);
            }
            for (int64_t i = 0; i < sources; ++i)
                lists_[at(b)].add(kernels, first + i, table, panel.width, sums + i * panel.width);
        }
        transpose(sums, panel.width, sources, panel.count, to_ + panel.first * size_.inputs + first, size_.inputs);
    }

    const Product size_;
    const float *s_, *cotangent_;
    float* to_;
    std::vector<Panel> panels_;
    int64_t blocks_, share_ = 0, shares_ = 0;
    std::vector<Lists> lists_;
};

}  // namespace

int64_t active(const float* values, int64_t count, int32_t threads, int32_t isa) {
    std::atomic<int64_t> total{0};
    const Kernels<float>& kernel = kernels<float>(static_cast<Isa>(isa));
    in_threads(blocks_of(count, kCounted), threads, [&] {
        return [&, words = Buffer<uint64_t>(at(kCounted / 64))](int64_t piece) mutable {
            total += kernel.nonzero(values + piece * kCounted, static_cast<int32_t>(std::min(kCounted, count - piece * kCounted)), words.data());
        };
    });
    return total;
}

void product_forward(const Product& size, const float* s, const float* weight, const float* bias, float* y) {
    const std::vector<Panel> panels = panels_of(size.outputs);
    forward(size, s, PackedWeights(size, weight, bias, panels), panels, y);
}

void product_weight(const Product& size, const float* s, const float* cotangent, float* to_weight) {
    ToWeight(size, s, cotangent, to_weight).run();
}

}  // namespace spikeflow
