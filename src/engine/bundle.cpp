#include "bundle.hpp"

#include <algorithm>

#include "bundle_rows.hpp"
#include "counted.hpp"
#include "row_node.hpp"
#include "synapse_lists.hpp"

namespace spikeflow {
namespace {

template <class A, class W>
class BundleRunner;

// What the runners of one worker and share do at once: the first of them in a step files and delivers for all. So what arrives
// at the later ones is filed in the next step, which is early enough: no delay is below 1.
template <class A, class W>
class Delivering {
public:
    Delivering(const Bundle<W>& bundle, Share share)
        : bundle_(bundle), delivery_(bundle.rows, share), runners_(bundle.members.size(), nullptr),
          sums_(static_cast<std::size_t>(bundle.places.size), A{0}), met_(static_cast<std::size_t>(bundle.places.size) / kBlock, 0) {
        for (const Piece& p : bundle.places.pieces)
            if (p.of(share)) blocks_.push_back({p.at / kBlock, p.at / kBlock + p.blocks()});
    }

    void join(std::size_t member, BundleRunner<A, W>* runner) { runners_[member] = runner; }
    void reset() {
        delivery_.reset();
        delivered_ = -1;
    }
    void refile(int32_t source, A value, int64_t emitted, int64_t now, Targets part) { delivery_.file_part(source, value, emitted, now, part); }

    void deliver(int64_t time) {
        if (delivered_ == time) return;
        delivered_ = time;
        for (std::size_t m = 0; m < runners_.size(); ++m) note(bundle_.members[m], *runners_[m]);
        delivery_.file_noted(time);
        std::size_t blocks = 0;
        for (const Blocks& b : blocks_) blocks += static_cast<std::size_t>(b.last - b.first);
        const bool few = delivery_.synapses(time) < 8 * blocks;
        for (const Blocks& b : blocks_)
            if (!few) std::fill(met_.begin() + b.first, met_.begin() + b.last, uint8_t{1});
        delivery_.deliver(time, sums_.data(), few ? met_.data() : nullptr);
    }

    bool meets(const Piece& piece) const {
        const auto first = met_.begin() + piece.at / kBlock;
        return std::any_of(first, first + piece.blocks(), [](uint8_t met) { return met != 0; });
    }
    void hand_on(Slot<float>& out, const Layout& layout, const Piece& piece, float scale, ScaledSums<A> scaled) {
        const int32_t first = piece.first / kBlock;
        spikeflow::hand_on<A>(out, layout, {first, first + piece.blocks()}, {sums_.data() + piece.at, met_.data() + piece.at / kBlock, scale, scaled});
    }

private:
    void note(const typename Bundle<W>::Member& member, BundleRunner<A, W>& runner) {
        if (!member.files) return runner.pass_noted();
        runner.take_noted([&](int32_t source, A value, int64_t emitted) {
            const auto i = static_cast<std::size_t>(source);
            if (member.first[i] != 0) delivery_.note(member.source[i], value, emitted);
        });
    }

    const Bundle<W>& bundle_;
    Delivery<A, W> delivery_;
    std::vector<BundleRunner<A, W>*> runners_;
    Buffer<A> sums_;                     // 0 between steps
    Buffer<uint8_t> met_;
    std::vector<Blocks> blocks_;         // of the share
    int64_t delivered_ = -1;
};

template <class A, class W>
class BundleNode final : public ArrivalNode<float>, public Keeps {
public:
    BundleNode(const BundleText& text, std::shared_ptr<const Bundle<W>> of, std::size_t number)
        : ArrivalNode<float>(text.name, Layout(text.out, text.name)), bundle(std::move(of)), number(number), scale(text.sums.scale) {
        in_shape = text.in;
        take_bias(physical_bias<float>(name, layout, text.bias));
        largest = text.sums.largest;
    }
    std::unique_ptr<Runner<float>> runner(const Context<float>& context) const override;
    bool repeats() const override { return false; }
    int32_t shortest_delay() const override { return bundle->rows.shortest; }
    std::span<const uint32_t> fan() const override { return bundle->members[number].fan; }
    int32_t longest() const override { return bundle->rows.longest; }
    int32_t reach(std::size_t source) const override { return bundle->members[number].reach[source]; }
    std::vector<int32_t> reaches() const override { return bundle->members[number].reach; }
    // The rows of all are kept with the first member.
    KeptRows kept() const override {
        KeptRows all{weight_word<W>(), {}, {}};
        if (number != 0) return all;
        FieldWriter writer(all);
        bundle_fields(*bundle, writer);
        return all;
    }

    std::shared_ptr<const Bundle<W>> bundle;
    std::size_t number;                  // of the member
    float scale;
};

template <class A, class W>
class BundleRunner final : public Arrivals<float, A> {
public:
    BundleRunner(const BundleNode<A, W>& node, const Context<float>& context)
        : Arrivals<float, A>(node, context.share), node_(node), scaled_(cast_kernels(context.isa).template scaled<A>()) {
        auto& held = context.scratch.common[node.bundle.get()];
        if (!held) held = std::make_shared<Delivering<A, W>>(*node.bundle, context.share);
        all_ = std::static_pointer_cast<Delivering<A, W>>(held);
        all_->join(node.number, this);
        for (const Piece& p : node.bundle->places.pieces)
            if (p.of(context.share) && static_cast<std::size_t>(p.member) == node.number) pieces_.push_back(p);
    }

    void reset() override {
        Arrivals<float, A>::reset();
        all_->reset();
    }

    void step(Step<float>& step) override {
        const bool alone = this->share_.count == 1;
        if (alone) this->open(step);
        all_->deliver(step.time);
        if (alone) {
            const bool silent = std::none_of(pieces_.begin(), pieces_.end(), [this](const Piece& p) { return all_->meets(p); });
            if (silent && node_.bias.empty()) return step.out.clear();
            this->open_value(step.out);
        }
        for (const Piece& p : pieces_) all_->hand_on(step.out, node_.layout, p, node_.scale, scaled_);
    }

private:
    // States may differ in what arrived at each member: then it reaches no other one's targets.
    void refile(int32_t source, A value, int64_t emitted, int64_t now) override {
        const int32_t of_all = node_.bundle->members[node_.number].source[static_cast<std::size_t>(source)];
        for (const Piece& p : pieces_) all_->refile(of_all, value, emitted, now, {p.at, p.at + p.count});
    }

    const BundleNode<A, W>& node_;
    ScaledSums<A> scaled_;
    std::shared_ptr<Delivering<A, W>> all_;
    std::vector<Piece> pieces_;          // of the member, that belong to the runner's share
};

template <class A, class W>
std::unique_ptr<Runner<float>> BundleNode<A, W>::runner(const Context<float>& context) const {
    return std::make_unique<BundleRunner<A, W>>(*this, context);
}

void check(const BundleText& text, const Layout& in, const Layout& out, std::size_t sources) {
    require(text.sources.size() == static_cast<std::size_t>(in.size), text.name, "sources of another number");
    require(!out.permuted, text.name, "channels in a bundle");
    require(text.sums.scale > 0, text.name, "a scale that is not above 0");
    require(text.sums.largest >= 0 && text.sums.largest <= (1 << 24), text.name, "values that float32 does not hold as integers");
    for (const int32_t i : text.sources) require(i >= 0 && static_cast<std::size_t>(i) < sources, text.name, "a source that does not exist");
    std::vector<int32_t> sorted(text.sources.begin(), text.sources.end());
    std::sort(sorted.begin(), sorted.end());
    require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), text.name, "a source twice");
    for (const Projection& p : text.projections) {
        p.check(text.name, in.size, out.size);
        require(p.delay.low >= 1, text.name, "delays below 1 in a bundle");
    }
}

template <class W>
void read_bundle(Bundle<W>& bundle, const std::string& name, const KeptRows& kept, int32_t sources, const Cut& cut) {
    require(kept.weight == weight_word<W>(), name, "kept rows with weights of another type");
    FieldReader reader(name, kept);
    bundle_fields(bundle, reader);
    reader.end();
    check_rows(name, bundle.rows, bundle.places.template slices<W>(cut), sources);
    require(bundle.rows.shortest >= 1, name, "kept rows with delays below 1 in a bundle");
    for (const auto& member : bundle.members) {
        require(member.fan.size() == member.source.size() && member.reach.size() == member.source.size(), name, "kept rows of other sources");
        for (const int32_t reach : member.reach) require(reach >= 0 && reach <= bundle.rows.longest, name, "kept rows with delays out of range");
    }
}

template <class W>
std::shared_ptr<Bundle<W>> bundle_of(const std::vector<BundleText>& texts, const std::vector<Layout>& layouts, int32_t bits, const Cut& cut, const KeptRows* kept, const GoOn& go_on) {
    std::vector<RuleText<int32_t>> rules;
    for (const BundleText& text : texts) rules.push_back({text.projections, {}, bits, text.sums.scale, cut});
    auto bundle = std::make_shared<Bundle<W>>(Bundle<W>{Places(layouts, cut), {}, {}, 0});
    const FromMembers<W> from(rules, texts, layouts, bundle->places);
    int32_t sources = 0;
    for (const BundleText& text : texts)
        for (const int32_t i : text.sources) sources = std::max(sources, i + 1);
    for (std::size_t m = 0; m < texts.size(); ++m) bundle->most = std::max(bundle->most, texts[m].sums.largest * from.members[m].largest_row());
    std::vector<uint8_t> known(static_cast<std::size_t>(sources), 0);
    for (const BundleText& text : texts) {
        auto& member = bundle->members.emplace_back();
        member.source.assign(text.sources.begin(), text.sources.end());
        for (const int32_t i : text.sources) {
            member.first.push_back(known[static_cast<std::size_t>(i)] == 0);
            member.files = member.files || member.first.back() != 0;
            known[static_cast<std::size_t>(i)] = 1;
        }
    }
    if (kept != nullptr) {
        read_bundle(*bundle, texts[0].name, *kept, sources, cut);
        return bundle;
    }
    bundle->rows = make_rows<W>(Layout({std::max(1, bundle->places.size)}, texts[0].name), texts[0].name, from, sources, bundle->places.template slices<W>(cut), go_on);
    bundle->count();
    return bundle;
}

template <class A, class W>
std::vector<std::unique_ptr<Node<float>>> nodes_of(const std::vector<BundleText>& texts, const std::shared_ptr<Bundle<W>>& bundle) {
    std::vector<std::unique_ptr<Node<float>>> nodes;
    for (std::size_t m = 0; m < texts.size(); ++m) nodes.push_back(std::make_unique<BundleNode<A, W>>(texts[m], bundle, m));
    return nodes;
}

template <class W>
std::vector<std::unique_ptr<Node<float>>> made(const std::vector<BundleText>& texts, const std::vector<Layout>& layouts, int32_t bits, const Cut& cut, const KeptRows* kept, const GoOn& go_on) {
    const auto bundle = bundle_of<W>(texts, layouts, bits, cut, kept, go_on);
    if (bundle->most <= INT16_MAX) return nodes_of<int16_t, W>(texts, bundle);
    if (bundle->most <= INT32_MAX) return nodes_of<int32_t, W>(texts, bundle);
    return nodes_of<int64_t, W>(texts, bundle);
}

}  // namespace

std::vector<std::unique_ptr<Node<float>>> make_bundle(const std::vector<BundleText>& texts, int32_t bits, const Cut& cut, const KeptRows* kept, const GoOn& go_on) {
    require(!texts.empty(), "bundle", "without nodes");
    require(bits == 8 || bits == 16, texts[0].name, "codes of an unknown width");
    std::vector<Layout> layouts;
    std::size_t sources = 0;
    for (const BundleText& text : texts) sources += text.sources.size();
    for (const BundleText& text : texts) {
        layouts.emplace_back(text.out, text.name);
        check(text, Layout(text.in, text.name), layouts.back(), sources);
    }
    return bits == 8 ? made<int8_t>(texts, layouts, bits, cut, kept, go_on) : made<int16_t>(texts, layouts, bits, cut, kept, go_on);
}

}  // namespace spikeflow
