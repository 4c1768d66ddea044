#include "events/filters.hpp"

#include <stdexcept>

namespace spikeflow::events {

namespace {

std::int64_t* cell(View events, Memory memory, std::size_t i) {
    const std::size_t row = events.y[i] + std::size_t{1}, column = events.x[i] + std::size_t{1};
    if (row + 1 >= memory.rows || column + 1 >= memory.columns) throw std::out_of_range("an event outside the sensor");
    return memory.cell + row * memory.columns + column;
}

// Times are in order, so the difference of any two fits an unsigned number.
bool sooner(std::int64_t now, std::int64_t before, std::int64_t span) {
    return before != NEVER &&
           static_cast<std::uint64_t>(now) - static_cast<std::uint64_t>(before) < static_cast<std::uint64_t>(span);
}

}  // namespace

void background_activity(View events, Memory times, std::uint8_t* keep, std::int64_t window, bool itself) {
    for (std::size_t i = 0; i < events.size; ++i) {
        std::int64_t* const here = cell(events, times, i);
        const std::int64_t now = events.t[i], *const above = here - times.columns, *const below = here + times.columns;
        bool found = itself && sooner(now, *here, window);
        found = found || sooner(now, here[-1], window) || sooner(now, here[1], window);
        for (int k = -1; k <= 1; ++k) found = found || sooner(now, above[k], window) || sooner(now, below[k], window);
        keep[i] = found;
        *here = now;
    }
}

void refractory(View events, Memory times, std::uint8_t* keep, std::int64_t period) {
    for (std::size_t i = 0; i < events.size; ++i) {
        std::int64_t* const here = cell(events, times, i);
        keep[i] = !sooner(events.t[i], *here, period);
        if (keep[i]) *here = events.t[i];
    }
}

void integrate(View events, Memory sums, std::uint8_t* keep, std::int64_t threshold) {
    for (std::size_t i = 0; i < events.size; ++i) {
        std::int64_t* const here = cell(events, sums, i);
        *here += events.p[i] ? 1 : -1;
        keep[i] = *here >= threshold || *here <= -threshold;
        if (keep[i]) *here = 0;
    }
}

}  // namespace spikeflow::events
