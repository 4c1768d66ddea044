// MachineCode: instructions in memory of their own, which no one may write any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace spikeflow {

class MachineCode {
public:
    // Null where the system forbids it.
    static std::shared_ptr<const MachineCode> make(const std::vector<uint8_t>& code);
    ~MachineCode();
    MachineCode(const MachineCode&) = delete;

    template <class Call>
    void run(Call* call) const { reinterpret_cast<void (*)(Call*)>(memory_)(call); }

private:
    MachineCode(void* memory, std::size_t size) : memory_(memory), size_(size) {}
    void* memory_;
    std::size_t size_;
};

}  // namespace spikeflow
