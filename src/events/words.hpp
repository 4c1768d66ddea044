// Little-endian words out of bytes, on any machine.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace spikeflow::events {

template <class Word>
Word little(const std::uint8_t* bytes) {
    Word word;
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(&word, bytes, sizeof(Word));
    } else {
        word = 0;
        for (std::size_t i = 0; i < sizeof(Word); ++i) word |= static_cast<Word>(Word{bytes[i]} << (8 * i));
    }
    return word;
}

// Many of them at once, into an array that nothing else points at: loops over it can then be made of vector instructions.
template <class Word, std::size_t N>
void little(const std::uint8_t* bytes, Word (&words)[N]) {
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(words, bytes, sizeof(words));
    } else {
        for (std::size_t i = 0; i < N; ++i) words[i] = little<Word>(bytes + i * sizeof(Word));
    }
}

}  // namespace spikeflow::events
