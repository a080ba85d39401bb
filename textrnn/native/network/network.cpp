// Prediction by an SRU network, a few texts at a time: what one layer writes is still in the second-level cache when the
// next one reads it. Groups of texts are the tasks of the threads, which never wait for each other.
#include "network/network.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "compiler.h"
#include "dispatch.h"
#include "gemm/gemm.h"
#include "network/groups.h"
#include "offsets.h"
#include "threads.h"

namespace textrnn {
namespace {

// Memory of a thread for the rows of a group; it keeps the largest for later calls.
struct Rows {
  std::vector<int64_t> offsets;
  std::vector<float> x, normed, u, h;
  std::vector<int32_t> place;
};

float* make_room(std::vector<float>& rows, int64_t count) {
  if (int64_t(rows.size()) < count) rows.clear(), rows.resize(size_t(count));  // nothing to copy
  return rows.data();
}

bool is_sound(const NetworkArgs& p) {
  const int64_t size = sizeof(NetworkLayer);
  if (p.bytes < size || p.bytes % size || !are_offsets(p.offsets, p.N, p.B, 1) || !are_indices(p.ids, p.N, p.V))
    return false;
  int64_t width = p.X;
  for (const NetworkLayer* layer = p.layers; layer != p.layers + p.bytes / size; ++layer) {
    const int64_t blocks = layer->inputs == layer->K * layer->D ? 3 : 4;
    if (layer->inputs != width || (layer->gain && layer->X != width)) return false;
    if (layer->width != layer->K * layer->D * blocks) return false;
    if (!can_multiply({1, layer->inputs, layer->elements, layer->columns, layer->width, layer->element})) return false;
    width = layer->K * layer->D;
  }
  return width == p.W && (!p.projected || p.U == p.layers->width) && (!p.attended || p.w);
}

// The texts `first` to `last` - 1.
class TextGroup {
 public:
  TextGroup(const NetworkArgs& args, int64_t first, int64_t last, Rows& rows)
      : p_(args), first_(first), B_(last - first), begin_(args.offsets[first]), rows_(rows) {
    rows.offsets.resize(size_t(B_ + 1));
    for (int64_t i = 0; i <= B_; ++i) rows.offsets[size_t(i)] = args.offsets[first + i] - begin_;
    N_ = rows.offsets[size_t(B_)];
  }

  void run() {
    const NetworkLayer* const layers = p_.layers;
    const int64_t count = p_.bytes / int64_t(sizeof(NetworkLayer));
    if (p_.projected) {
      recur(layers[0], p_.projected, p_.embedding, p_.ids + begin_, p_.V);
    } else {
      float* const x = make_room(rows_.x, N_ * p_.X);
      for (int64_t i = 0; i < N_; ++i)
        std::memcpy(x + i * p_.X, p_.embedding + p_.ids[begin_ + i] * p_.X, size_t(p_.X) * sizeof(float));
      forward(layers[0], x);
    }
    for (int64_t i = 1; i < count; ++i) {
      std::swap(rows_.x, rows_.h);
      forward(layers[i], rows_.x.data());
    }
    pool();
  }

 private:
  void forward(const NetworkLayer& layer, const float* x) {
    const float* normed = x;
    if (layer.gain) {
      float* const n = make_room(rows_.normed, N_ * layer.inputs);
      level().nn->layer_norm({N_, layer.inputs, 0, 4, 4, x, nullptr, nullptr, n, layer.gain, layer.bias, nullptr, nullptr, 0,
                              1.0, p_.epsilon},
                             0, N_);
      normed = n;
    }
    float* const u = make_room(rows_.u, N_ * layer.width);
    multiply_prepacked({N_, layer.inputs, layer.elements, layer.columns, layer.width, layer.element, normed, layer.panels,
                        layer.first, layer.scales, u});
    recur(layer, u, x, nullptr, N_);
  }

  void recur(const NetworkLayer& layer, const float* u, const float* x, const int32_t* rows, int64_t R) {
    SruForwardArgs args{};
    args.N = N_, args.B = B_, args.R = R, args.K = layer.K, args.G = layer.width / (layer.K * layer.D), args.D = layer.D;
    args.element = 4, args.u = u, args.x = x, args.offsets = rows_.offsets.data(), args.rows = rows;
    args.v = layer.v, args.b = layer.b, args.alpha = p_.alpha;
    args.h = make_room(rows_.h, N_ * layer.K * layer.D);
    for_column_blocks(args, [&](int64_t k, int64_t begin, int64_t end) {
      level().sru->forward(args, {0, B_, k, begin, end, nullptr});
    });
  }

  void pool() {
    const int64_t W = p_.W, at = first_ * W;
    const float* const h = rows_.h.data();
    const int64_t* const offsets = rows_.offsets.data();
    const auto rows_of = [=](float* matrix) { return matrix ? matrix + at : nullptr; };
    rows_.place.resize(size_t(p_.largest ? B_ * W : 0));
    for (int64_t i = 0; i < B_; ++i) {
      if (p_.attended) level().nn->attend({N_, W, B_, h, p_.w, offsets, rows_of(p_.attended), nullptr}, i);
      if (p_.largest || p_.mean)
        level().nn->pool({N_, W, B_, 4, h, offsets, rows_of(p_.largest), rows_.place.data(), rows_of(p_.mean)}, i);
      if (p_.last) put_ends(h, offsets[i], offsets[i + 1] - 1, p_.last + at + i * W);
    }
  }

  // The states in which each direction ends.
  void put_ends(const float* h, int64_t first, int64_t last, float* to) const {
    const NetworkLayer& top = p_.layers[p_.bytes / int64_t(sizeof(NetworkLayer)) - 1];
    const int64_t D = top.D, W = p_.W;
    std::memcpy(to, h + last * W, size_t(D) * sizeof(float));
    if (top.K == 2) std::memcpy(to + D, h + first * W + D, size_t(D) * sizeof(float));
  }

  const NetworkArgs& p_;
  const int64_t first_, B_, begin_;
  int64_t N_;
  Rows& rows_;
};

}  // namespace
}  // namespace textrnn

using namespace textrnn;

EXPORT int textrnn_sru_network(const NetworkArgs* args, int threads) try {
  if (!is_sound(*args)) return kInvalidArgument;
  const std::vector<int64_t> bounds = group_texts(args->offsets, args->B);
  parallel_for(int64_t(bounds.size()) - 1, threads, [&](int64_t i) {
    thread_local Rows rows;
    TextGroup(*args, bounds[size_t(i)], bounds[size_t(i + 1)], rows).run();
  });
  return kOk;
} catch (...) {
  return kOutOfMemory;
}
