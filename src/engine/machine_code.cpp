#include "machine_code.hpp"

#include <cstring>

#if defined(SPIKEFLOW_X86) && defined(__linux__)
#include <sys/mman.h>
#endif

namespace spikeflow {

#if defined(SPIKEFLOW_X86) && defined(__linux__)

std::shared_ptr<const MachineCode> MachineCode::make(const std::vector<uint8_t>& code) {
    void* const memory = mmap(nullptr, code.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    std::memcpy(memory, code.data(), code.size());
    std::shared_ptr<const MachineCode> made(new MachineCode(memory, code.size()));
    // systems may forbid it
    return mprotect(memory, code.size(), PROT_READ | PROT_EXEC) == 0 ? made : nullptr;
}

MachineCode::~MachineCode() { munmap(memory_, size_); }

#else

std::shared_ptr<const MachineCode> MachineCode::make(const std::vector<uint8_t>&) { return nullptr; }
MachineCode::~MachineCode() = default;

#endif

}  // namespace spikeflow
