#include "network.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <thread>

#include "worker.hpp"

namespace spikeflow {

template <class V>
Network<V>::Network(Isa isa, const Cut& cut) : isa_(std::min(isa, best_isa())), cut_(cut.checked()) {}

template <class V> Network<V>::~Network() = default;

template <class V>
int32_t Network<V>::add_entry(Entry<V> entry) {
    require(!sealed_, entry.name, "added to a finished network");
    require(entries_.size() < (1u << 24), entry.name, "too many nodes");
    largest_ = std::max(largest_, entry.layout.size);
    entries_.push_back(std::move(entry));
    return static_cast<int32_t>(entries_.size() - 1);
}

template <class V>
int32_t Network<V>::add_input(const std::string& name, const Shape& shape, bool current) {
    return add_entry({NodeKind::input, name, Layout(shape, name), nullptr, {}, 1, current});
}

template <class V>
int32_t Network<V>::add_output(const std::string& name, const Shape& shape) {
    return add_entry({NodeKind::output, name, Layout(shape, name), nullptr, std::vector<std::vector<EdgeRef>>(1), 1, false});
}

template <class V>
int32_t Network<V>::add(std::unique_ptr<Node<V>> node) {
    Entry<V> entry{NodeKind::inner, node->name, node->layout, nullptr, std::vector<std::vector<EdgeRef>>(node->ports), 1, false};
    entry.node = std::move(node);
    return add_entry(std::move(entry));
}

template <class V>
void Network<V>::connect(int32_t source, int32_t target, int32_t port, int32_t delay) {
    const auto count = static_cast<int32_t>(entries_.size());
    require(!sealed_, "edge", "added to a finished network");
    require(source >= 0 && source < count && target >= 0 && target < count, "edge", "joins a node that does not exist");
    Entry<V>& from = entries_[static_cast<std::size_t>(source)];
    Entry<V>& to = entries_[static_cast<std::size_t>(target)];
    require(from.kind != NodeKind::output, to.name, "an Output feeds nothing");
    require(port >= 0 && static_cast<std::size_t>(port) < to.ports.size(), to.name, "an edge into a port that does not exist");
    require(delay >= 0 && delay < kMaxDelay, to.name, "an edge's delay is outside 0 to 2**20 - 1");
    require(delay > 0 || source < target, to.name, "reads a node without delay that runs later");
    auto& edges = to.ports[static_cast<std::size_t>(port)];
    if (to.node) to.node->check_source(static_cast<std::size_t>(port), from.layout);
    else require(from.layout.shape == to.layout.shape, to.name, "a source of another shape");
    require(edges.empty() || entries_[static_cast<std::size_t>(edges[0].source)].layout.shape == from.layout.shape, to.name, "edges of different shapes into one port");
    edges.push_back({source, delay});
    from.ring = std::max(from.ring, delay + 1);
}

template <class V>
void Network<V>::teach(int32_t node, int32_t post, int32_t modulator) {
    const auto count = static_cast<int32_t>(entries_.size());
    require(!sealed_ && cut_.shares == 1 && node >= 0 && node < count, "learning", "of a finished or shared network, or of a node that does not exist");
    const Entry<V>& entry = entries_[static_cast<std::size_t>(node)];
    const auto gives = [&](int32_t n) { return n >= 0 && n < count && entries_[static_cast<std::size_t>(n)].kind != NodeKind::output; };
    const auto size = [&](int32_t n) { return entries_[static_cast<std::size_t>(n)].layout.size; };
    require(entry.node != nullptr, entry.name, "does not learn");
    require(gives(post) && size(post) == entry.layout.size, entry.name, "learns by spikes that are not those of its targets");
    require(modulator == -1 || (gives(modulator) && (size(modulator) == 1 || size(modulator) == entry.layout.size)), entry.name, "learns by a modulator of another size");
    learners_.push_back({static_cast<std::size_t>(node), post, modulator});
}

template <class V>
void Network<V>::divide(int32_t node, const DivisionText& text) {
    const auto count = static_cast<int32_t>(entries_.size());
    require(!sealed_ && cut_.shares == 1 && node >= 0 && node < count, "division", "of a finished or shared network, or of a node that does not exist");
    Entry<V>& entry = entries_[static_cast<std::size_t>(node)];
    require(entry.node && entry.parts == 0 && (entry.node->is_population() || entry.node->has_synapses()), entry.name, "has nothing to divide, or is divided already");
    if (entry.node->is_population()) entry.node->divide(text);
    else entry.divided.emplace(entry.name, text);
    entry.parts = text.parts;
}

template <class V>
std::unique_ptr<Node<V>> Network<V>::take() {
    require(!sealed_ && entries_.size() == 1 && entries_[0].node && entries_[0].parts == 0, "network", "does not hold one node alone");
    auto node = std::move(entries_[0].node);
    entries_.clear();
    return node;
}

template <class V>
void Network<V>::seal() {
    require(!sealed_ && !entries_.empty(), "network", "finished twice, or without nodes");
    for (Entry<V>& entry : entries_) {
        entry.analog |= entry.node && entry.node->is_analog();
        for (const auto& edges : entry.ports)
            require(!edges.empty() || (entry.node && entry.node->may_be_unconnected()), entry.name, "a port without edges");
        if (entry.divided)
            require(entry.ports.size() == 1 && entry.ports[0].size() == 1
                        && static_cast<std::size_t>(entries_[static_cast<std::size_t>(entry.ports[0][0].source)].layout.size) == entry.divided->sources(),
                    entry.name, "is divided for other sources than it has");
        if (entry.kind == NodeKind::input || (entry.node && entry.node->is_population())) continue;
        for (const auto& edges : entry.ports)
            for (const EdgeRef& edge : edges) entry.analog |= entries_[static_cast<std::size_t>(edge.source)].analog;
    }
    find_whole(entries_, isa_);
    if (cut_.shares > 1) {
        share_nodes(entries_, cut_);
        phases_ = phases_of(entries_);
        period_ = period_of(entries_, phases_);
    }
    sealed_ = true;
}

template <class V>
std::unique_ptr<Worker<V>> Network<V>::take_worker(bool shared) {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_[shared].empty()) {
            auto worker = std::move(idle_[shared].back());
            idle_[shared].pop_back();
            return worker;
        }
    }
    return std::make_unique<Worker<V>>(*this, shared ? cut_ : Cut{});
}

namespace {

// What the workers of one run share: the next sample, how many are done, and whether to stop.
struct Progress {
    std::atomic<int32_t> next{0};
    std::atomic<int64_t> done{0};
    std::atomic<bool> stop{false};
    std::mutex mutex;
    std::condition_variable finished;
    int running = 0;
    std::exception_ptr failure;
};

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::milliseconds(50);

// Who runs a sample, and what is to be done before and after its steps.
template <class V>
struct Crew {
    int32_t count;                                                  // of threads
    std::function<Worker<V>&(int32_t thread, int32_t sample)> take;
    std::function<void(Worker<V>&, int32_t sample)> leave;
};

template <class V>
void work(const Crew<V>& crew, int32_t thread, const RunText<V>& text, RunResult<V>& result, Progress& progress, const std::function<void()>& poll) {
    while (!progress.stop) {
        const int32_t sample = progress.next++;
        if (sample >= text.samples) return;
        Worker<V>& worker = crew.take(thread, sample);
        worker.enter(text, sample);
        for (int32_t t = 0; t < text.steps && !progress.stop;) {
            t += worker.advance(text, result, sample, t);
            if (poll) poll();
        }
        worker.finish(sample);
        crew.leave(worker, sample);
        ++progress.done;
    }
}

template <class V>
RunResult<V> run_all(const Crew<V>& crew, const RunText<V>& text) {
    RunResult<V> result;
    result.records.resize(text.recorded.size());
    for (auto& record : result.records) record.resize(static_cast<std::size_t>(text.samples));
    Progress progress;
    auto last = Clock::now();
    // only the calling thread may speak to the monitor
    const std::function<void()> poll = [&] {
        const auto now = Clock::now();
        if (now - last < kPatience) return;
        last = now;
        if (text.monitor && !text.monitor(progress.done)) progress.stop = true;
    };
    const auto guarded = [&](int32_t thread, const std::function<void()>& each) {
        try {
            work(crew, thread, text, result, progress, each);
        } catch (...) {
            progress.stop = true;
            const std::lock_guard lock(progress.mutex);
            if (!progress.failure) progress.failure = std::current_exception();
        }
    };
    {
        std::vector<std::jthread> threads;
        progress.running = crew.count - 1;
        for (int32_t w = 1; w < crew.count; ++w)
            threads.emplace_back([&, w] {
                guarded(w, {});
                const std::lock_guard lock(progress.mutex);
                --progress.running;
                progress.finished.notify_one();
            });
        guarded(0, poll);
        std::unique_lock lock(progress.mutex);
        while (!progress.finished.wait_for(lock, kPatience, [&] { return progress.running == 0; })) {
            lock.unlock();
            poll();
            lock.lock();
        }
    }
    if (progress.failure) std::rethrow_exception(progress.failure);
    result.stopped = progress.stop;
    if (!result.stopped && text.monitor) text.monitor(progress.done);
    return result;
}

template <class V>
void add_counters(RunResult<V>& result, const Worker<V>& worker, std::size_t nodes) {
    result.counters.resize(nodes);
    for (std::size_t n = 0; n < nodes; ++n) result.counters[n].add(worker.counters(n));
}

// How many threads run samples of their own.
int32_t threads_of(int32_t threads, int32_t samples, bool shared) { return shared ? 1 : std::max(1, std::min(threads, samples)); }

}  // namespace

template <class V>
RunResult<V> Network<V>::run(const RunText<V>& text) {
    check_run(text);
    std::vector<std::unique_ptr<Worker<V>>> workers;
    for (int32_t w = 0; w < threads_of(text.threads, text.samples, shared(text.samples)); ++w) {
        workers.push_back(take_worker(shared(text.samples)));
        workers.back()->prepare(text);
    }
    // a pooled worker runs one sample after the other, each from the state in which it begins
    std::vector<Memory<Stored<V>>> end = text.end;
    const Crew<V> crew{static_cast<int32_t>(workers.size()),
        [&](int32_t thread, int32_t sample) -> Worker<V>& {
            Worker<V>& worker = *workers[static_cast<std::size_t>(thread)];
            worker.begin(text.start, sample);
            return worker;
        },
        [&](Worker<V>& worker, int32_t sample) { worker.save(end, sample, text.samples); }};
    RunResult<V> result = run_all(crew, text);
    const std::lock_guard lock(mutex_);
    for (auto& worker : workers) {
        add_counters(result, *worker, entries_.size());
        worker->rest();
        idle_[worker->shared()].push_back(std::move(worker));
    }
    return result;
}

template <class V>
Live<V>::Live(Network<V>& network, int32_t samples, const Start<V>& start) : network_(network) {
    if (samples < 1) throw Error(Fault::simulation, "run", "no samples");
    RunText<V> text;
    text.samples = samples;
    text.start = start;
    network.check_start(text);
    for (int32_t sample = 0; sample < samples; ++sample) {
        workers_.push_back(std::make_unique<Worker<V>>(network, network.shared(samples) ? network.cut() : Cut{}));
        workers_.back()->begin(start, sample);
    }
}

template <class V>
Live<V>::~Live() = default;

template <class V>
RunResult<V> Live<V>::advance(const RunText<V>& text) {
    if (static_cast<std::size_t>(text.samples) != workers_.size()) throw Error(Fault::simulation, "run", "another number of samples");
    network_.check_run(text);
    const Crew<V> crew{threads_of(text.threads, text.samples, network_.shared(text.samples)),
        [&](int32_t, int32_t sample) -> Worker<V>& {
            Worker<V>& worker = *workers_[static_cast<std::size_t>(sample)];
            worker.prepare(text);
            return worker;
        },
        [](Worker<V>& worker, int32_t) { worker.rest(); }};
    RunResult<V> result = run_all(crew, text);
    for (const auto& worker : workers_) add_counters(result, *worker, network_.entries().size());
    return result;
}

template <class V>
void Live<V>::save(std::vector<Memory<Stored<V>>>& memories) {
    RunText<V> text;
    text.samples = static_cast<int32_t>(workers_.size());
    text.end = memories;
    network_.check_start(text);
    for (std::size_t w = 0; w < workers_.size(); ++w) workers_[w]->save(memories, static_cast<int32_t>(w), text.samples);
}

template class Live<float>;
template class Live<int32_t>;
template class Live<int64_t>;
template class Network<float>;
template class Network<int32_t>;
template class Network<int64_t>;

}  // namespace spikeflow
