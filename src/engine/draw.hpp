// Random numbers from counters, and distributions of them by fixed formulas: the operations of spikeflow/counters.py and
// spikeflow/ir/draw.py in the same order, so the same bits. No function of the C library but exact ones.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace spikeflow::draw {

inline constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

inline uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9;
    x ^= x >> 27;
    x *= 0x94D049BB133111EB;
    return x ^ (x >> 31);
}

// The key of a stream of words.
inline uint64_t key(uint64_t seed, std::initializer_list<uint64_t> counters) {
    uint64_t k = mix(seed + kGolden);
    for (const uint64_t c : counters) k = mix(k + c * kGolden);
    return k;
}

inline uint64_t word(uint64_t key, uint64_t index) { return mix(key + (index + 1) * kGolden); }
inline uint64_t bits53(uint64_t key, uint64_t index) { return word(key, index) >> 11; }
inline double uniform(uint64_t bits) { return (static_cast<double>(bits) + 0.5) * 0x1p-53; }

template <std::size_t n>
inline double horner(const double (&c)[n], double x) {
    double total = c[0];
    for (std::size_t i = 1; i < n; ++i) total = total * x + c[i];
    return total;
}

inline double log(double x) {
    constexpr double series[] = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1.0};
    int exponent = 0;
    double m = std::frexp(x, &exponent);
    const bool low = m < 0.7071067811865476;
    if (low) m = m + m;
    const double power = static_cast<double>(exponent) - (low ? 1.0 : 0.0);
    const double s = (m - 1.0) / (m + 1.0);
    return power * 0.6931471805599453 + (s + s) * horner(series, s * s);
}

// The standard normal number below which a share u of all lie (Wichura 1988, algorithm AS 241).
inline double normal(double u) {
    constexpr double c1[] = {2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
                             1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0};
    constexpr double c2[] = {5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
                             5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0};
    constexpr double m1[] = {7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
                             3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0};
    constexpr double m2[] = {1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
                             6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0};
    constexpr double t1[] = {2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
                             2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0};
    constexpr double t2[] = {2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
                             1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0};
    const double q = u - 0.5;
    if (std::fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * horner(c1, r) / horner(c2, r);
    }
    const double r = std::sqrt(-log(q < 0.0 ? u : 1.0 - u));
    const double z = r <= 5.0 ? horner(m1, r - 1.6) / horner(m2, r - 1.6) : horner(t1, r - 5.0) / horner(t2, r - 5.0);
    return q < 0.0 ? -z : z;
}

// floor(part 2**64 / whole) for part < whole < 2**32.
inline uint64_t fraction(uint64_t part, uint64_t whole) {
    const uint64_t high = (part << 32) / whole, rest = (part << 32) % whole;
    return (high << 32) | ((rest << 32) / whole);
}

// How many of `count` fall into `part` of `whole` equal boxes: 64 at a time, digit by digit.
inline int64_t binomial(uint64_t key, int64_t count, uint64_t part, uint64_t whole) {
    const uint64_t share = fraction(part, whole);
    int64_t inside = 0;
    for (int64_t first = 0; first < count; first += 64) {
        uint64_t open = count - first < 64 ? (uint64_t{1} << (count - first)) - 1 : ~uint64_t{0};
        for (int digit = 0; digit < 64 && (share << digit) != 0 && open != 0; ++digit) {
            const uint64_t random = word(key, static_cast<uint64_t>(first + digit));
            if ((share >> (63 - digit)) & 1) {
                inside += std::popcount(open & ~random);
                open &= random;
            } else {
                open &= ~random;
            }
        }
    }
    return inside;
}

}  // namespace spikeflow::draw
