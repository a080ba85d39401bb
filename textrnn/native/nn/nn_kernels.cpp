// This file is compiled once for each instruction set, named by TEXTRNN_LEVEL. It uses nothing of the standard library,
// whose inline functions the linker could take from another level's copy.
#include "nn/nn_kernels.h"

#include <math.h>

#include <cstdint>

#include "compiler.h"
#include "nn/activations.h"
#include "nn/float_types.h"

namespace textrnn {
namespace {

// A 32-bit hash (C. Wellons, "Prospecting for Hash Functions", 2018, "lowbias32") of a counter under two keys. The
// random number of a place is a function of the place and the key, so the backward pass draws it again.
INLINE uint32_t mix(uint32_t counter, uint32_t first, uint32_t second) {
  uint32_t bits = counter * 0x9e3779b9u + first;
  bits ^= bits >> 16;
  bits *= 0x7feb352du;
  bits ^= (bits >> 15) ^ second;
  bits *= 0x846ca68bu;
  return bits ^ (bits >> 16);
}

// Calls write(i, kept) for 0 <= i < n with the random number of place begin + i.
template <class Write>
INLINE void draw(int64_t begin, int64_t n, float keep, uint64_t key, const Write& write) {
  const int32_t limit = int32_t(keep * 16777216.0f);  // of 24 bits
  for (int64_t from = 0; from < n;) {
    const int64_t place = begin + from, block = place >> 32;  // a counter has 32 bits
    const int64_t left = ((block + 1) << 32) - place, count = left < n - from ? left : n - from;
    const uint32_t first = uint32_t(key) + uint32_t(block) * 0x85ebca6bu, second = uint32_t(key >> 32);
    const uint32_t start = uint32_t(place);
    VECTORISE
    for (int64_t i = 0; i < count; ++i) write(from + i, int32_t(mix(start + uint32_t(i), first, second) >> 8) < limit);
    from += count;
  }
}

// y = dropout of x, both (n,), by the random numbers of places from `begin` on.
template <class X, class Y>
void drop(const X* RESTRICT x, Y* RESTRICT y, int64_t begin, int64_t n, float keep, uint64_t key) {
  const float scale = 1.0f / keep;
  draw(begin, n, keep, key, [=](int64_t i, bool kept) {
    const float value = load(x[i]) * scale;
    store(y[i], kept ? value : 0.0f);
  });
}

template <class T>
void drop_in_place(T* x, int64_t begin, int64_t n, float keep, uint64_t key) {
  const float scale = 1.0f / keep;
  draw(begin, n, keep, key, [=](int64_t i, bool kept) {
    const float value = load(x[i]) * scale;
    store(x[i], kept ? value : 0.0f);
  });
}

// Index of the mask of rows that are visited in order: the row's sequence, so that its rows lose the same columns (Gal
// and Ghahramani 2016), or the row itself if `offsets` is null.
class MaskIndex {
 public:
  MaskIndex(const int64_t* offsets, int64_t B, int64_t row) : offsets_(offsets) {
    int64_t end = offsets ? B : 0;
    while (sequence_ + 1 < end) {
      const int64_t middle = (sequence_ + end) / 2;
      (offsets[middle] <= row ? sequence_ : end) = middle;
    }
  }
  int64_t at(int64_t row) {
    if (!offsets_) return row;
    while (offsets_[sequence_ + 1] <= row) ++sequence_;
    return sequence_;
  }

 private:
  const int64_t* offsets_;
  int64_t sequence_ = 0;
};

template <class T>
void dropout_rows(const DropoutArgs& args, int64_t begin, int64_t end) {
  const int64_t D = args.D;
  const T* const x = static_cast<const T*>(args.x);
  T* const y = static_cast<T*>(args.y);
  if (!args.offsets) return drop(x + begin * D, y + begin * D, begin * D, (end - begin) * D, float(args.keep), args.key);
  MaskIndex mask(args.offsets, args.B, begin);
  for (int64_t r = begin; r < end; ++r) drop(x + r * D, y + r * D, mask.at(r) * D, D, float(args.keep), args.key);
}

void dropout(const DropoutArgs& args, int64_t begin, int64_t end) {
  args.element == 4 ? dropout_rows<float>(args, begin, end) : dropout_rows<BFloat16>(args, begin, end);
}

template <class T>
void find_largest(const T* x, int64_t length, int64_t D, float* RESTRICT largest, int32_t* RESTRICT place) {
  for (int64_t d = 0; d < D; ++d) largest[d] = load(x[d]), place[d] = 0;
  for (int64_t t = 1; t < length; ++t) {
    const T* RESTRICT row = x + t * D;
    const int32_t here = int32_t(t);
    VECTORISE
    for (int64_t d = 0; d < D; ++d) {
      const float value = load(row[d]), before = largest[d];
      const bool more = !(value <= before) & (before == before);  // the first NaN stays
      largest[d] = more ? value : before;
      place[d] = more ? here : place[d];
    }
  }
}

template <class T>
void find_mean(const T* x, int64_t length, int64_t D, float* RESTRICT mean) {
  for (int64_t d = 0; d < D; ++d) mean[d] = load(x[d]);
  for (int64_t t = 1; t < length; ++t) {
    const T* RESTRICT row = x + t * D;
    VECTORISE
    for (int64_t d = 0; d < D; ++d) mean[d] += load(row[d]);
  }
  const float share = 1.0f / float(length);
  for (int64_t d = 0; d < D; ++d) mean[d] *= share;
}

template <class T>
void spread(const float* RESTRICT dlargest, const int32_t* RESTRICT place, const float* RESTRICT dmean, int64_t length,
            int64_t D, T* dx) {
  const float share = 1.0f / float(length);
  for (int64_t t = 0; t < length; ++t) {
    T* RESTRICT row = dx + t * D;
    const int32_t here = int32_t(t);
    if (dlargest && dmean) {
      VECTORISE
      for (int64_t d = 0; d < D; ++d) store(row[d], dmean[d] * share + (place[d] == here ? dlargest[d] : 0.0f));
    } else if (dlargest) {
      VECTORISE
      for (int64_t d = 0; d < D; ++d) store(row[d], place[d] == here ? dlargest[d] : 0.0f);
    } else {
      VECTORISE
      for (int64_t d = 0; d < D; ++d) store(row[d], dmean[d] * share);
    }
  }
}

template <class T>
void pool_of(const PoolArgs& args, int64_t i) {
  const int64_t D = args.D, length = args.offsets[i + 1] - args.offsets[i];
  const T* const rows = static_cast<const T*>(args.x) + args.offsets[i] * D;
  if (args.largest) find_largest(rows, length, D, args.largest + i * D, args.place + i * D);
  if (args.mean) find_mean(rows, length, D, args.mean + i * D);
}

void pool(const PoolArgs& args, int64_t i) { args.element == 4 ? pool_of<float>(args, i) : pool_of<BFloat16>(args, i); }

template <class T>
void pool_back_of(const PoolBackArgs& args, int64_t i) {
  const int64_t D = args.D, length = args.offsets[i + 1] - args.offsets[i];
  const auto row = [=](auto* matrix) { return matrix ? matrix + i * D : nullptr; };
  T* const dx = static_cast<T*>(args.dx) + args.offsets[i] * D;
  spread(row(args.dlargest), row(args.place), row(args.dmean), length, D, dx);
}

void pool_back(const PoolBackArgs& args, int64_t i) {
  args.element == 4 ? pool_back_of<float>(args, i) : pool_back_of<BFloat16>(args, i);
}

constexpr int64_t kLanes = 32;

// The sum of term(i) for 0 <= i < n, in lanes that a compiler vectorizes.
template <class Term>
INLINE float add_up(int64_t n, const Term& term) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    VECTORISE
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (int64_t lane = 0; i < n; ++i, ++lane) lanes[lane] += term(i);
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

// exp(-x) for x >= 0, and exp(-80) beyond 80.
INLINE float decay_exp(float x) {
  const Exponential<float> e = exponential<127>(at_most(80.0f, x));
  return (1.0f + e.rest) * e.power;
}

// The softmax takes one pass: a row with a higher score than all before it scales the sums down (M. Milakov and N.
// Gimelshein, "Online normalizer calculation for softmax", 2018).
void attend(const AttendArgs& args, int64_t sequence) {
  const int64_t begin = args.offsets[sequence], length = args.offsets[sequence + 1] - begin, D = args.D;
  const float* const x = args.x + begin * D;
  const float* RESTRICT w = args.w;
  float* RESTRICT pooled = args.pooled + sequence * D;
  float* RESTRICT weights = args.weights ? args.weights + begin : nullptr;
  float top = 0.0f, total = 0.0f;
  for (int64_t t = 0; t < length; ++t) {
    const float* RESTRICT row = x + t * D;
    const float score = add_up(D, [=](int64_t i) { return tanh_approx(row[i]) * w[i]; });
    if (weights) weights[t] = score;
    if (t == 0) {
      for (int64_t i = 0; i < D; ++i) pooled[i] = row[i];
      top = score, total = 1.0f;
      continue;
    }
    const bool is_higher = score > top;
    const float less = decay_exp(is_higher ? score - top : top - score);
    const float before = is_higher ? less : 1.0f, here = is_higher ? 1.0f : less;
    VECTORISE
    for (int64_t i = 0; i < D; ++i) pooled[i] = before * pooled[i] + here * row[i];
    total = before * total + here;
    top = is_higher ? score : top;
  }
  const float share = 1.0f / total;
  for (int64_t i = 0; i < D; ++i) pooled[i] *= share;
  if (weights)
    for (int64_t t = 0; t < length; ++t) weights[t] = share * decay_exp(top - weights[t]);
}

// With a row's weight a and g = dpooled, the gradient of its score is a * (g . row - g . pooled).
void attend_back(const AttendBackArgs& args, int64_t sequence) {
  const int64_t begin = args.offsets[sequence], length = args.offsets[sequence + 1] - begin, D = args.D;
  const float* const x = args.x + begin * D;
  const float* RESTRICT w = args.w;
  const float* RESTRICT pooled = args.pooled + sequence * D;
  const float* RESTRICT weights = args.weights + begin;
  const float* RESTRICT dpooled = args.dpooled + sequence * D;
  float* const dx = args.dx + begin * D;
  float* RESTRICT dw = args.dw + sequence * D;
  const float mean = add_up(D, [=](int64_t i) { return dpooled[i] * pooled[i]; });
  for (int64_t i = 0; i < D; ++i) dw[i] = 0.0f;
  for (int64_t t = 0; t < length; ++t) {
    const float* RESTRICT row = x + t * D;
    float* RESTRICT to = dx + t * D;
    const float weight = weights[t];
    const float dscore = weight * (add_up(D, [=](int64_t i) { return dpooled[i] * row[i]; }) - mean);
    VECTORISE
    for (int64_t i = 0; i < D; ++i) {
      const float curve = tanh_approx(row[i]);
      to[i] = weight * dpooled[i] + dscore * w[i] * (1.0f - curve * curve);
      dw[i] += dscore * curve;
    }
  }
}

template <class X, class Y>
void layer_norm_rows(const LayerNormArgs& args, int64_t begin, int64_t end) {
  const int64_t D = args.D;
  const float share = 1.0f / float(D), epsilon = float(args.epsilon);
  Y* const y = static_cast<Y*>(args.y);
  const float* RESTRICT gain = args.gain;
  const float* RESTRICT bias = args.bias;
  const auto normalize_row = [&](int64_t r, const auto* RESTRICT row) {
    const float mean = share * add_up(D, [=](int64_t i) { return load(row[i]); });
    const float variance = share * add_up(D, [=](int64_t i) { return (load(row[i]) - mean) * (load(row[i]) - mean); });
    const float rstd = 1.0f / sqrtf(variance + epsilon);
    Y* RESTRICT n = static_cast<Y*>(args.n) + r * D;
    VECTORISE
    for (int64_t i = 0; i < D; ++i) store(n[i], (load(row[i]) - mean) * rstd * gain[i] + bias[i]);
    if (args.mean) args.mean[r] = mean, args.rstd[r] = rstd;
  };
  MaskIndex mask(args.offsets, args.B, begin);
  for (int64_t r = begin; r < end; ++r) {
    const X* const x = static_cast<const X*>(args.x) + r * D;
    if (y) {
      drop(x, y + r * D, mask.at(r) * D, D, float(args.keep), args.key);
      normalize_row(r, y + r * D);
    } else {
      normalize_row(r, x);
    }
  }
}

// With xhat = (y - mean) * rstd and g = dn * gain, the gradient of y is rstd * (g - mean of g - xhat * mean of g *
// xhat) (Ba et al. 2016, differentiated).
template <class X, class Y>
void layer_norm_rows_back(const LayerNormBackArgs& args, int64_t begin, int64_t end, float* RESTRICT dgain,
                          float* RESTRICT dbias) {
  const int64_t D = args.D;
  const float share = 1.0f / float(D);
  const float* RESTRICT gain = args.gain;
  MaskIndex mask(args.offsets, args.B, begin);
  for (int64_t r = begin; r < end; ++r) {
    const Y* RESTRICT y = static_cast<const Y*>(args.y) + r * D;
    const Y* RESTRICT dn = static_cast<const Y*>(args.dn) + r * D;
    const Y* RESTRICT dy = args.dy ? static_cast<const Y*>(args.dy) + r * D : nullptr;
    X* RESTRICT dx = static_cast<X*>(args.dx) + r * D;
    const float mean = args.mean[r], rstd = args.rstd[r];
    const float first = share * add_up(D, [=](int64_t i) { return load(dn[i]) * gain[i]; });
    const float second =
        share * add_up(D, [=](int64_t i) { return load(dn[i]) * gain[i] * ((load(y[i]) - mean) * rstd); });
    const auto gradient = [=](int64_t i) {
      return rstd * (load(dn[i]) * gain[i] - first - (load(y[i]) - mean) * rstd * second);
    };
    VECTORISE
    for (int64_t i = 0; i < D; ++i) {
      dgain[i] += load(dn[i]) * ((load(y[i]) - mean) * rstd);
      dbias[i] += load(dn[i]);
    }
    if (dy) {
      VECTORISE
      for (int64_t i = 0; i < D; ++i) store(dx[i], gradient(i) + load(dy[i]));
    } else {
      VECTORISE
      for (int64_t i = 0; i < D; ++i) store(dx[i], gradient(i));
    }
    if (args.keep < 1.0) drop_in_place(static_cast<X*>(args.dx) + r * D, mask.at(r) * D, D, float(args.keep), args.key);
  }
}

void layer_norm(const LayerNormArgs& args, int64_t begin, int64_t end) {
  if (args.x_element == 4)
    return args.y_element == 4 ? layer_norm_rows<float, float>(args, begin, end)
                                 : layer_norm_rows<float, BFloat16>(args, begin, end);
  args.y_element == 4 ? layer_norm_rows<BFloat16, float>(args, begin, end)
                        : layer_norm_rows<BFloat16, BFloat16>(args, begin, end);
}

void layer_norm_back(const LayerNormBackArgs& args, int64_t begin, int64_t end, float* dgain, float* dbias) {
  if (args.x_element == 4)
    return args.y_element == 4 ? layer_norm_rows_back<float, float>(args, begin, end, dgain, dbias)
                                 : layer_norm_rows_back<float, BFloat16>(args, begin, end, dgain, dbias);
  args.y_element == 4 ? layer_norm_rows_back<BFloat16, float>(args, begin, end, dgain, dbias)
                        : layer_norm_rows_back<BFloat16, BFloat16>(args, begin, end, dgain, dbias);
}

void add(const float* RESTRICT x, float* RESTRICT sum, int64_t n) {
  VECTORISE
  for (int64_t i = 0; i < n; ++i) sum[i] += x[i];
}

double squares(const float* RESTRICT x, int64_t n) {
  return double(add_up(n, [=](int64_t i) { return x[i] * x[i]; }));
}

void adamw(float* RESTRICT weight, float* RESTRICT mean, float* RESTRICT square, const float* RESTRICT gradient, int64_t n,
           float decay, const AdamWRates& rates) {
  const AdamWRates by = rates;
  VECTORISE
  for (int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * by.scale;
    const float m = by.beta1 * mean[i] + (1.0f - by.beta1) * g;
    const float v = by.beta2 * square[i] + (1.0f - by.beta2) * (g * g);
    mean[i] = m;
    square[i] = v;
    weight[i] = weight[i] * decay - by.step * m / (sqrtf(v) * by.root + by.epsilon);
  }
}

}  // namespace

extern const NnKernels TEXTRNN_SYMBOL(nn_, TEXTRNN_LEVEL);
const NnKernels TEXTRNN_SYMBOL(nn_, TEXTRNN_LEVEL) = {
    dropout, layer_norm, layer_norm_back, pool, pool_back, attend, attend_back, add, squares, adamw};

}  // namespace textrnn
