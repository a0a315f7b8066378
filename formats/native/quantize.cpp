// The quantizer's two passes over large float32 rows: largest magnitudes, and codes of value/scale.
//
// Exactly torch's results: the same division, the same comparisons, no contraction of the two.
// Elements are dealt to threads in runs, so that a thread that is held up holds up nobody.
#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <system_error>
#include <thread>

static_assert(FLT_EVAL_METHOD == 0, "quotients must be rounded to float");
static_assert(std::numeric_limits<float>::is_iec559 && sizeof(float) == 4, "float is no binary32");

// Wider vectors where the processor has them, chosen when the library is loaded.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define WIDER __attribute__((target_clones("avx2", "default")))
#endif
#endif
#ifndef WIDER
#define WIDER
#endif

namespace {

constexpr std::int64_t RUN = 1 << 15;
constexpr std::int64_t PIECE = 256;
struct Shared {
    std::atomic<std::int64_t> next{0};
    std::atomic<std::int64_t> done{0};
};

// Calls work(row, first, last) for runs of elements that each lie in one row.
template <class Work>
void deal(std::int64_t rows, std::int64_t length, bool whole_rows, int threads, const Work& work) {
    const std::int64_t total = rows * length;
    if (total == 0) {
        return;
    }
    const std::int64_t run = whole_rows ? std::max<std::int64_t>(1, RUN / length) * length : RUN;
    const auto shared = std::make_shared<Shared>();
    const auto serve = [=, &work](Shared& state) {
        for (;;) {
            std::int64_t at = state.next.fetch_add(run);
            if (at >= total) {
                return;
            }
            const std::int64_t begin = at;
            const std::int64_t end = std::min(total, at + run);
            while (at < end) {
                const std::int64_t row = at / length;
                const std::int64_t stop = std::min(end, (row + 1) * length);
                work(row, at, stop);
                at = stop;
            }
            state.done.fetch_add(end - begin, std::memory_order_release);
        }
    };
    const std::int64_t most = std::min<std::int64_t>(threads, (total + run - 1) / run);
    try {
        for (std::int64_t helper = 1; helper < most; ++helper) {
            // One that starts late finds nothing to do, and nobody has waited for it: until it has
            // a run it touches only what it shares.
            std::thread([shared, serve] { serve(*shared); }).detach();
        }
    } catch (const std::system_error&) {
        // Fewer threads than wished for do it too.
    }
    serve(*shared);
    while (shared->done.load(std::memory_order_acquire) < total) {
        std::this_thread::yield();
    }
}

// As integers magnitudes have the order that they have as floats, and NaN is above infinity.
WIDER std::int32_t largest_bits(const float* values, std::int64_t count) {
    std::int32_t found = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        std::int32_t bits;
        std::memcpy(&bits, values + i, sizeof bits);
        bits &= 0x7fffffff;
        found = bits > found ? bits : found;
    }
    return found;
}

WIDER void divide(const float* values, float scale, std::int64_t count, float* quotients) {
    for (std::int64_t i = 0; i < count; ++i) {
        quotients[i] = values[i] / scale;
    }
}

}  // namespace

extern "C" {

// `values` is rows x length without gaps; `largest` gets one number a row, NaN where it has one.
void nibblemac_largest(const float* values, std::int64_t rows, std::int64_t length, float* largest,
                       std::int32_t threads) {
    deal(rows, length, true, threads, [&](std::int64_t row, std::int64_t at, std::int64_t stop) {
        const std::int32_t bits = largest_bits(values + at, stop - at);
        std::memcpy(largest + row, &bits, sizeof bits);
    });
}

// Codes by the tables of cells.py. `out` is as `values`; `scales` has one number a row.
void nibblemac_encode(const float* values, const float* scales, std::int64_t rows,
                       std::int64_t length, const float* bounds, const std::uint8_t* codes,
                       std::int32_t shift, std::int32_t offset, std::uint8_t* out,
                       std::int32_t threads) {
    deal(rows, length, false, threads, [&](std::int64_t row, std::int64_t at, std::int64_t stop) {
        float quotients[PIECE];
        std::int32_t cells[PIECE];
        for (; at < stop; at += PIECE) {
            const std::int64_t size = std::min(PIECE, stop - at);
            divide(values + at, scales[row], size, quotients);
            std::memcpy(cells, quotients, sizeof(float) * static_cast<std::size_t>(size));
            for (std::int64_t i = 0; i < size; ++i) {
                const std::int32_t cell = (cells[i] >> shift) + offset;
                out[at + i] = codes[2 * cell - (quotients[i] < bounds[cell])];
            }
        }
    });
}

}  // extern "C"
