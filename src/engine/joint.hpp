// Kinds that join values otherwise than by a sum: each has a line here and a file of its own.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "error.hpp"
#include "node.hpp"

namespace spikeflow {

// X(word): make_<word> makes it; `Joint.lowered` of its Python class says the word.
#define SPIKEFLOW_JOINTS(X) X(max_pool) X(of_means)

// What `Joint.lowered` hands over.
struct JointText {
    std::string name;
    std::vector<Shape> in;             // of each port
    Shape out;
    std::vector<std::span<const int32_t>> lists;
    std::vector<int64_t> numbers;

    void require_form(std::size_t ports, std::size_t list_count, std::size_t number_count) const {
        require(in.size() == ports && lists.size() == list_count && numbers.size() == number_count, name,
                "another number of ports, lists or numbers");
    }
};

template <class V>
using MadeJoint = std::unique_ptr<Node<V>>;

#define SPIKEFLOW_DECLARE(word) template <class V> MadeJoint<V> make_##word(const JointText& text);
SPIKEFLOW_JOINTS(SPIKEFLOW_DECLARE)
#undef SPIKEFLOW_DECLARE

template <class V>
MadeJoint<V> make_joint(const std::string& word, const JointText& text) {
#define SPIKEFLOW_MAKE(known) if (word == #known) return make_##known<V>(text);
    SPIKEFLOW_JOINTS(SPIKEFLOW_MAKE)
#undef SPIKEFLOW_MAKE
    throw Error(Fault::graph, text.name, "a joint kind that the engine does not know");
}

// For the end of the kind's file: its function for all types of values.
#define SPIKEFLOW_INSTANTIATE_JOINT(word)                            \
    template MadeJoint<float> make_##word<float>(const JointText&);  \
    template MadeJoint<int32_t> make_##word<int32_t>(const JointText&); \
    template MadeJoint<int64_t> make_##word<int64_t>(const JointText&);

}  // namespace spikeflow
