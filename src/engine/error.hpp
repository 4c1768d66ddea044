// The one exception of the engine. It carries its facts; bind.cpp turns it into the Python error of that kind.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace spikeflow {

enum class Fault { graph, simulation };

class Error : public std::exception {
public:
    Error(Fault fault, std::string node, std::string reason, std::string hint = {})
        : fault(fault), node(std::move(node)), reason(std::move(reason)), hint(std::move(hint)),
          text_(this->node + ": " + this->reason) {}

    const char* what() const noexcept override { return text_.c_str(); }

    Fault fault;
    std::string node, reason, hint;

private:
    std::string text_;
};

inline void require(bool holds, const std::string& node, const char* reason) {
    if (!holds) throw Error(Fault::graph, node, reason);
}

}  // namespace spikeflow
