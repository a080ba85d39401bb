// Entry points of matrix products, and their division among threads.
#include "gemm/gemm.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "compiler.h"
#include "cpu_features.h"
#include "dispatch.h"
#include "gemm/multiplier.h"
#include "threads.h"

namespace textrnn {

#if defined(TEXTRNN_X86)
extern const GemmKernels gemm_avx512;
extern MultiplyPrepacked* const prepacked_avx512;
#if defined(TEXTRNN_BFLOAT16)
extern const GemmKernels gemm_avx512bf16;
extern MultiplyPrepacked* const prepacked_avx512bf16;
#endif
#if defined(TEXTRNN_INT8)
extern MultiplyPrepacked* const prepacked_avx512vnni;
#endif
#if defined(TEXTRNN_AMX)
extern MultiplyPrepacked* const prepacked_amxbf16;
extern MultiplyPrepacked* const prepacked_amxint8;
extern const RoundedGemm rounded_gemm_amx;
#endif
#endif

namespace {

constexpr int64_t kChunk = 384;           // steps: a panel, or a strip and a part of c, fits the first-level cache
constexpr int64_t kPanels = 12;           // of a part, at most
constexpr int64_t kRows = 256;            // of a run, at least
constexpr double kWorthAThread = 1 << 20;  // multiplications that take longer than to wake a thread

const GemmKernels* find_gemm() {
#if defined(TEXTRNN_X86)
#if defined(TEXTRNN_BFLOAT16)
  if (has_bfloat16() && !has_amx()) return &gemm_avx512bf16;
#endif
  if (has_avx512()) return &gemm_avx512;
#endif
  return nullptr;
}

const GemmKernels* gemm_kernels() {
  static const GemmKernels* const kernels = find_gemm();
  return kernels;
}

// Kernel for panels of an element.
struct PrepackedKernel {
  bool is_supported;            // by this processor
  MultiplyPrepacked* multiply;  // null: not compiled
  const char* instructions;
};

PrepackedKernel find_prepacked([[maybe_unused]] int64_t element) {
#if defined(TEXTRNN_X86)
  if (element == 4) return {has_avx512(), prepacked_avx512, "AVX-512"};
#if defined(TEXTRNN_AMX)
  if (has_amx() && element < 4) return {true, element == 2 ? prepacked_amxbf16 : prepacked_amxint8, "AMX"};
#endif
#if defined(TEXTRNN_BFLOAT16)
  if (element == 2) return {has_bfloat16(), prepacked_avx512bf16, "AVX-512 BF16"};
#endif
#if defined(TEXTRNN_INT8)
  if (element == 1) return {has_int8(), prepacked_avx512vnni, "AVX-512 VNNI"};
#endif
#endif
  return {false, nullptr, ""};
}

PrepackedKernel prepacked_kernel(int64_t element) {
  // asked once: under a hypervisor an answer takes microseconds
  static const PrepackedKernel of_1 = find_prepacked(1), of_2 = find_prepacked(2), of_4 = find_prepacked(4);
  return element == 1 ? of_1 : element == 2 ? of_2 : element == 4 ? of_4 : PrepackedKernel{false, nullptr, ""};
}

int64_t divide_up(int64_t x, int64_t by) { return (x + by - 1) / by; }

// Parts of similar size: a run of rows for each thread, in blocks of columns, so that a thread keeps the rows that it
// has in the recurrence. Every run packs all of b again: if rows are too few for that to pay, or are not those of the
// recurrence (a is transposed then), columns are divided instead. A step multiplies `unit` elements of the sum, and a
// tile has `tile_rows` rows.
std::vector<Part> share_out(const GemmArgs& p, int threads, int64_t unit, int64_t tile_rows) {
  const int64_t steps = std::max<int64_t>(1, divide_up(p.K, unit));
  // a sum that is rounded to 16 bits stays in one chunk
  const int64_t chunk = p.c_element == 2 ? steps : std::min(steps, kChunk);
  const int64_t panels = divide_up(p.N, kTileColumns), strips = divide_up(p.M, tile_rows);
  const int64_t most = std::clamp<int64_t>(kCache / (chunk * kStepBytes), 1, kPanels);
  const int64_t runs = p.a_column == 1 ? std::clamp<int64_t>(p.M / kRows, 1, threads) : 1;
  const int64_t wanted = threads > 1 ? divide_up(2 * threads, runs) : 1;
  const int64_t columns = std::max(divide_up(panels, most), std::min(divide_up(panels, 2), wanted));
  const int64_t rows = std::max(runs, std::min(strips, divide_up(wanted, columns)));
  const int64_t width = divide_up(panels, columns) * kTileColumns, height = divide_up(strips, rows) * tile_rows;
  std::vector<Part> parts;
  for (int64_t row = 0; row < p.M; row += height)
    for (int64_t column = 0; column < p.N; column += width)
      parts.push_back({row, std::min(row + height, p.M), column, std::min(column + width, p.N), chunk});
  return parts;
}

// The number of threads, up to `threads`, that a product occupies.
int useful_threads(int64_t M, int64_t N, int64_t K, int threads) {
  return int(std::min<double>(std::max(1, threads), 1 + double(M) * double(N) * double(K) / kWorthAThread));
}

bool is_sound(const GemmArgs& p, const GemmKernels& kernels) {
  const bool is_float = p.element == 4 && p.c_element == 4;
  const bool is_bfloat16 = p.element == 2 && kernels.of_bfloat16 && (p.c_element == 4 || p.c_element == 2);
  return (is_float || is_bfloat16) && (p.c_column == 1 || p.N <= 1);
}

// Runs of `rows` rows.
void multiply_runs(const GemmPrepackedArgs& p, int64_t rows, int threads) {
  const auto multiply = prepacked_kernel(p.element).multiply;
  parallel_for(divide_up(p.M, rows), threads, [&](int64_t i) {
    multiply(p, i * rows, std::min((i + 1) * rows, p.M), thread_scratch(size_t(prepacked_bytes(p))));
  });
}

}  // namespace

bool can_multiply(const GemmPrepackedArgs& p) {
  const PrepackedKernel kernel = prepacked_kernel(p.element);
  if (!kernel.multiply || !kernel.is_supported) return false;
  const int64_t width = divide_up(p.N, kTileColumns) * kTileColumns, depth = 4 / p.element;
  return p.elements == width * prepacked_steps(p) * depth && p.columns == (p.element == 1 ? width : 0);
}

Multiplier::Multiplier(int64_t element) : element_(element) {
  if (element == 4 && gemm_kernels()) pack_ = gemm_kernels()->pack, multiply_ = gemm_kernels()->of_float;
#if defined(TEXTRNN_AMX)
  if (element == 2 && has_amx()) pack_ = rounded_gemm_amx.pack, multiply_ = rounded_gemm_amx.multiply;
#endif
}

std::vector<Part> Multiplier::share_out(const GemmArgs& p, int threads) const {
  return textrnn::share_out(p, threads, 4 / element_, element_ == 4 ? kTileRows : kRoundedRows);
}

void Multiplier::multiply(const GemmArgs& p, const Part& part) const {
  multiply_(p, part, thread_scratch(size_t(element_ == 4 ? scratch_bytes(part) : rounded_scratch_bytes(part))));
}

int64_t Multiplier::packed_bytes(int64_t K, int64_t N) const {
  GemmPrepackedArgs sizes{};
  sizes.K = K, sizes.element = element_;
  return divide_up(N, kTileColumns) * prepacked_steps(sizes) * kStepBytes;
}

void Multiplier::pack(const float* b, int64_t K, int64_t N, int64_t b_row, int64_t b_column, int64_t panel,
                      char* to) const {
  const int64_t column = panel * kTileColumns;
  pack_(b + column * b_column, K, N - column, b_row, b_column, to + panel * packed_bytes(K, kTileColumns));
}

void Multiplier::multiply_packed(const float* x, int64_t M, int64_t K, const char* panels, int64_t N, float* c) const {
  multiply_prepacked({M, K, packed_bytes(K, N) / element_, 0, N, element_, x, panels, nullptr, nullptr, c});
}

void multiply_prepacked(const GemmPrepackedArgs& p) { multiply_runs(p, kPrepackedRows, 1); }

}  // namespace textrnn

using namespace textrnn;

// The element bytes that textrnn_gemm supports on this processor, added up: 0, 4 (float32), or 6 (and bfloat16).
EXPORT int textrnn_gemm_dtypes() {
  const GemmKernels* kernels = gemm_kernels();
  return kernels ? (kernels->of_bfloat16 ? 6 : 4) : 0;
}

EXPORT int textrnn_gemm(const GemmArgs* p, int threads) try {
  const GemmKernels* kernels = gemm_kernels();
  if (!kernels || !is_sound(*p, *kernels)) return kInvalidArgument;
  if (p->M <= 0 || p->N <= 0) return kOk;
  threads = useful_threads(p->M, p->N, p->K, threads);
  const auto parts = share_out(*p, threads, 4 / p->element, kTileRows);
  const auto multiply = p->element == 4 ? kernels->of_float : kernels->of_bfloat16;
  parallel_for(int64_t(parts.size()), threads, [&](int64_t i) {
    multiply(*p, parts[size_t(i)], thread_scratch(size_t(scratch_bytes(parts[size_t(i)]))));
  });
  return kOk;
} catch (...) {
  return kOutOfMemory;
}

// 0 if textrnn_gemm_prepacked supports panels of this element, 1 if the processor lacks the instructions, 2 if they
// were not compiled.
EXPORT int textrnn_lacks_prepacked(int64_t element) {
  const PrepackedKernel kernel = prepacked_kernel(element);
  return !kernel.multiply ? 2 : !kernel.is_supported ? 1 : 0;
}

// The instructions with which it does.
EXPORT const char* textrnn_prepacked_instructions(int64_t element) { return prepacked_kernel(element).instructions; }

EXPORT int textrnn_gemm_prepacked(const GemmPrepackedArgs* p, int threads) try {
  if (!can_multiply(*p)) return kInvalidArgument;
  if (p->M <= 0 || p->N <= 0) return kOk;
  threads = useful_threads(p->M, p->N, p->K, threads);
  const int64_t strips = divide_up(p->M, kTileRows);
  multiply_runs(*p, std::min(kPrepackedRows, divide_up(strips, threads) * kTileRows), threads);
  return kOk;
} catch (...) {
  return kOutOfMemory;
}
