// Shares a product of matrices out among threads.
#include "gemm/gemm.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "compiler.h"
#include "cpu_features.h"
#include "threads.h"

namespace textrnn {

#if defined(TEXTRNN_X86)
extern const Products products_avx512;
extern MultiplyPacked* const packed_avx512;
#if defined(TEXTRNN_BFLOAT16)
extern const Products products_avx512bf16;
extern MultiplyPacked* const packed_avx512bf16;
#endif
#if defined(TEXTRNN_INT8)
extern MultiplyPacked* const packed_avx512vnni;
#endif
#endif

namespace {

constexpr int64_t kChunk = 384;           // steps: a panel, or a strip and some of c, in the first-level cache
constexpr int64_t kPanels = 12;           // at most
constexpr int64_t kRows = 256;            // in a run of them, at least
constexpr double kWorthAThread = 1 << 20;  // multiplications that take longer than waking a thread

const Products* find_products() {
#if defined(TEXTRNN_X86)
#if defined(TEXTRNN_BFLOAT16)
  if (has_bfloat16() && !has_amx()) return &products_avx512bf16;
#endif
  if (has_avx512()) return &products_avx512;
#endif
  return nullptr;
}

const Products* products() {
  static const Products* const found = find_products();
  return found;
}

// What multiplies by panels of an element.
struct Packed {
  bool has;                  // this processor has the instructions
  MultiplyPacked* multiply;  // null: this library does not
};

Packed find_packed([[maybe_unused]] int64_t element) {
#if defined(TEXTRNN_X86)
  if (element == 4) return {has_avx512(), packed_avx512};
#if defined(TEXTRNN_BFLOAT16)
  if (element == 2) return {has_bfloat16(), packed_avx512bf16};
#endif
#if defined(TEXTRNN_INT8)
  if (element == 1) return {has_int8(), packed_avx512vnni};
#endif
#endif
  return {false, nullptr};
}

Packed packed_of(int64_t element) {
  // asked once: under a hypervisor an answer takes microseconds
  static const Packed of_1 = find_packed(1), of_2 = find_packed(2), of_4 = find_packed(4);
  return element == 1 ? of_1 : element == 2 ? of_2 : element == 4 ? of_4 : Packed{false, nullptr};
}

int64_t divide_up(int64_t x, int64_t by) { return (x + by - 1) / by; }

// Parts of about the same size: a run of rows for each thread, in blocks of columns. So a thread works on the rows that
// it works on in the recurrence. Every run of rows packs all of b for itself: where rows are too few for that to pay,
// and where they are not those of the recurrence (a is transposed then), columns are shared out.
std::vector<Part> share_out(const Product& p, int threads) {
  const int64_t steps = std::max<int64_t>(1, p.element == 4 ? p.K : divide_up(p.K, 2));
  // sums that are rounded to 16 bits are not cut
  const int64_t chunk = p.c_element == 2 ? steps : std::min(steps, kChunk);
  const int64_t panels = divide_up(p.N, kTileColumns), strips = divide_up(p.M, kTileRows);
  const int64_t most = std::clamp<int64_t>(kCache / (chunk * kStepBytes), 1, kPanels);
  const int64_t runs = p.a_column == 1 ? std::clamp<int64_t>(p.M / kRows, 1, threads) : 1;
  const int64_t wanted = threads > 1 ? divide_up(2 * threads, runs) : 1;
  const int64_t columns = std::max(divide_up(panels, most), std::min(divide_up(panels, 2), wanted));
  const int64_t rows = std::max(runs, std::min(strips, divide_up(wanted, columns)));
  const int64_t width = divide_up(panels, columns) * kTileColumns, height = divide_up(strips, rows) * kTileRows;
  std::vector<Part> parts;
  for (int64_t row = 0; row < p.M; row += height)
    for (int64_t column = 0; column < p.N; column += width)
      parts.push_back({row, std::min(row + height, p.M), column, std::min(column + width, p.N), chunk});
  return parts;
}

// How many threads a product is worth, of `threads`: one at least.
int worth(int64_t M, int64_t N, int64_t K, int threads) {
  return int(std::min<double>(std::max(1, threads), 1 + double(M) * double(N) * double(K) / kWorthAThread));
}

}  // namespace
}  // namespace textrnn

// The bytes of the elements that textrnn_multiply takes on this processor: 0 (none), 4 (float32), or 6 (float32 and
// bfloat16: 4 + 2).
EXPORT int textrnn_multiplies() {
  const textrnn::Products* found = textrnn::products();
  return found ? (found->of_bfloat16 ? 6 : 4) : 0;
}

// Returns 0, or 1 for want of memory, or 2 where the elements are not those that it takes.
EXPORT int textrnn_multiply(const textrnn::Product* p, int threads) try {
  const textrnn::Products* found = textrnn::products();
  if (!found || (p->element == 4 ? p->c_element != 4 : p->element != 2 || !found->of_bfloat16)) return 2;
  if (p->c_element != 4 && p->c_element != 2) return 2;
  if (p->M <= 0 || p->N <= 0) return 0;
  threads = textrnn::worth(p->M, p->N, p->K, threads);
  const auto parts = textrnn::share_out(*p, threads);
  const auto multiply = p->element == 4 ? found->of_float : found->of_bfloat16;
  textrnn::parallel_for(int64_t(parts.size()), threads, [&](int64_t i) {
    const textrnn::Part& part = parts[size_t(i)];
    multiply(*p, part, textrnn::thread_scratch(size_t(textrnn::scratch_bytes(part))));
  });
  return 0;
} catch (...) {
  return 1;
}

// Whether textrnn_multiply_packed takes panels of elements of so many bytes: 0 (yes), 1 (this processor lacks the
// instructions) or 2 (the library was compiled without them).
EXPORT int textrnn_lacks_packed(int64_t element) {
  const textrnn::Packed found = textrnn::packed_of(element);
  return !found.multiply ? 2 : !found.has ? 1 : 0;
}

// Returns 0, or 1 for want of memory, or 2 where the elements are not those that it takes.
EXPORT int textrnn_multiply_packed(const textrnn::PackedProduct* p, int threads) try {
  const textrnn::Packed found = textrnn::packed_of(p->element);
  if (!found.multiply || !found.has) return 2;
  if (p->M <= 0 || p->N <= 0) return 0;
  threads = textrnn::worth(p->M, p->N, p->K, threads);
  const int64_t strips = textrnn::divide_up(p->M, textrnn::kTileRows);
  const int64_t rows = std::min(textrnn::kPackedRows, textrnn::divide_up(strips, threads) * textrnn::kTileRows);
  textrnn::parallel_for(textrnn::divide_up(p->M, rows), threads, [&](int64_t i) {
    char* const scratch = textrnn::thread_scratch(size_t(textrnn::packed_bytes(*p)));
    found.multiply(*p, i * rows, std::min((i + 1) * rows, p->M), scratch);
  });
  return 0;
} catch (...) {
  return 1;
}
