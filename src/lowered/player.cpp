#include "player.hpp"

#include <algorithm>
#include <deque>

#include "arguments.hpp"
#include "engine/coded.hpp"
#include "engine/conv.hpp"
#include "engine/joint.hpp"
#include "engine/moves.hpp"
#include "engine/network.hpp"
#include "engine/poisson.hpp"
#include "engine/sparse.hpp"
#include "engine/worker.hpp"

namespace spikeflow {
namespace {

using Given = std::span<const Item>;

void expect_count(Given given, std::size_t count) {
    if (given.size() != count) throw Refused("another number of arguments");
}

// Arrays that a run writes; they start as they were recorded.
template <class V>
class Written {
public:
    std::span<Stored<V>> array(const Item& item) {
        const auto from = item.as_array<Stored<V>>();
        auto& held = held_.emplace_back(from.begin(), from.end());
        return {held.data(), held.size()};
    }
    std::vector<Memory<Stored<V>>> memories(const Item& item) {
        std::vector<Memory<Stored<V>>> out;
        for (const Item& one : item.as_list()) {
            const auto& parts = one.as_list(3);
            Memory<Stored<V>> memory{parts[0].as_int(), parts[1].none() ? std::span<Stored<V>>{} : array(parts[1]), {}};
            for (const Item& own : parts[2].as_list()) memory.own.push_back(array(own));
            out.push_back(std::move(memory));
        }
        return out;
    }
    void add_to(Playing& playing) const {
        for (const auto& values : held_) playing.add(std::span<const Stored<V>>(values));
    }

private:
    std::deque<std::vector<Stored<V>>> held_;
};

template <class V>
Start<V> start_of(const Item& steps, const Item& numbers, const Item& memories) {
    Start<V> out{steps.as_array<int64_t>(), numbers.as_array<int64_t>(), {}};
    for (const Item& one : memories.as_list()) {
        const auto& parts = one.as_list(3);
        Memory<const Stored<V>> memory{parts[0].as_int(), parts[1].as_optional<Stored<V>>(), {}};
        for (const auto own : arrays_of<Stored<V>>(parts[2])) memory.own.push_back(own);
        out.memories.push_back(std::move(memory));
    }
    return out;
}

// A stretch of steps: what it is given, and what came out of it.
template <class V>
class Stretch {
public:
    // steps, samples, feeds, recorded, traces, threads
    Stretch(const Network<V>& network, Given given, Playing& playing) : playing_(playing) {
        text.steps = given[0].as_int();
        text.samples = given[1].as_int();
        if (text.steps < 1 || text.samples < 1) throw Refused("no steps or no samples");
        for (const Item& feed : given[2].as_list()) text.feeds.push_back(feed_of(feed));
        for (const Item& one : given[3].as_list()) text.recorded.push_back({one.as_list(2)[0].as_int(), one.items[1].as_array<int32_t>()});
        for (const Item& one : given[4].as_list()) {
            const auto& parts = one.as_list(6);
            text.traces.push_back({parts[0].as_int(), parts[1].as_int(), parts[2].as_int(), parts[3].as_array<int32_t>(), parts[4].as_int(), written.array(parts[5])});
        }
        text.threads = playing.threads < 0 ? std::min(given[5].as_int(), 1024) : playing.threads;
        text.monitor = playing.monitor;
        for (const auto& entry : network.entries()) {
            if (entry.kind != NodeKind::output) continue;
            outputs_.emplace_back(values_of(text.steps, text.samples, entry.layout.size, entry.name));
            text.outputs.push_back(outputs_.back());
        }
    }

    void add(const RunResult<V>& result) {
        for (const auto& output : outputs_) playing_.add(std::span<const V>(output));
        for (const Counters& c : result.counters) {
            add(c);
            for (const Counters& part : c.parts) add(part);
        }
        for (const auto& samples : result.records)
            for (const auto& record : samples) {
                playing_.add(record.step.span());
                playing_.add(record.neuron.span());
                playing_.add(record.value.span());
            }
        written.add_to(playing_);
    }

    RunText<V> text;
    Written<V> written;

private:
    void add(const Counters& c) {
        const int64_t each[] = {c.spikes, c.accumulates, c.multiplies, c.idle};
        playing_.add(std::span<const int64_t>(each));
        for (const auto& ends : c.narrowed) playing_.add(std::span<const int64_t>(ends));
    }
    static Feed<V> feed_of(const Item& item) {
        const auto& parts = item.as_list(5);
        using Kind = typename Feed<V>::Kind;
        const std::string& word = parts[0].as_word();
        const Kind kind = word == "spikes" ? Kind::spikes : word == "constant" ? Kind::constant : Kind::dense;
        return {kind, parts[1].as_array<V>(), parts[2].as_array<int64_t>(), parts[3].as_array<int32_t>(), parts[4].as_array<int32_t>()};
    }

    Playing& playing_;
    std::deque<std::vector<V>> outputs_;
};

template <class V>
class PlayedLive final : public Played {
public:
    PlayedLive(Network<V>& network, Given given, Playing& playing)
        : network_(network), playing_(playing), live_(network, given[0].as_int(), start_of<V>(given[1], given[2], given[3])) {}

    std::unique_ptr<Played> call(const std::string& method, Given given) override {
        if (method == "save") {
            expect_count(given, 1);
            Written<V> written;
            auto memories = written.memories(given[0]);
            live_.save(memories);
            written.add_to(playing_);
        } else if (method == "advance") {
            expect_count(given, 8);
            Stretch<V> stretch(network_, given, playing_);
            stretch.add(live_.advance(stretch.text));
        } else throw Refused("no method of a live run");
        return nullptr;
    }

private:
    Network<V>& network_;
    Playing& playing_;
    Live<V> live_;
};

// Nodes that are added to a network one by one.
class PlayedBundle final : public Played {
public:
    explicit PlayedBundle(std::vector<std::unique_ptr<Node<float>>> made) : nodes(std::move(made)) {}
    std::unique_ptr<Played> call(const std::string&, Given) override { throw Refused("no method of a bundle"); }

    std::vector<std::unique_ptr<Node<float>>> nodes;
};

template <class V>
class PlayedNetwork final : public Played {
public:
    using W = WeightOf<V>;
    using Objects = std::vector<std::unique_ptr<Played>>;

    PlayedNetwork(int32_t isa, const Cut& cut, const Objects& objects, Playing& playing)
        : net(static_cast<Isa>(std::clamp(playing.isa < 0 ? isa : playing.isa, 0, 2)), cut), objects_(objects), playing_(playing) {}

    std::unique_ptr<Played> call(const std::string& method, Given given) override {
        if (method == "live") {
            expect_count(given, 4);
            return std::make_unique<PlayedLive<V>>(net, given, playing_);
        }
        if constexpr (std::is_same_v<V, float>) {
            if (method == "bundle") {
                expect_count(given, 3);
                const KeptRows kept = given[2].none() ? KeptRows{} : kept_of(given[2]);
                return std::make_unique<PlayedBundle>(make_bundle(bundle_of(given[0]), given[1].as_int(), net.cut(), given[2].none() ? nullptr : &kept, {}));
            }
        }
        if (method == "run") run(given);
        else if (method == "connect") { expect_count(given, 4); net.connect(given[0].as_int(), given[1].as_int(), given[2].as_int(), given[3].as_int()); }
        else if (method == "teach") { expect_count(given, 3); net.teach(given[0].as_int(), given[1].as_int(), given[2].as_int()); }
        else if (method == "divide") { expect_count(given, 5); net.divide(given[0].as_int(), {given[1].as_int(), given[2].as_array<int64_t>(), given[3].as_array<int32_t>(), given[4].as_array<int32_t>()}); }
        else if (method == "seal") { expect_count(given, 0); net.seal(); }
        else if (method == "input") { expect_count(given, 3); net.add_input(given[0].as_word(), shape_of(given[1]), given[2].as_truth()); }
        else if (method == "output") { expect_count(given, 2); net.add_output(given[0].as_word(), shape_of(given[1])); }
        else net.add(node(method, given));
        return nullptr;
    }

    Network<V> net;

private:
    // steps, samples, feeds, recorded, traces, threads, progress, begun, numbers, start, end, exchange
    void run(Given given) {
        expect_count(given, 12);
        Stretch<V> stretch(net, given, playing_);
        stretch.text.start = start_of<V>(given[7], given[8], given[9]);
        stretch.text.end = stretch.written.memories(given[10]);
        stretch.add(net.run(stretch.text));
    }

    std::unique_ptr<Node<V>> node(const std::string& method, Given g) {
        if (g.empty()) throw Refused("a node without a name");
        const std::string& name = method == "joint" && g.size() > 1 ? g[1].as_word() : method == "coded" || method == "bundled" ? method : g[0].as_word();
        if (method == "linear") { expect_count(g, 7); return make_linear<V>(name, g[1].as_int(), shape_of(g[2]), synapses(g.subspan(3))); }
        if (method == "sparse") {
            expect_count(g, 10);
            SynapseText<V> text = synapses(g.subspan(5));
            const auto& scopes = g[9].as_list(2);
            text.weight_scope = static_cast<Scope>(scopes[0].as_int());
            text.delay_scope = static_cast<Scope>(scopes[1].as_int());
            return make_sparse<V>(name, shape_of(g[1]), shape_of(g[2]), integers_of(g[3]), integers_of(g[4]), text);
        }
        if (method == "by_rule") {
            expect_count(g, 7);
            return make_by_rule<V>(name, shape_of(g[1]), shape_of(g[2]), {projections_of(g[3]), g[4].as_optional<V>(), g[5].as_int(), static_cast<float>(g[6].as_real()), net.cut()});
        }
        if (method == "of_kept") {
            expect_count(g, 6);
            SynapseText<V> text;
            text.bias = g[4].as_optional<V>();
            text.exponent = g[5].as_int();
            text.cut = net.cut();
            return make_of_kept<V>(name, shape_of(g[1]), shape_of(g[2]), kept_of(g[3]), text);
        }
        if (method == "conv") {
            expect_count(g, 11);
            return make_conv<V>(name, shape_of(g[1]), shape_of(g[2]), {g[3].as_array<W>(), g[4].as_optional<V>(), shape_of(g[5]), shape_of(g[6]),
                                                                       shape_of(g[8]), shape_of(g[7]), g[9].as_int(), g[10].as_int()});
        }
        if (method == "move") { expect_count(g, 4); return make_move<V>(name, shapes_of(g[1]), shape_of(g[2]), g[3].as_array<int32_t>()); }
        if (method == "pool") { expect_count(g, 5); return make_pool<V>(name, shape_of(g[1]), shape_of(g[2]), shape_of(g[3]), shape_of(g[4])); }
        if (method == "scale") { expect_count(g, 4); return make_scale<V>(name, shape_of(g[1]), g[2].as_array<W>(), g[3].as_int()); }
        if (method == "joint") {
            expect_count(g, 6);
            std::vector<int64_t> numbers;
            for (const Item& n : g[5].as_list()) numbers.push_back(n.as_whole());
            return make_joint<V>(g[0].as_word(), {name, shapes_of(g[2]), shape_of(g[3]), arrays_of<int32_t>(g[4]), numbers});
        }
        if (method == "poisson") {
            expect_count(g, 9);
            return make_poisson<V>(name, shape_of(g[1]), {g[2].as_array<uint32_t>(), g[3].as_array<int32_t>(), g[4].as_array<int32_t>(), g[5].as_whole(),
                                                          g[6].as_whole(), static_cast<float>(g[7].as_real()), g[8].as_truth()});
        }
        if (method == "population") { expect_count(g, 10); return make_population<V, V>(name, shape_of(g[1]), population_of<V>(g.subspan(2))); }
        return special(method, name, g);
    }

    // Kinds of one type of network alone.
    std::unique_ptr<Node<V>> special(const std::string& method, const std::string& name, Given g) {
        if constexpr (std::is_same_v<V, int32_t>) {
            if (method == "population_wide") { expect_count(g, 10); return make_population<V, int64_t>(name, shape_of(g[1]), population_of<int64_t>(g.subspan(2))); }
        }
        if constexpr (std::is_same_v<V, float>) {
            if (method == "plastic") { expect_count(g, 11); return make_plastic(name, shape_of(g[1]), shape_of(g[2]), plastic_of(g.subspan(3))); }
            if (method == "bundled") {
                expect_count(g, 2);
                auto* const bundle = dynamic_cast<PlayedBundle*>(object(g[0]));
                const auto number = static_cast<std::size_t>(g[1].as_whole());
                if (bundle == nullptr || number >= bundle->nodes.size() || !bundle->nodes[number]) throw Refused("no node of a bundle");
                return std::move(bundle->nodes[number]);
            }
            if (method == "coded") {
                expect_count(g, 5);
                const CodeSums sums{static_cast<float>(g[1].as_real()), g[2].as_whole(), g[3].as_whole()};
                if (auto* const narrow = dynamic_cast<PlayedNetwork<int32_t>*>(object(g[0]))) return make_coded<int32_t>(narrow->net.take(), sums, g[4].as_optional<float>());
                if (auto* const wide = dynamic_cast<PlayedNetwork<int64_t>*>(object(g[0]))) return make_coded<int64_t>(wide->net.take(), sums, g[4].as_optional<float>());
            }
        }
        throw Refused("no method of such a network");
    }

    Played* object(const Item& number) const {
        const auto at = static_cast<std::size_t>(number.as_whole());
        if (at >= objects_.size()) throw Refused("no object");
        return objects_[at].get();
    }
    static std::vector<Shape> shapes_of(const Item& item) {
        std::vector<Shape> out;
        for (const Item& one : item.as_list()) out.push_back(shape_of(one));
        return out;
    }
    // weights, bias, delays, exponent
    SynapseText<V> synapses(Given g) const {
        return {g[0].as_array<W>(), g[1].as_optional<V>(), integers_of(g[2]), g[3].as_int(), Scope::synapse, Scope::synapse, net.cut()};
    }

    const Objects& objects_;
    Playing& playing_;
};

}  // namespace

void Playing::add(const void* data, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) digest = (digest ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3;
}

void play(const std::vector<Item>& calls, Playing& playing) {
    std::vector<std::unique_ptr<Played>> objects;
    // the last first: a live run needs its network
    struct Clearing {
        std::vector<std::unique_ptr<Played>>& objects;
        ~Clearing() { while (!objects.empty()) objects.pop_back(); }
    } const clearing{objects};
    for (const Item& call : calls) {
        const auto& parts = call.as_list();
        if (parts.size() < 2) throw Refused("no call");
        const int64_t on = parts[0].as_whole();
        const std::string& method = parts[1].as_word();
        const Given given = std::span(parts).subspan(2);
        std::unique_ptr<Played> made;
        if (on >= 0) {
            if (static_cast<std::size_t>(on) >= objects.size()) throw Refused("no object");
            made = objects[static_cast<std::size_t>(on)]->call(method, given);
        } else {
            expect_count(given, 3);
            const int32_t isa = given[0].as_int(), shares = given[1].as_int();
            const Cut cut = given[2].none() ? Cut::among_threads(std::clamp(shares, 1, 1024)) : Cut{shares, given[2].as_list(2)[0].as_int(), given[2].items[1].as_int()};
            if (method == "FloatNetwork") made = std::make_unique<PlayedNetwork<float>>(isa, cut, objects, playing);
            else if (method == "Int32Network") made = std::make_unique<PlayedNetwork<int32_t>>(isa, cut, objects, playing);
            else if (method == "Int64Network") made = std::make_unique<PlayedNetwork<int64_t>>(isa, cut, objects, playing);
            else throw Refused("no network");
        }
        if (made) objects.push_back(std::move(made));
    }
}

}  // namespace spikeflow
