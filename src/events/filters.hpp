// Filters that keep some of the events: each looks at an event and at what its pixels remember, in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace spikeflow::events {

// Events as columns that somebody else owns.
struct View {
    const std::int64_t* t;
    const std::uint16_t* x;
    const std::uint16_t* y;
    const std::uint8_t* p;
    std::size_t size;
};

// What the pixels remember, row by row, with a border of one pixel on every side that no event reaches. Whoever owns it
// may give it to the next piece of the same recording.
struct Memory {
    std::int64_t* cell;
    std::size_t rows, columns;  // with the border
};
inline constexpr std::int64_t NEVER = std::numeric_limits<std::int64_t>::min();

// Each writes 1 for an event to keep, else 0; throws std::out_of_range at an event outside the memory.

// Kept: a pixel among the 8 around (and, with `itself`, the same) had an event less than `window` before.
void background_activity(View events, Memory times, std::uint8_t* keep, std::int64_t window, bool itself);
// Kept: the last kept event of the pixel is at least `period` ago.
void refractory(View events, Memory times, std::uint8_t* keep, std::int64_t period);
// Kept: the pixel's sum of on (+1) and off (-1) reaches `threshold` in size, and starts again from 0.
void integrate(View events, Memory sums, std::uint8_t* keep, std::int64_t threshold);

}  // namespace spikeflow::events
