// Training of SRU layers. A group of texts goes through all layers by itself, forward and backward: threads meet only
// between the passes, and before the gradients of the weights, each of which is one product over all tokens. Groups and
// the order of all sums depend on the lengths of the texts alone, so the gradients do not depend on the threads.
#include "network/training.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "compiler.h"
#include "dispatch.h"
#include "gemm/multiplier.h"
#include "network/groups.h"
#include "offsets.h"
#include "threads.h"

namespace textrnn {
namespace {

bool is_sound(const TrainingArgs& p, bool backward) {
  const int64_t size = sizeof(TrainingLayer), count = p.bytes / size;
  if (count < 1 || p.bytes % size || !Multiplier(p.element).is_supported()) return false;
  for (int64_t i = 0; i < count; ++i) {
    const TrainingLayer& layer = p.layers[i];
    if (layer.N != p.layers->N || layer.W != layer.K * layer.D || (i && layer.X != p.layers[i - 1].W)) return false;
    if (layer.U != layer.W * (layer.X == layer.W ? 3 : 4)) return false;
    if (backward && !(layer.dh && layer.dn && layer.dx && layer.dweight && layer.dv && layer.db)) return false;
    if (backward && ((layer.n && !(layer.dgain && layer.dbias)) || !layer.carried == (layer.X == layer.W))) return false;
    if (layer.n ? !layer.mean || !layer.rstd || !layer.gain || !layer.bias : layer.keep < 1 && !layer.y) return false;
  }
  return are_offsets(p.offsets, p.layers->N, p.B);
}

// Weights as prepacked matrices: of each layer, or with `across` of their transposes.
class Panels {
 public:
  Panels(const TrainingArgs& p, const Multiplier& multiplier, bool across, int threads)
      : multiplier_(multiplier), across_(across) {
    std::vector<std::pair<const TrainingLayer*, int64_t>> tasks;
    int64_t bytes = 0;
    for (const TrainingLayer* layer = p.layers; layer != p.layers + count(p); ++layer) {
      starts_.push_back(bytes);
      bytes += multiplier.packed_bytes(inputs(*layer), outputs(*layer));
      for (int64_t panel = 0; panel * kTileColumns < outputs(*layer); ++panel) tasks.push_back({layer, panel});
    }
    memory_.resize(size_t(bytes + 64));
    start_ = memory_.data() + (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64;
    parallel_for(int64_t(tasks.size()), threads, [&](int64_t i) {
      const auto [layer, panel] = tasks[size_t(i)];
      const int64_t along = across_ ? 1 : layer->U, step = across_ ? layer->U : 1;
      multiplier_.pack(layer->weight, inputs(*layer), outputs(*layer), along, step, panel, at(layer - p.layers));
    });
  }

  static int64_t count(const TrainingArgs& p) { return p.bytes / int64_t(sizeof(TrainingLayer)); }

  // `to` (M, outputs) = x (M, inputs) times the weight of layer i.
  void multiply(const TrainingLayer& layer, int64_t i, const float* x, int64_t M, float* to) const {
    multiplier_.multiply_packed(x, M, inputs(layer), at(i), outputs(layer), to);
  }

 private:
  int64_t inputs(const TrainingLayer& layer) const { return across_ ? layer.U : layer.X; }
  int64_t outputs(const TrainingLayer& layer) const { return across_ ? layer.X : layer.U; }
  char* at(int64_t i) const { return start_ + starts_[size_t(i)]; }

  const Multiplier& multiplier_;
  const bool across_;
  std::vector<int64_t> starts_;
  std::vector<char> memory_;
  char* start_;
};

// A group of texts, and its rows.
struct Group {
  int64_t first, last, begin, end;
};

std::vector<Group> group(const TrainingArgs& p) {
  std::vector<Group> groups;
  const std::vector<int64_t> bounds = group_texts(p.offsets, p.B);
  for (size_t i = 0; i + 1 < bounds.size(); ++i)
    groups.push_back({bounds[i], bounds[i + 1], p.offsets[bounds[i]], p.offsets[bounds[i + 1]]});
  return groups;
}

void set_inputs(SruArgs& args, const TrainingArgs& p, const TrainingLayer& layer) {
  args.N = args.R = layer.N, args.B = p.B, args.K = layer.K, args.G = layer.blocks(), args.D = layer.D, args.element = 4;
  args.u = layer.u, args.x = layer.dropped(), args.offsets = p.offsets, args.v = layer.v, args.b = layer.b;
  args.alpha = p.alpha;
}

void drop_and_normalize(const TrainingArgs& p, const TrainingLayer& layer, const Group& of) {
  const int64_t* const offsets = p.variational ? p.offsets : nullptr;
  if (layer.n)
    level().nn->layer_norm({layer.N, layer.X, p.B, 4, 4, layer.x, offsets, layer.y, layer.n, layer.gain, layer.bias,
                            layer.mean, layer.rstd, layer.key, layer.keep, p.epsilon},
                           of.begin, of.end);
  else if (layer.y)
    level().nn->dropout({layer.N, layer.X, p.B, 4, layer.x, offsets, layer.y, layer.keep, layer.key}, of.begin, of.end);
}

void forward(const TrainingArgs& p, const Panels& weights, const Group& of) {
  for (int64_t i = 0; i < Panels::count(p); ++i) {
    const TrainingLayer& layer = p.layers[i];
    drop_and_normalize(p, layer, of);
    weights.multiply(layer, i, layer.factor() + of.begin * layer.X, of.end - of.begin, layer.u + of.begin * layer.U);
    SruForwardArgs args{};
    set_inputs(args, p, layer);
    args.h = layer.h, args.states = layer.states;
    for_column_blocks(args, [&](int64_t k, int64_t begin, int64_t end) {
      level().sru->forward(args, {of.first, of.last, k, begin, end, nullptr});
    });
  }
}

// The sums over a group of the gradients of a layer's vectors: those of v and b, as SruTask has them, then gain and bias.
struct VectorSums {
  static int64_t size(const TrainingLayer& layer) { return 4 * layer.W + 2 * layer.X; }
  static float* of_gain(const TrainingLayer& layer, float* sums) { return sums + 4 * layer.W; }
};

void add(const float* x, float* sum, int64_t n) { level().nn->add(x, sum, n); }

void differentiate_input(const TrainingArgs& p, const TrainingLayer& layer, const Group& of, float* sums) {
  const int64_t* const offsets = p.variational ? p.offsets : nullptr;
  if (layer.n) {
    float* const gain = VectorSums::of_gain(layer, sums);
    return level().nn->layer_norm_back({layer.N, layer.X, p.B, 4, 4, layer.dropped(), offsets, layer.gain, layer.mean,
                                        layer.rstd, layer.carried, layer.dn, layer.dx, nullptr, nullptr, layer.key,
                                        layer.keep},
                                       of.begin, of.end, gain, gain + layer.X);
  }
  const int64_t at = of.begin * layer.X, size = (of.end - of.begin) * layer.X;
  if (layer.carried) add(layer.carried + at, layer.dn + at, size);
  if (layer.keep < 1)
    level().nn->dropout({layer.N, layer.X, p.B, 4, layer.dn, offsets, layer.dx, layer.keep, layer.key}, of.begin, of.end);
  else
    std::copy_n(layer.dn + at, size, layer.dx + at);
}

void backward(const TrainingArgs& p, const Panels& weights, const Group& of, float* sums) {
  for (int64_t i = Panels::count(p) - 1; i >= 0; --i) {
    const TrainingLayer& layer = p.layers[i];
    SruBackwardArgs args{};
    set_inputs(args, p, layer);
    args.states = layer.states, args.dh = layer.dh, args.du = layer.u, args.dx = layer.carried;
    for_column_blocks(args, [&](int64_t k, int64_t begin, int64_t end) {
      level().sru->backward(args, {of.first, of.last, k, begin, end, sums + k * 4 * layer.D});
    });
    weights.multiply(layer, i, layer.u + of.begin * layer.U, of.end - of.begin, layer.dn + of.begin * layer.X);
    differentiate_input(p, layer, of, sums);
    sums += VectorSums::size(layer);
  }
}

// Adds up the groups' sums, which lie `stride` apart, in their order.
void add_up(const TrainingLayer& layer, const float* sums, int64_t groups, int64_t stride) {
  std::vector<float> total(size_t(VectorSums::size(layer)));
  for (int64_t i = 0; i < groups; ++i) add(sums + i * stride, total.data(), VectorSums::size(layer));
  for (int64_t k = 0; k < layer.K; ++k)
    for (int64_t g = 0; g < 4; ++g)  // forget and reset gate of v, then of b
      std::copy_n(total.data() + (k * 4 + g) * layer.D, layer.D, (g < 2 ? layer.dv : layer.db) + (k * 2 + g % 2) * layer.D);
  if (!layer.n) return;
  const float* const gain = VectorSums::of_gain(layer, total.data());
  std::copy_n(gain, layer.X, layer.dgain);
  std::copy_n(gain + layer.X, layer.X, layer.dbias);
}

void differentiate_weights(const TrainingArgs& p, const Multiplier& multiplier, int threads) {
  std::vector<GemmArgs> products;
  std::vector<std::pair<size_t, Part>> tasks;
  for (const TrainingLayer* layer = p.layers; layer != p.layers + Panels::count(p); ++layer) {
    products.push_back({layer->X, layer->N, layer->U, 4, 4, layer->factor(), 1, layer->X, layer->u, layer->U, 1,
                        layer->dweight, layer->U, 1, 0});
    for (const Part& part : multiplier.share_out(products.back(), threads)) tasks.push_back({products.size() - 1, part});
  }
  parallel_for(int64_t(tasks.size()), threads, [&](int64_t i) {
    const auto& [product, part] = tasks[size_t(i)];
    multiplier.multiply(products[product], part);
  });
}

}  // namespace
}  // namespace textrnn

using namespace textrnn;

EXPORT int textrnn_can_train(int64_t element) { return Multiplier(element).is_supported(); }

EXPORT int textrnn_sru_train_forward(const TrainingArgs* args, int threads) try {
  if (!is_sound(*args, false)) return kInvalidArgument;
  const Multiplier multiplier(args->element);
  const Panels weights(*args, multiplier, false, threads);
  const auto groups = group(*args);
  parallel_for(int64_t(groups.size()), threads, [&](int64_t i) { forward(*args, weights, groups[size_t(i)]); });
  return kOk;
} catch (...) {
  return kOutOfMemory;
}

EXPORT int textrnn_sru_train_backward(const TrainingArgs* args, int threads) try {
  if (!is_sound(*args, true)) return kInvalidArgument;
  const Multiplier multiplier(args->element);
  const Panels weights(*args, multiplier, true, threads);
  const auto groups = group(*args);
  int64_t stride = 0;
  for (int64_t i = 0; i < Panels::count(*args); ++i) stride += VectorSums::size(args->layers[i]);
  std::vector<float> sums(groups.size() * size_t(stride));
  parallel_for(int64_t(groups.size()), threads, [&](int64_t i) {
    backward(*args, weights, groups[size_t(i)], sums.data() + i * stride);
  });
  const float* own = sums.data();
  for (int64_t i = Panels::count(*args) - 1; i >= 0; own += VectorSums::size(args->layers[i]), --i)
    add_up(args->layers[i], own, int64_t(groups.size()), stride);
  differentiate_weights(*args, multiplier, threads);
  return kOk;
} catch (...) {
  return kOutOfMemory;
}
