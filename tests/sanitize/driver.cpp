// Calls the exported functions as library.py does, with a shape for every path through them, on buffers of the exact
// size. `run` builds it with a sanitizer, which reports access out of bounds, undefined behavior and races. The driver
// itself checks that every output is written whole, and that neither the number of threads, nor other calls, nor a fork
// changes a bit of it. The tests in Python check the numbers.
#include "dispatch.h"
#include "nn/nn_kernels.h"
#include "ngrams/ngrams.h"
#include "sru/sru_args.h"
#include "gemm/gemm.h"
#include "network/network.h"
#include "network/training.h"
#include "rnn/rnn.h"
#include "words/words.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

extern "C" {
int textrnn_interface();
const char* textrnn_pool();
const char* textrnn_level(int i);
int textrnn_use_level(int i);
int textrnn_sru_forward(const textrnn::SruForwardArgs* p, int threads);
int textrnn_sru_backward(const textrnn::SruBackwardArgs* p, int threads);
int textrnn_rnn(const textrnn::RnnArgs* args, int threads);
int textrnn_dropout(const textrnn::DropoutArgs* args, int threads);
int textrnn_pool_rows(const textrnn::PoolArgs* args, int threads);
int textrnn_pool_rows_back(const textrnn::PoolBackArgs* args, int threads);
int textrnn_attend(const textrnn::AttendArgs* args, int threads);
int textrnn_attend_back(const textrnn::AttendBackArgs* args, int threads);
int textrnn_layer_norm(const textrnn::LayerNormArgs* args, int threads);
int textrnn_layer_norm_back(const textrnn::LayerNormBackArgs* args, int threads);
int textrnn_add_rows(const textrnn::AddRowsArgs* args, int threads);
int textrnn_squares(const textrnn::SquaresArgs* args, int threads);
int textrnn_adamw(const textrnn::AdamWArgs* args, int threads);
int textrnn_gemm_dtypes();
int textrnn_gemm(const textrnn::GemmArgs* args, int threads);
int textrnn_lacks_prepacked(int64_t element);
int textrnn_gemm_prepacked(const textrnn::GemmPrepackedArgs* args, int threads);
int textrnn_can_train(int64_t element);
int textrnn_sru_network(const textrnn::NetworkArgs* args, int threads);
int textrnn_sru_train_forward(const textrnn::TrainingArgs* args, int threads);
int textrnn_sru_train_backward(const textrnn::TrainingArgs* args, int threads);
int textrnn_ngram_counts(const textrnn::NgramCountsArgs* args, int threads);
int textrnn_ngram_keys(const textrnn::NgramKeysArgs* args, int threads);
int textrnn_ngram_slots(const textrnn::NgramSlotsArgs* args, int threads);
int textrnn_ngram_logits(const textrnn::NgramLogitsArgs* args, int threads);
int textrnn_words_open(const textrnn::WordsOpenArgs* args, int threads);
int textrnn_words_close(const textrnn::WordsCloseArgs* args, int threads);
int textrnn_words_find(const textrnn::WordsFindArgs* args, int threads);
int textrnn_words_encode(const textrnn::WordsEncodeArgs* args, int threads);
}

namespace {

#define EXPECT(truth, where) \
  if (!(truth)) fail(#truth, where)

[[noreturn]] void fail(const char* truth, const std::string& where) {
  std::fprintf(stderr, "driver.cpp: not true: %s: %s\n", truth, where.c_str());
  std::_Exit(1);
}

constexpr unsigned kSeconds = 300;  // longer means a deadlock

struct Case {
  int64_t element, K, G, D;
  std::vector<int64_t> lengths;
  bool with_c0;

  std::string name() const {
    std::string text = "element " + std::to_string(element) + ", K " + std::to_string(K) + ", G " + std::to_string(G) +
                       ", D " + std::to_string(D) + (with_c0 ? ", c0" : "") + ", lengths";
    for (const int64_t length : lengths) text += " " + std::to_string(length);
    return text;
  }
};

// Bytes with nothing after them: without a sanitizer they end at an inaccessible page.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t bytes) : size_(size_t(bytes)) {
#if defined(GUARD_PAGES)
    const size_t page = size_t(sysconf(_SC_PAGESIZE)), whole = (size_ + page - 1) / page * page;
    void* start = mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(start != MAP_FAILED && mprotect(static_cast<char*>(start) + whole, page, PROT_NONE) == 0, "mmap");
    memory_ = {static_cast<char*>(start) + (whole - size_), [=](char*) { munmap(start, whole + page); }};
#else
    memory_ = {static_cast<char*>(std::malloc(size_)), std::free};
#endif
    std::memset(memory_.get(), 0xff, size_);  // a NaN, in float32 and in bfloat16
  }

  size_t size() const { return size_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(memory_.get());
  }

 private:
  size_t size_ = 0;
  std::shared_ptr<char> memory_;  // null: the buffer is left out
};

// Numbers in [-2, 2), the same in every run.
uint32_t drawn = 1;

Buffer draw(int64_t count, int64_t element) {
  uint32_t& state = drawn;
  Buffer buffer(count * element);
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = float(int32_t(state)) / 1073741824.0f;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if (element == 4)
      buffer.as<uint32_t>()[i] = bits;
    else
      buffer.as<uint16_t>()[i] = uint16_t(bits >> 16);
  }
  return buffer;
}

bool has_nan(const Buffer& buffer, int64_t element) {
  for (size_t i = 0; i < buffer.size() / size_t(element); ++i) {
    const bool nan = element == 4 ? (buffer.as<uint32_t>()[i] & 0x7fffffffu) > 0x7f800000u
                                  : (buffer.as<uint16_t>()[i] & 0x7fffu) > 0x7f80u;
    if (nan) return true;
  }
  return false;
}

struct Inputs {
  Case is;
  int64_t N = 0, B = 0;
  Buffer offsets, u, x, v, b, c0, dh;

  explicit Inputs(const Case& wanted) : is(wanted), B(int64_t(wanted.lengths.size())) {
    offsets = Buffer((B + 1) * 8);
    offsets.as<int64_t>()[0] = 0;
    for (int64_t i = 0; i < B; ++i) offsets.as<int64_t>()[i + 1] = N += is.lengths[size_t(i)];
    const int64_t row = is.K * is.D;
    u = draw(N * row * is.G, is.element);
    if (is.G == 3) x = draw(N * row, is.element);
    v = draw(2 * row, 4), b = draw(2 * row, 4);
    if (is.with_c0) c0 = draw(B * row, 4);
    dh = draw(N * row, is.element);
  }

  template <class Args>
  Args args() const {
    Args p{};
    p.N = p.R = N, p.B = B, p.K = is.K, p.G = is.G, p.D = is.D, p.element = is.element, p.alpha = 1.7;
    p.offsets = offsets.as<int64_t>();
    p.u = u.as<void>(), p.x = x.as<void>(), p.v = v.as<float>(), p.b = b.as<float>();
    p.c0 = c0.as<float>();
    return p;
  }
};

// Outputs in new memory, so that writes past their ends are seen.
struct Outputs {
  int64_t element;
  Buffer h, states, final, du, dx, dv, db;

  Outputs(const Inputs& from, bool with_states) : element(from.is.element) {
    const int64_t row = from.is.K * from.is.D, N = from.N, B = from.B;
    h = Buffer(N * row * element), final = Buffer(B * row * 4);
    if (!with_states) return;  // as in prediction: there will be no backward pass
    states = Buffer(N * row * 4);
    du = Buffer(N * row * from.is.G * element), dv = Buffer(2 * row * 4), db = Buffer(2 * row * 4);
    if (from.is.G == 3) dx = Buffer(N * row * element);
  }

  textrnn::SruForwardArgs forward(const Inputs& inputs) const {
    auto p = inputs.args<textrnn::SruForwardArgs>();
    p.h = h.as<void>(), p.states = states.as<float>(), p.final = final.as<float>();
    return p;
  }
  textrnn::SruBackwardArgs backward(const Inputs& inputs) const {
    auto p = inputs.args<textrnn::SruBackwardArgs>();
    p.states = states.as<float>(), p.dh = inputs.dh.as<void>();
    p.du = du.as<void>(), p.dx = dx.as<void>(), p.dv = dv.as<float>(), p.db = db.as<float>();
    return p;
  }

  bool has_nan() const {
    for (const Buffer* narrow : {&h, &du, &dx})
      if (::has_nan(*narrow, element)) return true;
    for (const Buffer* wide : {&states, &final, &dv, &db})
      if (::has_nan(*wide, 4)) return true;
    return false;
  }

  std::string bits() const {
    std::string all;
    for (const Buffer* buffer : {&h, &final, &states, &du, &dx, &dv, &db})
      all.append(buffer->as<char>(), buffer->size());
    return all;
  }
};

// The bits of all results of both passes; without `backward` of h and final alone.
std::string compute(const Inputs& inputs, int threads, bool backward = true) {
  const Outputs outputs(inputs, backward);
  const auto args = outputs.forward(inputs);
  EXPECT(textrnn_sru_forward(&args, threads) == 0, inputs.is.name());
  const auto back = outputs.backward(inputs);
  EXPECT(!backward || textrnn_sru_backward(&back, threads) == 0, inputs.is.name());
  EXPECT(!outputs.has_nan(), inputs.is.name() + ", threads " + std::to_string(threads));
  return outputs.bits();
}

int64_t check(const Case& wanted) {
  const Inputs inputs(wanted);
  const std::string alone = compute(inputs, 1), forward = compute(inputs, 4, false);
  EXPECT(alone.compare(0, forward.size(), forward) == 0, wanted.name() + ": the bits without states");
  for (const int threads : {2, 4}) EXPECT(compute(inputs, threads) == alone, wanted.name() + ": the bits");
  return 7;
}

// Each returns the number of calls that it made.
int64_t check_shapes() {
  int64_t calls = 0;
  for (const int64_t element : {4, 2})
    for (const int64_t K : {1, 2})
      for (const int64_t G : {3, 4})
        for (const int64_t D : {1, 7, 64, 100, 513, 1030}) {
          // in three chunks; few where D alone makes many tasks
          const std::vector<int64_t> ragged =
              D > 100 ? std::vector<int64_t>{3, 0, 1, 0, 5} : std::vector<int64_t>{130, 0, 3, 129, 1, 0};
          for (const auto& lengths : {ragged, {}, {0, 0}})
            for (const bool with_c0 : {true, false}) calls += check({element, K, G, D, lengths, with_c0});
        }
  return calls;
}

// The bits of a product; `across` selects matrices with contiguous columns: 1 is a, 2 is b.
std::string multiply(const textrnn::GemmArgs& sizes, unsigned across, int threads) {
  textrnn::GemmArgs p = sizes;
  const Buffer a = draw(p.M * p.K, p.element), b = draw(p.K * p.N, p.element), c = draw(p.M * p.N, p.c_element);
  p.a = a.as<void>(), p.b = b.as<void>(), p.c = c.as<void>(), p.c_row = p.N, p.c_column = 1;
  p.a_row = across & 1 ? 1 : p.K, p.a_column = across & 1 ? p.M : 1;
  p.b_row = across & 2 ? 1 : p.N, p.b_column = across & 2 ? p.K : 1;
  if (!p.accumulate) std::memset(c.as<char>(), 0xff, c.size());
  const std::string where = std::to_string(p.M) + " " + std::to_string(p.N) + " " + std::to_string(p.K) + " across " +
                            std::to_string(across) + ", element " + std::to_string(p.element);
  EXPECT(textrnn_gemm(&p, threads) == 0, where);
  EXPECT(!has_nan(c, p.c_element), where);
  return std::string(c.as<char>(), c.size());
}

int64_t check_products() {
  const int can = textrnn_gemm_dtypes();
  int64_t calls = 0;
  const int64_t sizes[][3] = {{1, 1, 1},    {1, 33, 5},    {13, 16, 1},   {14, 32, 2},   {15, 17, 3},     {29, 100, 129},
                              {0, 3, 2},    {3, 0, 2},     {5, 4, 0},     {100, 49, 77}, {300, 70, 900},  {1030, 40, 33},
                              {28, 64, 48}, {90, 128, 64}, {70, 500, 20}, {64, 64, 385}, {150, 300, 1000}};
  for (const auto& [M, N, K] : sizes)
    for (const int64_t element : {4, 2})
      for (const int64_t c_element : {4, 2})
        for (const int64_t accumulate : {0, 1})
          for (unsigned across = 0; across < 4; ++across) {
            if (!(can & element) || (element == 4 && c_element == 2)) continue;
            textrnn::GemmArgs p{};
            p.M = M, p.N = N, p.K = K, p.element = element, p.c_element = c_element, p.accumulate = accumulate;
            const uint32_t state = drawn;
            const std::string alone = multiply(p, across, 1);
            for (const int threads : {2, 4}) {
              drawn = state;  // the same numbers
              EXPECT(multiply(p, across, threads) == alone, "a product's bits");
            }
            calls += 3;
          }
  textrnn::GemmArgs p{};
  p.element = p.c_element = 8;
  EXPECT(textrnn_gemm(&p, 1) == 2, "a product of elements of 8 bytes");
  return calls + 1;
}

// The bits of a product with random panels.
std::string multiply_prepacked(int64_t M, int64_t N, int64_t K, int64_t element, int threads) {
  const int64_t panels = (N + textrnn::kTileColumns - 1) / textrnn::kTileColumns, steps = element == 4 ? K : (K * element + 63) / 64 * 16;
  const bool whole = element == 1;
  const Buffer x = draw(M * K, 4), c(M * N * 4);
  const Buffer units = draw(panels * steps * textrnn::kStepBytes / (whole ? 2 : element), whole ? 2 : element);
  const Buffer begin = draw(whole ? panels * textrnn::kTileColumns : 0, 4);
  const Buffer scales = draw(whole ? panels * textrnn::kTileColumns : 0, 4);
  const int64_t width = panels * textrnn::kTileColumns, depth = 4 / element;
  textrnn::GemmPrepackedArgs p{M, K, width * steps * depth, whole ? width : 0, N, element};
  p.x = x.as<float>(), p.panels = units.as<char>(), p.first = begin.as<int32_t>(), p.scales = scales.as<float>();
  p.c = c.as<float>();
  const std::string where = std::to_string(M) + " " + std::to_string(N) + " " + std::to_string(K) + " packed, element " +
                            std::to_string(element);
  EXPECT(textrnn_gemm_prepacked(&p, threads) == 0, where);
  EXPECT(!has_nan(c, 4), where);
  return std::string(c.as<char>(), c.size());
}

int64_t check_prepacked_products() {
  int64_t calls = 0;
  const int64_t sizes[][3] = {{1, 1, 1},     {2, 33, 5},  {13, 16, 3}, {14, 32, 64}, {15, 17, 65}, {29, 100, 129},
                              {0, 3, 2},     {3, 0, 2},   {5, 4, 0},   {64, 64, 16}, {224, 31, 2}, {230, 70, 390},
                              {1030, 40, 33}, {3, 700, 900}, {40, 500, 385}};
  for (const auto& [M, N, K] : sizes)
    for (const int64_t element : {4, 2, 1}) {
      if (textrnn_lacks_prepacked(element)) continue;
      const uint32_t state = drawn;
      const std::string alone = multiply_prepacked(M, N, K, element, 1);
      for (const int threads : {2, 4}) {
        drawn = state;  // the same numbers
        EXPECT(multiply_prepacked(M, N, K, element, threads) == alone, "a packed product's bits");
      }
      calls += 3;
    }
  textrnn::GemmPrepackedArgs p{1, 1, 64, 0, 1, 8};
  EXPECT(textrnn_lacks_prepacked(8) == 2 && textrnn_gemm_prepacked(&p, 1) == 2, "panels of elements of 8 bytes");
  return calls + 1;
}

// An SRU network of two layers: the first from 20 columns to two directions of `D`.
struct NetworkCase {
  int64_t D, element;
  bool has_norm;
  int64_t X = 20, K = 2, V = 50, W = K * D;
  std::vector<int64_t> lengths = {3, 70, 1, 64, 40, 130, 2};

  std::vector<int64_t> offsets() const {
    std::vector<int64_t> bounds = {0};
    for (const int64_t length : lengths) bounds.push_back(bounds.back() + length);
    return bounds;
  }
  int64_t inputs(int layer) const { return layer ? W : X; }
  int64_t width(int layer) const { return W * (inputs(layer) == W ? 3 : 4); }
};

// The bits of its pooled states.
std::string predict(const NetworkCase& of, int threads) {
  const std::vector<int64_t> bounds = of.offsets();
  const int64_t B = int64_t(of.lengths.size()), N = bounds.back(), W = of.W;
  std::vector<Buffer> held;
  const auto floats = [&](int64_t count) { return held.emplace_back(draw(count, 4)).as<float>(); };
  std::vector<textrnn::NetworkLayer> layers;
  for (int i = 0; i < 2; ++i) {
    textrnn::NetworkLayer layer{};
    const int64_t X = of.inputs(i), U = of.width(i), width = (U + 31) / 32 * 32, depth = 4 / of.element;
    const int64_t steps = of.element == 4 ? X : (X * of.element + 63) / 64 * 16, elements = width * steps * depth;
    if (of.has_norm) layer.X = X, layer.gain = floats(X), layer.bias = floats(X);
    layer.elements = elements, layer.element = of.element, layer.K = of.K, layer.D = of.D;
    layer.panels = held.emplace_back(draw(elements * of.element / 2, 2)).as<char>();
    if (of.element == 4) layer.panels = held.emplace_back(draw(elements, 4)).as<char>();
    if (of.element == 1) layer.columns = width, layer.scales = floats(width);
    layer.first = held.emplace_back(draw(width, 4)).as<int32_t>();
    layer.v = floats(W * 2), layer.b = floats(W * 2), layer.inputs = X, layer.width = U;
    layers.push_back(layer);
  }
  Buffer ids(N * 4);
  for (int64_t i = 0; i < N; ++i) ids.as<int32_t>()[i] = int32_t(i * 7 % of.V);
  const Buffer attended(B * W * 4), largest(B * W * 4), mean(B * W * 4), last(B * W * 4);
  textrnn::NetworkArgs p{of.V, of.X, 0, N, B, int64_t(layers.size() * sizeof layers[0]), W};
  p.embedding = floats(of.V * of.X), p.ids = ids.as<int32_t>(), p.offsets = bounds.data(), p.layers = layers.data();
  p.w = floats(W), p.alpha = 1.5, p.epsilon = 1e-5;
  p.attended = attended.as<float>(), p.largest = largest.as<float>(), p.mean = mean.as<float>();
  p.last = last.as<float>();
  std::string bits;
  for (const bool projects : {false, true}) {
    if (projects) p.U = of.width(0), p.projected = floats(of.V * p.U);
    EXPECT(textrnn_sru_network(&p, threads) == 0, "a network");
    for (const Buffer* part : {&attended, &largest, &mean, &last}) {
      EXPECT(!has_nan(*part, 4), "a network's states");
      bits.append(part->as<char>(), part->size());
    }
  }
  p.W = W + 1;
  EXPECT(textrnn_sru_network(&p, threads) == 2, "a network of another width");
  return bits;
}

// The bits of its outputs and gradients in training.
std::string train(const NetworkCase& of, double keep, int threads) {
  const std::vector<int64_t> bounds = of.offsets();
  const int64_t N = bounds.back(), W = of.W;
  std::vector<Buffer> held;
  std::vector<std::pair<float*, int64_t>> outputs;
  const auto floats = [&](int64_t count) { return held.emplace_back(draw(count, 4)).as<float>(); };
  const auto room = [&](int64_t count) {
    outputs.push_back({held.emplace_back(Buffer(count * 4)).as<float>(), count});
    return outputs.back().first;
  };
  std::vector<textrnn::TrainingLayer> layers;
  for (int i = 0; i < 2; ++i) {
    const int64_t X = of.inputs(i), U = of.width(i);
    textrnn::TrainingLayer layer{};
    layer.N = N, layer.X = X, layer.U = U, layer.K = of.K, layer.D = of.D, layer.W = W;
    layer.x = i ? layers[0].h : floats(N * X);
    if (keep < 1) layer.y = room(N * X);
    if (of.has_norm) {
      layer.n = room(N * X), layer.mean = room(N), layer.rstd = room(N), layer.gain = floats(X), layer.bias = floats(X);
      layer.dgain = room(X), layer.dbias = room(X);
    }
    layer.weight = floats(X * U), layer.u = room(N * U), layer.v = floats(W * 2), layer.b = floats(W * 2);
    layer.states = room(N * W), layer.h = room(N * W), layer.carried = X == W ? room(N * W) : nullptr;
    layer.dn = room(N * X), layer.dx = room(N * X), layer.dweight = room(X * U);
    layer.dv = room(W * 2), layer.db = room(W * 2), layer.keep = keep, layer.key = 77;
    layers.push_back(layer);
  }
  layers[1].dh = floats(N * W), layers[0].dh = layers[1].dx;
  const int64_t bytes = int64_t(layers.size() * sizeof layers[0]), B = int64_t(of.lengths.size());
  textrnn::TrainingArgs p{bytes, B, layers.data(), bounds.data(), of.has_norm, of.element, 1.5, 1e-5};
  EXPECT(textrnn_sru_train_forward(&p, threads) == 0 && textrnn_sru_train_backward(&p, threads) == 0, "training");
  std::string bits;
  for (const auto& [at, count] : outputs) {
    EXPECT(std::none_of(at, at + count, [](float x) { return x != x; }), "what training writes");
    bits.append(reinterpret_cast<const char*>(at), size_t(count) * 4);
  }
  layers[1].dh = nullptr;
  EXPECT(textrnn_sru_train_backward(&p, threads) == 2, "no gradient");
  return bits;
}

int64_t check_networks() {
  int64_t calls = 0;
  for (const int64_t D : {10, 33, 520})  // the last is more than a block of columns
    for (const int64_t element : {4, 2, 1})
      for (const bool has_norm : {true, false})
        for (const double keep : {0.5, 1.0}) {
          NetworkCase of{D, element, has_norm};
          if (D > 33 && (element != 4 || has_norm || keep < 1)) continue;
          if (D > 33) of.lengths = {65, 2};
          const auto compute_all = [&](int threads) {
            const std::string predicted = textrnn_lacks_prepacked(element) ? "" : predict(of, threads);
            return predicted + (textrnn_can_train(element) ? train(of, keep, threads) : "");
          };
          const uint32_t state = drawn;
          const std::string alone = compute_all(1);
          for (const int threads : {2, 4}) {
            drawn = state;  // the same numbers
            EXPECT(compute_all(threads) == alone, "a network's bits");
          }
          calls += 3;
        }
  return calls;
}

std::string bits_of(const Buffer& buffer) { return std::string(buffer.as<char>(), buffer.size()); }

// The bits of dropout and layer norm, forward and backward.
std::string check_norm(const Buffer& x, int64_t element, int64_t wide, int64_t D, const int64_t* bounds, int threads) {
  const Buffer gain = draw(D, 4), bias = draw(D, 4), y(41 * D * wide), n(41 * D * wide), mean(41 * 4), rstd(41 * 4);
  const Buffer dn(41 * D * wide), dx(x.size()), dgain(D * 4), dbias(D * 4);
  std::memset(dn.as<char>(), 0x3c, dn.size());
  const int64_t B = bounds ? 4 : 0;
  const textrnn::LayerNormArgs args = {41, D, B, element, wide, x.as<void>(), bounds, y.as<void>(), n.as<void>(),
                                       gain.as<float>(), bias.as<float>(), mean.as<float>(), rstd.as<float>(),
                                       99, 0.7, 1e-5};
  EXPECT(textrnn_layer_norm(&args, threads) == 0, "layer_norm");
  const textrnn::LayerNormBackArgs back = {41, D, B, wide, element, y.as<void>(), bounds, gain.as<float>(),
                                           mean.as<float>(), rstd.as<float>(), dn.as<void>(), dn.as<void>(),
                                           dx.as<void>(), dgain.as<float>(), dbias.as<float>(), 99, 0.7};
  EXPECT(textrnn_layer_norm_back(&back, threads) == 0, "layer_norm_back");
  EXPECT(!has_nan(n, wide) && !has_nan(dx, element) && !has_nan(dgain, 4), "layer_norm: something was not written");
  return bits_of(y) + bits_of(n) + bits_of(dx) + bits_of(dgain) + bits_of(dbias);
}

// The bits of everything in nn/ for one shape.
std::string run_nn(int64_t element, int64_t D, int threads) {
  drawn = uint32_t(D);
  const int64_t offsets[] = {0, 1, 4, 40, 41}, rows[] = {0, 6, 3}, places[] = {4, 0, 4}, size = 40000 + D;
  const Buffer x = draw(41 * D, element), dlargest = draw(4 * D, 4), dmean = draw(4 * D, 4), gradient = draw(3 * D, 4);
  const Buffer long_x = draw(size, element), all = draw(size, 4), states = draw(41 * D, 4), w = draw(D, 4);
  const Buffer y(long_x.size()), masked(x.size()), largest(4 * D * 4), place(4 * D * 4), means(4 * D * 4), dx(x.size());
  const textrnn::DropoutArgs drop = {size, 1, 0, element, long_x.as<void>(), nullptr, y.as<void>(), 0.7, 99};
  EXPECT(textrnn_dropout(&drop, threads) == 0, "dropout");
  const textrnn::DropoutArgs columns = {41, D, 4, element, x.as<void>(), offsets, masked.as<void>(), 0.7, 99};
  EXPECT(textrnn_dropout(&columns, threads) == 0, "dropout_columns");
  const textrnn::PoolArgs pool = {41, D, 4, element, x.as<void>(), offsets, largest.as<float>(), place.as<int32_t>(),
                                  means.as<float>()};
  EXPECT(textrnn_pool_rows(&pool, threads) == 0, "pool");
  const textrnn::PoolBackArgs pool_back = {4, D, 41, element, dlargest.as<float>(), place.as<int32_t>(),
                                           dmean.as<float>(), offsets, dx.as<void>()};
  EXPECT(textrnn_pool_rows_back(&pool_back, threads) == 0, "pool_back");
  EXPECT(!has_nan(y, element) && !has_nan(masked, element) && !has_nan(dx, element) && !has_nan(means, 4),
         "nn: something was not written");
  std::string bits = bits_of(y) + bits_of(masked) + bits_of(largest) + bits_of(place) + bits_of(means) + bits_of(dx);
  for (const int64_t wide : {4, 2})
    for (const int64_t* const bounds : {static_cast<const int64_t*>(nullptr), offsets})
      bits += check_norm(x, element, wide, D, bounds, threads);

  const Buffer pooled(4 * D * 4), weights(41 * 4), dstates(41 * D * 4), dw(4 * D * 4), alone(4 * D * 4);
  textrnn::AttendArgs attend = {41, D, 4, states.as<float>(), w.as<float>(), offsets, pooled.as<float>(),
                                weights.as<float>()};
  EXPECT(textrnn_attend(&attend, threads) == 0, "attend");
  const textrnn::AttendBackArgs attend_back = {41, D, 4, states.as<float>(), w.as<float>(), offsets, pooled.as<float>(),
                                               weights.as<float>(), dmean.as<float>(), dstates.as<float>(),
                                               dw.as<float>()};
  EXPECT(textrnn_attend_back(&attend_back, threads) == 0, "attend_back");
  EXPECT(!has_nan(pooled, 4) && !has_nan(weights, 4) && !has_nan(dstates, 4) && !has_nan(dw, 4),
         "attend: something was not written");
  attend.pooled = alone.as<float>(), attend.weights = nullptr;
  EXPECT(textrnn_attend(&attend, threads) == 0 && bits_of(alone) == bits_of(pooled), "attend without its weights");
  bits += bits_of(pooled) + bits_of(weights) + bits_of(dstates) + bits_of(dw);

  const Buffer sums(5 * D * 4);
  const textrnn::AddRowsArgs add = {3, D, 5, gradient.as<float>(), places, sums.as<float>()};
  EXPECT(textrnn_add_rows(&add, threads) == 0, "add_rows");
  bits += bits_of(sums);

  const Buffer some[] = {draw(7 * D, 4), draw(7 * D, 4), Buffer(7 * D * 4)};
  const Buffer others[] = {Buffer(size * 4), Buffer(size * 4), Buffer(size * 4)};
  std::memset(some[2].as<char>(), 0, some[2].size());
  for (const Buffer& part : others) std::memset(part.as<char>(), 0, part.size());
  const textrnn::ParameterState parameters[] = {
      {7, D, 3, some[0].as<float>(), some[1].as<float>(), some[2].as<float>(), gradient.as<float>(), rows, 0.1},
      {size, 1, size, others[0].as<float>(), others[1].as<float>(), others[2].as<float>(), all.as<float>(), nullptr,
       0.0}};
  double squares = -1;
  const textrnn::SquaresArgs sum = {sizeof parameters, parameters, &squares};
  EXPECT(textrnn_squares(&sum, threads) == 0 && squares > 0, "squares");
  const textrnn::AdamWArgs update = {sizeof parameters, parameters, {0.1, 0.5f, 0.9f, 0.999f, 0.1f, 2.0f, 1e-8f}};
  EXPECT(textrnn_adamw(&update, threads) == 0, "adamw");
  for (const Buffer& part : some) bits += bits_of(part);
  for (const Buffer& part : others) bits += bits_of(part);
  return bits + std::string(reinterpret_cast<const char*>(&squares), sizeof squares);
}

// The kernels of nn/: the same bits for any number of threads, nothing out of bounds.
int64_t check_nn() {
  int64_t calls = 0;
  for (const int64_t element : {4, 2})
    for (const int64_t D : {1, 7, 64, 130}) {
      EXPECT(run_nn(element, D, 1) == run_nn(element, D, 3), "nn: the bits");
      const Buffer x = draw(41 * D, element), out(x.size());
      const int64_t empty[] = {0, 0, 41}, wrong[] = {0, 42, 41}, far[] = {7};
      const textrnn::PoolArgs pool = {41, D, 2, element, x.as<void>(), empty, nullptr, nullptr, nullptr};
      EXPECT(textrnn_pool_rows(&pool, 1) == 2, "an empty sequence");
      const textrnn::AttendArgs attend = {41, D, 2, x.as<float>(), nullptr, empty, nullptr, nullptr};
      EXPECT(textrnn_attend(&attend, 1) == 2, "an empty sequence to attend to");
      const textrnn::DropoutArgs columns = {41, D, 2, element, x.as<void>(), wrong, out.as<void>(), 0.7, 99};
      EXPECT(textrnn_dropout(&columns, 1) == 2, "offsets that fall");
      const textrnn::AddRowsArgs add = {1, D, 7, nullptr, far, nullptr};
      EXPECT(textrnn_add_rows(&add, 1) == 2, "a place outside the sums");
      const textrnn::ParameterState past = {7, D, 1, nullptr, nullptr, nullptr, nullptr, far, 0.0};
      const textrnn::AdamWArgs update = {sizeof past, &past, {}};
      EXPECT(textrnn_adamw(&update, 1) == 2, "a row outside its matrix");
      calls += 45;
    }
  return calls;
}

// GRU and LSTM: the same bits for any number of threads and with a table of gates, nothing out of bounds.
int64_t check_rnn() {
  int64_t calls = 0;
  const std::vector<int64_t> many(70, 3), all[] = {{}, {1}, {5, 1, 9, 2}, many};
  for (const int64_t G : {3, 4})
    for (const int64_t K : {1, 2})
      for (const int64_t D : {1, 7, 16, 100})
        for (const auto& lengths : all) {
          const int64_t B = int64_t(lengths.size());
          const Buffer offsets((B + 1) * 8);
          int64_t N = offsets.as<int64_t>()[0] = 0;
          for (int64_t i = 0; i < B; ++i) offsets.as<int64_t>()[i + 1] = N += lengths[size_t(i)];
          const Buffer gates = draw(N * K * G * D, 4), bias = draw(K * G * D, 4), weight = draw(K * G * D * D, 4);
          const Buffer rows(N * 4);
          for (int64_t i = 0; i < N; ++i) rows.as<int32_t>()[i] = int32_t(i);
          textrnn::RnnArgs p{N, K, G, D, B, N, gates.as<float>(), offsets.as<int64_t>(), nullptr, weight.as<float>(),
                             bias.as<float>(), nullptr};
          const std::string where = "rnn: G " + std::to_string(G) + ", D " + std::to_string(D);
          std::string before;
          for (const int threads : {1, 2, 4})
            for (const int32_t* const picked : {static_cast<const int32_t*>(nullptr), rows.as<const int32_t>()}) {
              const Buffer h(N * K * D * 4);
              p.h = h.as<float>(), p.rows = picked;
              EXPECT(textrnn_rnn(&p, threads) == 0 && !has_nan(h, 4), where);
              EXPECT(before.empty() || bits_of(h) == before, where + ": the bits");
              before = bits_of(h), ++calls;
            }
          if (N == 0) continue;
          p.R = N - 1;
          EXPECT(textrnn_rnn(&p, 2) == 2, "a row that is not there");
          p.rows = nullptr;
          EXPECT(textrnn_rnn(&p, 2) == 2, "too few rows");
          p.R = N, offsets.as<int64_t>()[B] = N + 1;
          EXPECT(textrnn_rnn(&p, 2) == 2, "wrong offsets");
          calls += 3;
        }
  return calls;
}

template <class T>
Buffer put(const std::vector<T>& values) {
  const Buffer buffer(int64_t(values.size() * sizeof(T)));
  if (!values.empty()) std::memcpy(buffer.as<char>(), values.data(), buffer.size());
  return buffer;
}

// Texts without pieces, of spaces alone, of one long word, and longer than the keys that are looked up together.
int64_t check_ngrams() {
  const Buffer codes = put<uint32_t>({0x2581, 'a', 'b', 0x2581, 0x1100ff, 'c', 0x2581, 'd', 'e', 'f', 'g', 'h', 'i', 'j'});
  const Buffer spelling = put<int64_t>({0, 0, 1, 3, 5, 7, 14});  // the first piece has none
  std::vector<int32_t> ids;
  std::vector<int64_t> offsets = {0};
  const int64_t lengths[] = {0, 1, 2, 0, 40, 3, 700, 5, 1, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 300, 0};
  for (const int64_t length : lengths) {
    for (int64_t i = 0; i < length; ++i)
      drawn = drawn * 1664525u + 1013904223u, ids.push_back(length == 300 ? 2 : length == 1 ? 1 : int32_t(drawn >> 16) % 6);
    offsets.push_back(int64_t(ids.size()));
  }
  const Buffer id = put(ids), offset = put(offsets);
  const int64_t N = int64_t(ids.size()), B = int64_t(offsets.size()) - 1, P = 14, V = 6;
  const auto count = [&](const Buffer& counts, int threads) {
    const textrnn::NgramCountsArgs args = {N, B, P, V, id.as<int32_t>(), offset.as<int64_t>(), codes.as<uint32_t>(),
                                           spelling.as<int64_t>(), counts.as<int64_t>()};
    return textrnn_ngram_counts(&args, threads);
  };
  int64_t calls = 0;
  std::string before;
  for (const int threads : {1, 2, 4}) {
    const Buffer counts(B * 8), bounds((B + 1) * 8);
    EXPECT(count(counts, threads) == 0, "ngram_counts");
    bounds.as<int64_t>()[0] = 0;
    for (int64_t i = 0; i < B; ++i) bounds.as<int64_t>()[i + 1] = bounds.as<int64_t>()[i] + counts.as<int64_t>()[i];
    const int64_t K = bounds.as<int64_t>()[B];
    const Buffer keys(K * 4);
    const textrnn::NgramKeysArgs hash = {N, B, P, V, K, id.as<int32_t>(), offset.as<int64_t>(), codes.as<uint32_t>(),
                                         spelling.as<int64_t>(), bounds.as<int64_t>(), keys.as<uint32_t>()};
    EXPECT(textrnn_ngram_keys(&hash, threads) == 0, "ngram_keys");
    std::string bits = bits_of(bounds) + bits_of(keys);
    std::vector<uint32_t> kept;  // every third
    for (int64_t i = 0; i < K; i += 3) kept.push_back(keys.as<uint32_t>()[i]);
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    for (const int64_t C : {1, 2, 5}) {
      const int64_t F = int64_t(kept.size()), S = 1 << 12;
      const Buffer sorted = put(kept), slots = put(std::vector<uint64_t>(size_t(S))), logits(B * C * 4);
      const textrnn::NgramSlotsArgs fill = {F, S, sorted.as<uint32_t>(), slots.as<uint64_t>()};
      EXPECT(textrnn_ngram_slots(&fill, 1) == 0, "ngram_slots");
      const Buffer values = put(std::vector<float>(size_t(F * (1 + C)), 0.5f));
      const Buffer bias = put(std::vector<float>(size_t(C), 2.0f));
      const textrnn::NgramLogitsArgs linear = {N, B, P, V, S, F, C, id.as<int32_t>(), offset.as<int64_t>(),
                                               codes.as<uint32_t>(), spelling.as<int64_t>(), slots.as<uint64_t>(),
                                               values.as<float>(), bias.as<float>(), logits.as<float>()};
      EXPECT(textrnn_ngram_logits(&linear, threads) == 0, "ngram_logits");
      EXPECT(!has_nan(logits, 4) && logits.as<float>()[0] == 2.0f && logits.as<float>()[6 * C] > 2.0f, "ngram_logits");
      bits += bits_of(logits), calls += 2;
    }
    EXPECT(before.empty() || bits == before, "n-grams: the bits");
    before = bits, calls += 2;
  }
  const Buffer alike(4000 * 4), slots = put(std::vector<uint64_t>(1 << 14));
  for (int64_t i = 0; i < 4000; ++i) alike.as<uint32_t>()[i] = uint32_t(i) << 20;
  const textrnn::NgramSlotsArgs crowd = {4000, 1 << 14, alike.as<uint32_t>(), slots.as<uint64_t>()};
  EXPECT(textrnn_ngram_slots(&crowd, 1) == 2, "keys that crowd");
  const Buffer counts(B * 8);
  id.as<int32_t>()[5] = 6;
  EXPECT(count(counts, 2) == 2, "an id outside the vocabulary");
  id.as<int32_t>()[5] = 0, offset.as<int64_t>()[3] = -1;
  EXPECT(count(counts, 2) == 2, "offsets that fall");
  return calls + 3;
}

// A message of Protocol Buffers of less than 128 bytes as a field.
std::string field(int number, const std::string& message) {
  return std::string{char(number << 3 | 2), char(message.size())} + message;
}

std::string piece(const std::string& text, float score, int type) {
  std::string bits(4, '\0');
  std::memcpy(&bits[0], &score, 4);
  return field(1, field(1, text) + '\x15' + bits + '\x18' + char(type));
}

// Encodes `texts` with a cache as word_cache.py does, where SentencePiece would find the pieces U+2581 and `unknown`.
std::string encode_words(const Buffer& cache, const std::vector<std::string>& texts) {
  std::string joined;
  std::vector<int64_t> offsets = {0};
  for (const std::string& text : texts) joined += text, offsets.push_back(int64_t(joined.size()));
  joined += std::string(8, ' ');
  const int64_t T = int64_t(joined.size()), B = int64_t(texts.size()), room = T + B;
  const Buffer text(T), offset = put(offsets), places(room * 4), words((B + 1) * 8), missing(room);
  const Buffer lines((room / 512 + 1) * 8), sizes(16), lengths(B * 8), ids(room * 4);
  std::memcpy(text.as<char>(), joined.data(), joined.size());
  const textrnn::WordsFindArgs find = {
      T, B, room, room, room / 512 + 1, cache.as<uint64_t>(), text.as<uint8_t>(), offset.as<int64_t>(), 100,
      places.as<uint32_t>(), words.as<int64_t>(), missing.as<uint8_t>(), lines.as<int64_t>(), sizes.as<int64_t>()};
  EXPECT(textrnn_words_find(&find, 1) == 0, "words_find");
  const int64_t L = sizes.as<int64_t>()[0];
  std::vector<int64_t> line_offsets = {0}, id_offsets = {0};
  std::vector<int32_t> line_ids;
  for (int64_t i = 0; i < L; ++i) {
    line_offsets.push_back(lines.as<int64_t>()[i]);
    const std::string line(missing.as<char>() + line_offsets[size_t(i)], missing.as<char>() + line_offsets.back());
    for (int64_t word = std::count(line.begin(), line.end(), ' '); word >= 0; --word)
      line_ids.push_back(1), line_ids.push_back(0);
    id_offsets.push_back(int64_t(line_ids.size()));
  }
  const Buffer line_offset = put(line_offsets), line_id = put(line_ids), id_offset = put(id_offsets);
  const textrnn::WordsEncodeArgs encode = {
      words.as<int64_t>()[B], B, line_offsets.back(), L, id_offsets.back(), room, cache.as<uint64_t>(),
      places.as<uint32_t>(), words.as<int64_t>(), 100, 0, missing.as<uint8_t>(), line_offset.as<int64_t>(),
      line_id.as<int32_t>(), id_offset.as<int64_t>(), ids.as<int32_t>(), lengths.as<int64_t>()};
  EXPECT(textrnn_words_encode(&encode, 1) == 0, "words_encode");
  int64_t total = 0;
  for (int64_t i = 0; i < B; ++i) total += std::max<int64_t>(lengths.as<int64_t>()[i], 0);
  return bits_of(lengths) + std::string(ids.as<char>(), size_t(total) * 4);
}

// Several threads look words up and add them: known and unknown ones, and such that are not encoded word by word.
int64_t check_words() {
  const std::string meta = "\xe2\x96\x81";
  std::string model = piece("<unk>", 0, 2) + piece(meta, -2, 1) + piece("ab", -3, 1) + piece("a", -2.5f, 1);
  model += piece("b", -2.7f, 1) + piece(meta + "abc", -9, 1) + field(2, "\x18\x01") + field(3, "");
  const Buffer bytes(int64_t(model.size())), cache(8), none(8);
  std::memcpy(bytes.as<char>(), model.data(), model.size());
  const textrnn::WordsOpenArgs open = {int64_t(model.size()), bytes.as<uint8_t>(), cache.as<uint64_t>()};
  EXPECT(textrnn_words_open(&open, 1) == 0 && *cache.as<uint64_t>(), "words_open");
  for (int64_t size = 0; size < int64_t(model.size()); ++size) {  // may be a model, too
    const Buffer part(size);
    std::memcpy(part.as<char>(), model.data(), size_t(size));
    const textrnn::WordsOpenArgs cut = {size, part.as<uint8_t>(), none.as<uint64_t>()};
    EXPECT(textrnn_words_open(&cut, 1) == 0, "words_open, cut short");
    const textrnn::WordsCloseArgs close = {1, none.as<uint64_t>()};
    if (*none.as<uint64_t>()) textrnn_words_close(&close, 1);
  }
  std::vector<std::string> texts = {"", " ", "ab", "  a abc  b ", "z", "zz ab a", "a\xff", std::string(300, 'a'), "\xe2\x96"};
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (int bits = i * 7 + 1; bits; bits /= 3) text += "ab "[bits % 3];
    texts.push_back(text + (i % 16 ? "" : " x" + std::to_string(i)));
  }
  const auto encode = [&] { return encode_words(cache, texts); };
  std::string results[4];
  std::vector<std::thread> callers;
  for (std::string& result : results) callers.emplace_back([&] { result = encode(); });
  for (std::thread& caller : callers) caller.join();
  for (const std::string& result : results) EXPECT(result == encode(), "words_encode: several callers");
  const textrnn::WordsCloseArgs close = {1, cache.as<uint64_t>()};
  EXPECT(textrnn_words_close(&close, 1) == 0, "words_close");
  return 2 * 8 + 2 + int64_t(model.size());
}

int64_t check_refusals() {
  const Inputs inputs({4, 1, 4, 7, {2, 1}, false});
  const Outputs outputs(inputs, true);
  auto forward = outputs.forward(inputs);
  auto backward = outputs.backward(inputs);
  int64_t calls = 0;
  for (const std::vector<int64_t>& wrong : {std::vector<int64_t>{0, 2, 4}, {1, 2, 3}, {0, 4, 3}, {0, -1, 3}}) {
    std::memcpy(inputs.offsets.as<char>(), wrong.data(), 3 * sizeof(int64_t));
    EXPECT(textrnn_sru_forward(&forward, 2) == 2 && textrnn_sru_backward(&backward, 2) == 2, "wrong offsets");
    calls += 2;
  }
  forward.G = backward.G = 3;
  EXPECT(textrnn_sru_forward(&forward, 2) == 2 && textrnn_sru_backward(&backward, 2) == 2, "no x");
  return calls + 2;
}

// Several threads call at once: one gets the pool, the others work alone.
int64_t check_callers(int level) {
  EXPECT(textrnn_use_level(level) == 0, "use_level");
  const Inputs inputs({4, 2, 3, 100, {40, 0, 129, 7, 140}, true});
  const std::string alone = compute(inputs, 1);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&, i] {
      for (int round = 0; round < 3; ++round) {
        EXPECT(textrnn_use_level(level) == 0, "use_level, meanwhile");
        EXPECT(compute(inputs, 1 + i) == alone, "several callers at once: the bits");
      }
    });
  for (std::thread& caller : callers) caller.join();
  return 2 + 4 * 3 * 2;
}

// A child process lacks the pool's threads.
int64_t check_fork() {
#if !defined(WITHOUT_FORK)  // the thread sanitizer does not follow the threads of a child
  const Inputs inputs({2, 2, 4, 100, {40, 0, 129, 7, 140}, true});
  const std::string before = compute(inputs, 4);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kSeconds);
    _exit(compute(inputs, 4) == before && compute(inputs, 3) == before ? 0 : 1);
  }
  int status = 0;
  EXPECT(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a forked child: the bits");
  EXPECT(compute(inputs, 4) == before, "after a fork: the bits");
  return 4;
#else
  return 0;
#endif
}

}  // namespace

int main() {
  alarm(kSeconds);
  EXPECT(textrnn_interface() == textrnn::kInterface, "interface");
  EXPECT(textrnn_pool() == std::string("own"), "an OpenMP runtime is here");
  EXPECT(textrnn_use_level(-1) == 2 && textrnn_use_level(99) == 2 && !textrnn_level(-1), "levels that are not there");
  std::string levels;
  int64_t calls = 0;
  for (int level = 0; const char* name = textrnn_level(level); ++level) {
    calls += check_callers(level) + check_shapes() + check_nn() + check_rnn();
    levels += std::string(" ") + name;
  }
  calls += check_products() + check_prepacked_products() + check_networks() + check_ngrams() + check_words();
  calls += check_refusals() + check_fork();
  std::printf("%lld calls with%s\n", static_cast<long long>(calls), levels.c_str());
}
