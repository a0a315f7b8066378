// Codes of value / scale, the code of the nearest level being looked up as cells.py says.
//
// Exactly the torch version's results: the same division, the same comparison, no contraction of
// the two. Elements are dealt to threads in runs, so that a thread that is held up holds up nobody.
#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cstdint>
#include <cstring>
#include <limits>
#include <system_error>
#include <thread>
#include <vector>

static_assert(FLT_EVAL_METHOD == 0, "quotients must be rounded to float");
static_assert(std::numeric_limits<float>::is_iec559 && sizeof(float) == 4, "float is no binary32");

namespace {

constexpr std::int64_t RUN = 1 << 15;
constexpr std::int64_t PIECE = 256;

struct Tables {
    const float* bounds;
    const std::uint8_t* codes;
    int shift;
    std::int32_t offset;
};

// Codes of `count` values of one row, whose scale is `scale`.
void encode_run(const Tables& tables, const float* values, float scale, std::int64_t count,
                std::uint8_t* out) {
    float quotients[PIECE];
    std::int32_t cells[PIECE];
    for (std::int64_t start = 0; start < count; start += PIECE) {
        const std::int64_t size = std::min(PIECE, count - start);
        for (std::int64_t i = 0; i < size; ++i) {
            quotients[i] = values[start + i] / scale;
        }
        std::memcpy(cells, quotients, sizeof(float) * static_cast<std::size_t>(size));
        for (std::int64_t i = 0; i < size; ++i) {
            cells[i] = (cells[i] >> tables.shift) + tables.offset;
        }
        for (std::int64_t i = 0; i < size; ++i) {
            const std::int32_t cell = cells[i];
            out[start + i] = tables.codes[2 * cell - (quotients[i] < tables.bounds[cell])];
        }
    }
}

}  // namespace

// `values` and `out` are rows x length, without gaps; `scales` has one number a row.
extern "C" void nibblemac_encode(const float* values, const float* scales, std::int64_t rows,
                                 std::int64_t length, const float* bounds,
                                 const std::uint8_t* codes, std::int32_t shift,
                                 std::int32_t offset, std::uint8_t* out, std::int32_t threads) {
    const Tables tables{bounds, codes, shift, offset};
    const std::int64_t total = rows * length;
    std::atomic<std::int64_t> next{0};
    const auto work = [&]() {
        for (;;) {
            std::int64_t at = next.fetch_add(RUN);
            const std::int64_t end = std::min(total, at + RUN);
            if (at >= total) {
                return;
            }
            while (at < end) {
                const std::int64_t row = at / length;
                const std::int64_t stop = std::min(end, (row + 1) * length);
                encode_run(tables, values + at, scales[row], stop - at, out + at);
                at = stop;
            }
        }
    };
    std::vector<std::thread> helpers;
    const std::int64_t most = std::min<std::int64_t>(threads, (total + RUN - 1) / RUN);
    try {
        while (static_cast<std::int64_t>(helpers.size()) + 1 < most) {
            helpers.emplace_back(work);
        }
    } catch (const std::system_error&) {
        // Fewer threads than wished for do it too.
    }
    work();
    for (auto& helper : helpers) {
        helper.join();
    }
}
