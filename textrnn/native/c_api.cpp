// What the library offers, with C linkage: cpu.py calls it through ctypes, which lets go of the interpreter's lock.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "nn/nn_kernels.h"
#include "ngrams/ngrams.h"
#include "sru/sru_args.h"
#include "cpu_features.h"
#include "rnn/rnn.h"
#include "threads.h"

namespace textrnn {

extern const Kernels kernels_generic;
extern const Beside beside_generic;
extern const Rnn rnn_generic;
#if defined(TEXTRNN_X86)
extern const Kernels kernels_avx2, kernels_avx512;
extern const Beside beside_avx2, beside_avx512;
extern const Rnn rnn_avx2, rnn_avx512;
#endif

namespace {

// The arithmetic for an instruction set.
struct Level {
  const Kernels* kernels;
  const Beside* beside;
  const Rnn* rnn;
};

// What this processor can run, the fastest last.
std::vector<Level> list_levels() {
  std::vector<Level> found = {{&kernels_generic, &beside_generic, &rnn_generic}};
#if defined(TEXTRNN_X86)
  if (has_avx2()) found.push_back({&kernels_avx2, &beside_avx2, &rnn_avx2});
  if (has_avx512()) found.push_back({&kernels_avx512, &beside_avx512, &rnn_avx512});
#endif
  return found;
}

const std::vector<Level>& levels() {
  static const std::vector<Level> found = list_levels();
  return found;
}

std::atomic<const Level*>& chosen() {
  static std::atomic<const Level*> in_use{&levels().back()};
  return in_use;
}

// Wrong offsets would have the kernels write anywhere.
bool is_sound(const Problem& p) {
  if (p.element != 4 && p.element != 2) return false;
  if (p.offsets[0] != 0 || p.offsets[p.B] != p.N) return false;
  for (int64_t i = 0; i < p.B; ++i)
    if (p.offsets[i] > p.offsets[i + 1]) return false;
  if (!p.rows) return p.R == p.N;
  for (int64_t i = 0; i < p.N; ++i)
    if (p.rows[i] < 0 || p.rows[i] >= p.R) return false;
  return true;
}

// The sequences in chunks that depend on their lengths alone: dv and db are summed within a chunk, then over chunks in
// order, so that they come out the same however many threads there are.
std::vector<int64_t> cut(const Problem& p) {
  std::vector<int64_t> bounds = {0};
  for (int64_t i = 1; i < p.B; ++i)
    if (p.offsets[i] - p.offsets[bounds.back()] >= kTokens) bounds.push_back(i);
  bounds.push_back(p.B);
  return bounds;
}

// Columns of a task: all, up to kBlock, but fewer where there would not be work for every thread.
int64_t block_width(const Problem& p, int64_t parts, int threads) {
  int64_t width = kBlock;
  while (width > kColumns && parts * ((p.D + width - 1) / width) < 2 * threads) width /= 2;
  return width;
}

struct Job {
  const Problem& problem;
  void (*run)(const Problem&, const Task&);
  const std::vector<Task>& tasks;
  Tasks queue;
};

void work(void* context) {
  Job& job = *static_cast<Job*>(context);
  job.queue.take(thread_index(), [&](size_t i) { job.run(job.problem, job.tasks[i]); });
}

void run(const Problem& p, void (*kernel)(const Problem&, const Task&), const std::vector<int64_t>& bounds, float* sums,
         int threads) {
  std::vector<Task> tasks;
  const int64_t chunks = int64_t(bounds.size()) - 1, width = block_width(p, chunks * p.K, threads);
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int64_t k = 0; k < p.K; ++k)
      for (int64_t begin = 0; begin < p.D; begin += width)
        tasks.push_back({bounds[chunk], bounds[chunk + 1], k, begin, std::min(begin + width, p.D),
                         sums ? sums + (chunk * p.K + k) * 4 * p.D : nullptr});
  threads = std::max(1, int(std::min<size_t>(size_t(threads), tasks.size())));
  Job job{p, kernel, tasks, {tasks.size(), threads}};
  run_on(threads, work, &job);
}

void add_up(const Problem& p, const std::vector<float>& sums, int64_t chunks) {
  for (int64_t k = 0; k < p.K; ++k)
    for (int g = 0; g < 4; ++g) {  // forget and reset of v, then of b
      float* total = (g < 2 ? p.dv : p.db) + (k * 2 + g % 2) * p.D;
      std::fill(total, total + p.D, 0.0f);
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const float* part = sums.data() + ((chunk * p.K + k) * 4 + g) * p.D;
        for (int64_t d = 0; d < p.D; ++d) total[d] += part[d];
      }
    }
}

// Calls of `work(beside, i)` for 0 <= i < count, shared out among threads.
template <class Work>
struct Calls {
  const Beside& beside;
  const Work& work;
  Tasks queue;

  static void run(void* context) {
    Calls& calls = *static_cast<Calls*>(context);
    calls.queue.take(thread_index(), [&](size_t i) { calls.work(calls.beside, int64_t(i)); });
  }
};

template <class Work>
int share(int64_t count, int threads, const Work& work) try {
  threads = int(std::max<int64_t>(1, std::min<int64_t>(threads, count)));
  Calls<Work> calls{*chosen().load()->beside, work, {size_t(count), threads}};
  run_on(threads, Calls<Work>::run, &calls);
  return 0;
} catch (...) {
  return 1;
}

// Whether every sequence has a row, and all rows belong to one.
bool is_filled(const int64_t* offsets, int64_t N, int64_t B) {
  if (offsets[0] != 0 || offsets[B] != N) return false;
  for (int64_t i = 0; i < B; ++i)
    if (offsets[i] >= offsets[i + 1]) return false;
  return true;
}

// Whether `rows` (N,), or 0 to N - 1 where it is null, are rows of R.
bool are_rows(const int32_t* rows, int64_t N, int64_t R) {
  if (!rows) return N <= R;
  return std::all_of(rows, rows + N, [=](int32_t row) { return row >= 0 && row < R; });
}

// In a task.
constexpr int64_t kElements = 1 << 14;
constexpr int64_t kNormedRows = 64;
constexpr int64_t kSummedRows = 64;

// Rows of a part, those of a task.
struct Stretch {
  const Moved* of;
  int64_t begin, end;
};

std::vector<Stretch> cut(const Moved* parts, int64_t count) {
  std::vector<Stretch> found;
  for (const Moved* part = parts; part != parts + count; ++part) {
    const int64_t rows = std::max<int64_t>(1, kElements / std::max<int64_t>(1, part->D));
    for (int64_t begin = 0; begin < part->R; begin += rows) found.push_back({part, begin, std::min(part->R, begin + rows)});
  }
  return found;
}

// In a task.
constexpr int64_t kTexts = 16;

// `work(first, last)` for runs of the texts. What it throws stays in its thread.
template <class Work>
int share_texts(const Texts& texts, int threads, const Work& work) {
  if (!are_sound(texts)) return 2;
  std::atomic<int> failed{0};
  const int status = share((texts.B + kTexts - 1) / kTexts, threads, [&](const Beside&, int64_t i) {
    try {
      work(i * kTexts, std::min(texts.B, (i + 1) * kTexts));
    } catch (...) {
      failed = 1;
    }
  });
  return status ? status : failed.load();
}

}  // namespace
}  // namespace textrnn

EXPORT int textrnn_interface() { return textrnn::kInterface; }

EXPORT const char* textrnn_pool() { return textrnn::pool_name(); }

// The name of the i-th instruction set that this processor can run, the fastest last; null past the end.
EXPORT const char* textrnn_level(int i) {
  const auto& found = textrnn::levels();
  return i >= 0 && i < int(found.size()) ? found[size_t(i)].kernels->name : nullptr;
}

// Use the i-th instruction set from now on; for tests. Returns 0, or 1 where there is no such.
EXPORT int textrnn_use_level(int i) {
  const auto& found = textrnn::levels();
  if (i < 0 || i >= int(found.size())) return 1;
  textrnn::chosen() = &found[size_t(i)];
  return 0;
}

EXPORT void textrnn_sigmoid(const float* x, float* y, int64_t n) { textrnn::chosen().load()->kernels->sigmoid(x, y, n); }

// Both return 0, or 1 for want of memory, or 2 where offsets, rows or element are not what they should be.
EXPORT int textrnn_sru_forward(const textrnn::Problem* p, int threads) try {
  if (!textrnn::is_sound(*p)) return 2;
  textrnn::run(*p, textrnn::chosen().load()->kernels->forward, textrnn::cut(*p), nullptr, threads);
  return 0;
} catch (...) {
  return 1;
}

EXPORT int textrnn_sru_backward(const textrnn::Problem* p, int threads) try {
  if (!textrnn::is_sound(*p) || p->rows) return 2;
  const auto bounds = textrnn::cut(*p);
  const int64_t chunks = int64_t(bounds.size()) - 1;
  std::vector<float> sums(size_t(chunks * p->K * 4 * p->D));
  textrnn::run(*p, textrnn::chosen().load()->kernels->backward, bounds, sums.data(), threads);
  textrnn::add_up(*p, sums, chunks);
  return 0;
} catch (...) {
  return 1;
}

// Those below return 0, or 1 for want of memory, or 2 where offsets (B+1,) do not rise by 1 at least from 0 to N, or rows
// or places are not among V or R. The buffers are described in beside.h and rnn.h.
EXPORT int textrnn_dropout(int64_t element, const void* x, void* y, int64_t n, double keep, uint64_t key, int threads) {
  using namespace textrnn;
  return share((n + kElements - 1) / kElements, threads, [=](const Beside& beside, int64_t i) {
    beside.dropout(element, x, y, i * kElements, std::min(n, (i + 1) * kElements), float(keep), key);
  });
}

EXPORT int textrnn_pool_rows(int64_t element, const void* x, const int64_t* offsets, int64_t N, int64_t B, int64_t D,
                        float* largest, int32_t* place, float* mean, int threads) {
  using namespace textrnn;
  if (!is_filled(offsets, N, B)) return 2;
  return share(B, threads, [=](const Beside& beside, int64_t i) {
    const char* rows = static_cast<const char*>(x) + offsets[i] * D * element;
    beside.pool(element, rows, offsets[i + 1] - offsets[i], D, largest ? largest + i * D : nullptr,
                place ? place + i * D : nullptr, mean ? mean + i * D : nullptr);
  });
}

EXPORT int textrnn_pool_rows_back(int64_t element, const float* dlargest, const int32_t* place, const float* dmean,
                             const int64_t* offsets, int64_t N, int64_t B, int64_t D, void* dx, int threads) {
  using namespace textrnn;
  if (!is_filled(offsets, N, B)) return 2;
  return share(B, threads, [=](const Beside& beside, int64_t i) {
    char* rows = static_cast<char*>(dx) + offsets[i] * D * element;
    beside.pool_back(element, dlargest ? dlargest + i * D : nullptr, place ? place + i * D : nullptr,
                     dmean ? dmean + i * D : nullptr, offsets[i + 1] - offsets[i], D, rows);
  });
}

EXPORT int textrnn_attend(const float* x, const float* w, const int64_t* offsets, int64_t N, int64_t B, int64_t D,
                          float* pooled, float* weights, int threads) {
  using namespace textrnn;
  if (!is_filled(offsets, N, B)) return 2;
  return share(B, threads, [=](const Beside& beside, int64_t i) {
    const int64_t at = offsets[i], length = offsets[i + 1] - at;
    beside.attend(x + at * D, w, length, D, pooled + i * D, weights ? weights + at : nullptr);
  });
}

EXPORT int textrnn_attend_back(const float* x, const float* w, const float* pooled, const float* weights,
                               const float* dpooled, const int64_t* offsets, int64_t N, int64_t B, int64_t D, float* dx,
                               float* dw, int threads) {
  using namespace textrnn;
  if (!is_filled(offsets, N, B)) return 2;
  return share(B, threads, [=](const Beside& beside, int64_t i) {
    const int64_t at = offsets[i], row = i * D;
    beside.attend_back(x + at * D, w, offsets[i + 1] - at, D, pooled + row, weights + at, dpooled + row, dx + at * D,
                       dw + row);
  });
}

EXPORT int textrnn_rnn(const textrnn::Recurrent* p, int threads) try {
  using namespace textrnn;
  if (!is_filled(p->offsets, p->N, p->B) || !are_rows(p->rows, p->N, p->R)) return 2;
  run_groups(*p, *chosen().load()->rnn, threads);
  return 0;
} catch (...) {
  return 1;
}

EXPORT int textrnn_normalise(const textrnn::Normed* normed, int threads) {
  using namespace textrnn;
  return share((normed->N + kNormedRows - 1) / kNormedRows, threads, [=](const Beside& beside, int64_t i) {
    beside.normalise(*normed, i * kNormedRows, std::min(normed->N, (i + 1) * kNormedRows));
  });
}

// Writes dgain (D,) and dbias (D,) too.
EXPORT int textrnn_normalise_back(const textrnn::Normed* normed, float* dgain, float* dbias, int threads) try {
  using namespace textrnn;
  const int64_t tasks = (normed->N + kNormedRows - 1) / kNormedRows, D = normed->D;
  std::vector<float> sums(size_t(tasks * 2 * D));
  const int status = share(tasks, threads, [&](const Beside& beside, int64_t i) {
    float* const own = sums.data() + i * 2 * D;
    beside.normalise_back(*normed, i * kNormedRows, std::min(normed->N, (i + 1) * kNormedRows), own, own + D);
  });
  std::fill(dgain, dgain + D, 0.0f), std::fill(dbias, dbias + D, 0.0f);
  const Beside& beside = *chosen().load()->beside;
  for (int64_t i = 0; i < tasks; ++i) {  // in this order for any number of threads
    beside.add(sums.data() + i * 2 * D, dgain, D);
    beside.add(sums.data() + (i * 2 + 1) * D, dbias, D);
  }
  return status;
} catch (...) {
  return 1;
}

// sums (R, D) = for each r the sum of those rows of x (N, D) whose place (N,) it is, in their order.
EXPORT int textrnn_add_rows(const float* x, const int64_t* places, int64_t N, int64_t R, int64_t D, float* sums,
                            int threads) try {
  using namespace textrnn;
  std::vector<int64_t> next(size_t(R + 2)), order(static_cast<size_t>(N));
  for (int64_t i = 0; i < N; ++i) {
    if (places[i] < 0 || places[i] >= R) return 2;
    ++next[size_t(places[i] + 2)];
  }
  for (int64_t r = 2; r < R + 2; ++r) next[size_t(r)] += next[size_t(r - 1)];
  for (int64_t i = 0; i < N; ++i) order[size_t(next[size_t(places[i] + 1)]++)] = i;
  return share((R + kSummedRows - 1) / kSummedRows, threads, [&](const Beside& beside, int64_t task) {
    for (int64_t r = task * kSummedRows; r < std::min(R, (task + 1) * kSummedRows); ++r) {
      float* const sum = sums + r * D;
      std::fill(sum, sum + D, 0.0f);
      for (int64_t k = next[size_t(r)]; k < next[size_t(r + 1)]; ++k) beside.add(x + order[size_t(k)] * D, sum, D);
    }
  });
} catch (...) {
  return 1;
}

// The sum of the squares of all gradients of `count` parts.
EXPORT int textrnn_squares(const textrnn::Moved* parts, int64_t count, double* sum, int threads) try {
  using namespace textrnn;
  const auto stretches = cut(parts, count);
  std::vector<double> sums(stretches.size());
  const int status = share(int64_t(stretches.size()), threads, [&](const Beside& beside, int64_t i) {
    const Stretch& stretch = stretches[size_t(i)];
    const int64_t D = stretch.of->D;
    sums[size_t(i)] = beside.squares(stretch.of->gradient + stretch.begin * D, (stretch.end - stretch.begin) * D);
  });
  *sum = 0;
  for (const double part : sums) *sum += part;  // in this order for any number of threads
  return status;
} catch (...) {
  return 1;
}

EXPORT int textrnn_adamw(const textrnn::Moved* parts, int64_t count, const textrnn::Rates* rates, int threads) try {
  using namespace textrnn;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t r = 0; parts[i].rows && r < parts[i].R; ++r)
      if (parts[i].rows[r] < 0 || parts[i].rows[r] >= parts[i].V) return 2;
  const auto stretches = cut(parts, count);
  return share(int64_t(stretches.size()), threads, [&](const Beside& beside, int64_t i) {
    const Moved& part = *stretches[size_t(i)].of;
    const int64_t begin = stretches[size_t(i)].begin, end = stretches[size_t(i)].end, D = part.D;
    const auto move = [&](int64_t to, int64_t from, int64_t n) {
      beside.adamw(part.weight + to, part.mean + to, part.square + to, part.gradient + from, n, float(part.decay), *rates);
    };
    if (!part.rows) return move(begin * D, begin * D, (end - begin) * D);
    for (int64_t r = begin; r < end; ++r) move(part.rows[r] * D, r * D, D);
  });
} catch (...) {
  return 1;
}

// Those below return 0, or 1 for want of memory, or 2 where texts are not sound: see ngrams.h, which has the layouts too.
// The n-grams of each text: counts (B,).
EXPORT int textrnn_ngram_counts(const textrnn::Texts* texts, int64_t* counts, int threads) {
  return textrnn::share_texts(*texts, threads, [=](int64_t first, int64_t last) {
    textrnn::count_ngrams(*texts, first, last, counts);
  });
}

// Their keys; bounds (B+1,) are the sums of the counts.
EXPORT int textrnn_ngram_keys(const textrnn::Texts* texts, const int64_t* bounds, uint32_t* keys, int threads) {
  return textrnn::share_texts(*texts, threads, [=](int64_t first, int64_t last) {
    textrnn::hash_ngrams(*texts, first, last, bounds, keys);
  });
}

// Returns 2 where the keys do not lie as hashes do; slots (S,) are 0 before.
EXPORT int textrnn_ngram_slots(const uint32_t* keys, int64_t F, uint64_t* slots, int64_t S) {
  return textrnn::fill_slots(keys, F, slots, S) ? 0 : 2;
}

EXPORT int textrnn_ngram_scores(const textrnn::Texts* texts, const textrnn::Linear* linear, float* scores, int threads) {
  return textrnn::share_texts(*texts, threads, [=](int64_t first, int64_t last) {
    textrnn::score_ngrams(*texts, first, last, *linear, scores);
  });
}
