#include "product.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/kernels.hpp"
#include "threads.hpp"

namespace spikeflow {
namespace {

constexpr int64_t kRows = 256;                      // of y that one piece of work sums
constexpr int64_t kTile = 16;                       // side of what is transposed at a time: a line of the cache each way
constexpr int64_t kCounted = 1 << 16;               // values in which one piece of work looks for zeros

std::size_t at(int64_t i) { return static_cast<std::size_t>(i); }
int64_t blocks_of(int64_t count, int64_t each) { return (count + each - 1) / each; }

// Marks the values of a row that are not 0, and counts them.
int32_t mark(const Kernels<float>& kernels, const float* row, int64_t count, Buffer<uint64_t>& words) {
    words.resize(at(blocks_of(count, 64)));
    return kernels.nonzero(row, static_cast<int32_t>(count), words.data());
}

template <class Take>
void each_marked(const Buffer<uint64_t>& words, const Take& take) {
    for (std::size_t w = 0; w < words.size(); ++w)
        for (uint64_t word = words[w]; word != 0; word &= word - 1) take(static_cast<int64_t>(64 * w) + __builtin_ctzll(word));
}

// For each target its active terms within one block, and their values where any of them is not 1.
struct Lists {
    Buffer<int64_t> starts;                         // (targets + 1)
    Buffer<int32_t> index;
    Buffer<float> value;
    bool ones = true;

    // Adds a target's rows of a packed table to its sums.
    void add(const RowKernels<float, float>& kernels, int64_t target, const float* table, int64_t width, float* sums) const {
        const int64_t from = starts[at(target)], count = starts[at(target) + 1] - from;
        kernels.grouped(sums, static_cast<int32_t>(width), table, index.data() + from, ones ? nullptr : value.data() + from, count);
    }
};

// Columns of y: `count` from `first` on, in rows of `width`, a multiple of all vectors.
struct Panel {
    int64_t first, count, width;
};

std::vector<Panel> panels_of(int64_t outputs) {
    std::vector<Panel> made;
    for (int64_t first = 0; first < outputs; first += kPanel) {
        const int64_t count = std::min(kPanel, outputs - first);
        made.push_back({first, count, blocks_of(count, kTile) * kTile});
    }
    return made;
}

// to[j][i] = from[i][j], for i < high, j < wide.
void transpose(const float* from, int64_t stride, int64_t high, int64_t wide, float* to, int64_t to_stride) {
    for (int64_t i = 0; i < high; i += kTile)
        for (int64_t j = 0; j < wide; j += kTile)
            for (int64_t b = j; b < std::min(wide, j + kTile); ++b)
                for (int64_t a = i; a < std::min(high, i + kTile); ++a) to[b * to_stride + a] = from[a * stride + b];
}

class Forward {
public:
    Forward(const Product& size, const float* s, const float* weight, const float* bias, float* y)
        : size_(size), s_(s), weight_(weight), bias_(bias), y_(y), panels_(panels_of(size.outputs)),
          blocks_(blocks_of(size.inputs, kBlock)), chunks_(blocks_of(size.rows, kRows)), lists_(at(blocks_ * chunks_)),
          packed_(at(size.inputs) * (at(size.outputs) + at(kTile))) {}

    void run() {
        in_threads(chunks_, size_.threads, [this] {
            return [this, words = Buffer<uint64_t>()](int64_t chunk) mutable { list(chunk, words); };
        });
        const auto panels = static_cast<int64_t>(panels_.size());
        in_threads(panels * blocks_, size_.threads, [this] { return [this](int64_t piece) { pack(panels_[at(piece / blocks_)], piece % blocks_); }; });
        in_threads(panels * chunks_, size_.threads, [this] {
            return [this, sums = Buffer<float>(at(kRows * kPanel))](int64_t piece) mutable {
                sum(panels_[at(piece / chunks_)], piece % chunks_, sums.data());
            };
        });
    }

private:
    // The active sources of a chunk's rows, block by block.
    void list(int64_t chunk, Buffer<uint64_t>& words) {
        const auto isa = static_cast<Isa>(size_.isa);
        for (int64_t b = 0; b < blocks_; ++b) {
            Lists& lists = lists_[at(chunk * blocks_ + b)];
            const int64_t first = b * kBlock, count = std::min(kBlock, size_.inputs - first);
            lists.starts.push(0);
            for (int64_t r = chunk * kRows; r < std::min(size_.rows, (chunk + 1) * kRows); ++r) {
                const float* row = s_ + r * size_.inputs + first;
                const auto found = at(mark(kernels<float>(isa), row, count, words));
                int32_t* index = lists.index.room(found);
                float* value = lists.value.room(found);
                each_marked(words, [&](int64_t i) {
                    *index++ = static_cast<int32_t>(i);
                    *value++ = row[i];
                    lists.ones &= row[i] == 1.0f;
                });
                lists.index.commit(found);
                lists.value.commit(found);
                lists.starts.push(static_cast<int64_t>(lists.index.size()));
            }
        }
    }

    float* table(const Panel& panel, int64_t block) { return packed_.data() + panel.first * size_.inputs + block * kBlock * panel.width; }

    void pack(const Panel& panel, int64_t block) {
        const int64_t first = block * kBlock, count = std::min(kBlock, size_.inputs - first);
        float* to = table(panel, block);
        transpose(weight_ + panel.first * size_.inputs + first, size_.inputs, panel.count, count, to, panel.width);
        for (int64_t i = 0; i < count; ++i) std::fill(to + i * panel.width + panel.count, to + (i + 1) * panel.width, 0.0f);
    }

    void sum(const Panel& panel, int64_t chunk, float* sums) {
        const RowKernels<float, float>& kernels = row_kernels<float, float>(static_cast<Isa>(size_.isa));
        const int64_t first = chunk * kRows, rows = std::min(kRows, size_.rows - first);
        std::fill_n(sums, rows * panel.width, 0.0f);
        for (int64_t b = 0; b < blocks_; ++b)
            for (int64_t r = 0; r < rows; ++r)
                lists_[at(chunk * blocks_ + b)].add(kernels, r, table(panel, b), panel.width, sums + r * panel.width);
        for (int64_t r = 0; r < rows; ++r) {
            float* to = y_ + (first + r) * size_.outputs + panel.first;
            const float* from = sums + r * panel.width;
            if (bias_ == nullptr) std::copy_n(from, panel.count, to);
            else std::transform(from, from + panel.count, bias_ + panel.first, to, [](float sum, float bias) { return sum + bias; });
        }
    }

    const Product size_;
    const float *s_, *weight_, *bias_;
    float* y_;
    std::vector<Panel> panels_;
    int64_t blocks_, chunks_;
    std::vector<Lists> lists_;
    Buffer<float> packed_;
};

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
    // For each source the rows of a block in which it is active.
    void list(int64_t block, Buffer<uint64_t>& words) {
        const Kernels<float>& kernel = kernels<float>(static_cast<Isa>(size_.isa));
        const float* s = s_ + block * kBlock * size_.inputs;
        const int64_t rows = std::min(kBlock, size_.rows - block * kBlock);
        Lists& lists = lists_[at(block)];
        lists.starts = Buffer<int64_t>(at(size_.inputs) + 1, 0);
        for (int64_t r = 0; r < rows; ++r) {
            mark(kernel, s + r * size_.inputs, size_.inputs, words);
            each_marked(words, [&lists](int64_t i) { ++lists.starts[at(i) + 1]; });
        }
        for (int64_t i = 0; i < size_.inputs; ++i) lists.starts[at(i) + 1] += lists.starts[at(i)];
        lists.index.resize(at(lists.starts[at(size_.inputs)]));
        lists.value.resize(lists.index.size());
        Buffer<int64_t> next(at(size_.inputs));
        std::copy_n(lists.starts.data(), size_.inputs, next.data());
        for (int64_t r = 0; r < rows; ++r) {
            const float* row = s + r * size_.inputs;
            mark(kernel, row, size_.inputs, words);
            each_marked(words, [&](int64_t i) {
                const auto place = at(next[at(i)]++);
                lists.index[place] = static_cast<int32_t>(r);
                lists.value[place] = row[i];
                lists.ones &= row[i] == 1.0f;
            });
        }
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
    Forward(size, s, weight, bias, y).run();
}

void product_weight(const Product& size, const float* s, const float* cotangent, float* to_weight) {
    ToWeight(size, s, cotangent, to_weight).run();
}

}  // namespace spikeflow
