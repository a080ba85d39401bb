#include "ngrams/ngrams.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compiler.h"
#include "dispatch.h"
#include "offsets.h"
#include "threads.h"

namespace textrnn {
namespace {

// As in textrnn/models/ngram/features.py.
constexpr int kLongest = 6, kShortestAcross = 3, kKinds = 3, kKindBits = 30;
constexpr uint32_t kSpace = 0x2581, kAcross = 0x40000000u, kWords = 0x80000000u;
constexpr double kFactors[kKinds] = {1.0, 0.5, 1.0};  // as in table.py
constexpr uint64_t kPower = 0xDAC8DC4917B45A3Du, kSalt = 0x39643AEB745FCB87u, kWordSalt = 0x2301531EA91AC263u;
constexpr uint64_t kAcrossSalt = 0x6C1F2B9D4E83A705u;
constexpr uint64_t kPairFirst = 0x7BF7B06DBE1E1B5Du, kPairSecond = 0x434AF8C5F5423E09u;
constexpr uint64_t kBegin = 0xD450D8653459D86Bu, kEnd = 0x9AB21290D1EB8FE7u;
constexpr uint64_t kMixFirst = 0x5EF3F4DCCCA7B2C1u, kMixSecond = 0x3C8C17F82B5C3331u;

struct Texts {
  int64_t N, B, P, V;
  const int32_t* ids;
  const int64_t* offsets;
  const uint32_t* codes;
  const int64_t* spelling;
};

INLINE uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * kMixFirst;
  x = (x ^ (x >> 27)) * kMixSecond;
  return x ^ (x >> 31);
}

// The upper 30 bits of mix(x), which its last step does not change.
INLINE uint32_t to_key(uint64_t x) {
  x = (x ^ (x >> 30)) * kMixFirst;
  return uint32_t(((x ^ (x >> 27)) * kMixSecond) >> (64 - kKindBits));
}

INLINE uint32_t to_pair(uint64_t first, uint64_t second) {
  return kWords | to_key(first * kPairFirst + second * kPairSecond);
}

// Writes the keys of the windows of `shortest` to `longest` code points that begin at `code`; returns the end.
template <int longest>
INLINE uint32_t* put_windows(const uint32_t* code, int shortest, uint32_t* to) {
  uint64_t sum = 0, power = 1, salt = kSalt;
  UNROLL
  for (int n = 1; n <= longest; ++n, power *= kPower, salt += kSalt) {
    sum += (uint64_t(code[n - 1]) + 1) * power;
    if (n >= shortest) *to++ = to_key(sum + salt);
  }
  return to;
}

// Passes on the keys of the word `code[1]` to `code[size - 2]`, which has a space on both sides. Returns its hash.
template <class Sink>
uint64_t put_word(const uint32_t* code, int64_t size, uint64_t before, Sink& sink) {
  uint64_t hash = kWordSalt, power = 1;
  for (int64_t i = 1; i + 1 < size; ++i, power *= kPower) hash += (uint64_t(code[i]) + 1) * power;
  hash = mix(hash);
  uint32_t* to = sink.make_room();
  to[0] = kWords | uint32_t(hash >> (64 - kKindBits)), to[1] = to_pair(before, hash);
  sink.next = to + 2;
  for (int64_t i = 0; i + 1 < size; ++i) {
    const int shortest = i ? 1 : 2;  // not a space alone
    to = sink.make_room();
    switch (size - i) {
      case 2: sink.next = put_windows<2>(code + i, shortest, to); break;
      case 3: sink.next = put_windows<3>(code + i, shortest, to); break;
      case 4: sink.next = put_windows<4>(code + i, shortest, to); break;
      case 5: sink.next = put_windows<5>(code + i, shortest, to); break;
      default: sink.next = put_windows<kLongest>(code + i, shortest, to);
    }
  }
  return hash;
}

// Writes to `line` the words of a text with a space before, between and after them; nothing without words.
void spell(const Texts& texts, int64_t text, std::vector<uint32_t>& line) {
  line.assign(1, kSpace);
  for (int64_t i = texts.offsets[text]; i < texts.offsets[text + 1]; ++i) {
    const int64_t* const piece = texts.spelling + texts.ids[i];
    for (int64_t at = piece[0]; at < piece[1]; ++at)
      if (texts.codes[at] != kSpace || line.back() != kSpace) line.push_back(texts.codes[at]);
  }
  if (line.size() == 1)
    line.clear();
  else if (line.back() != kSpace)
    line.push_back(kSpace);
}

// Calls of_word(codes, size) for each word of a line, with the spaces on both sides.
template <class OfWord>
void walk(const std::vector<uint32_t>& line, const OfWord& of_word) {
  int64_t start = 0;
  for (int64_t i = 1; i < int64_t(line.size()); ++i) {
    if (line[size_t(i)] != kSpace) continue;
    of_word(line.data() + start, i - start + 1);
    start = i;
  }
}

// Calls of_place(codes, shortest, longest) for each place of a line where windows across words begin.
template <class OfPlace>
void walk_across(const std::vector<uint32_t>& line, const OfPlace& of_place) {
  const int64_t size = int64_t(line.size());
  for (int64_t i = 0, space = 0; i < size; ++i) {  // `space`: the first one after i
    if (space <= i)
      for (space = i + 1; space < size && line[size_t(space)] != kSpace;) ++space;
    const int64_t shortest = std::max<int64_t>(space - i + 2, kShortestAcross);
    const int64_t longest = std::min<int64_t>(size - i, kLongest);
    if (shortest <= longest) of_place(line.data() + i, int(shortest), int(longest));
  }
}

template <class Sink>
void put_text(const Texts& texts, int64_t text, std::vector<uint32_t>& line, Sink& sink) {
  spell(texts, text, line);
  if (line.empty()) return;
  uint64_t before = kBegin;
  walk(line, [&](const uint32_t* code, int64_t size) { before = put_word(code, size, before, sink); });
  *sink.make_room() = to_pair(before, kEnd), ++sink.next;
  walk_across(line, [&](const uint32_t* code, int shortest, int longest) {
    uint32_t* to = sink.make_room();
    uint64_t sum = 0, power = 1, salt = kAcrossSalt;
    for (int n = 1; n <= longest; ++n, power *= kPower, salt += kAcrossSalt) {
      sum += (uint64_t(code[n - 1]) + 1) * power;
      if (n >= shortest) *to++ = kAcross | to_key(sum + salt);
    }
    sink.next = to;
  });
}

// Writes keys to memory that has room for all.
struct Output {
  uint32_t* next;
  uint32_t* make_room() { return next; }
};

// Looks keys up, many at a time to hide the latency of memory, and adds up their values.
class Sums {
 public:
  Sums(const NgramLogitsArgs& linear) : linear_(linear), width_(linear.C + 1), sums_(size_t(kKinds * width_)) {}

  uint32_t* next = keys_;
  uint32_t* make_room() {
    if (next > keys_ + kKeys - kLongest) flush();
    return next;
  }

  // Writes the logits (C,) of the text whose keys came, and starts the next text.
  void finish(float* logits) {
    flush();
    double norms[kKinds];
    for (int kind = 0; kind < kKinds; ++kind) {
      const double square = sums_[size_t(kind * width_)];
      norms[kind] = square > 0 ? std::sqrt(square) : 1;
    }
    for (int64_t i = 0; i < linear_.C; ++i) {
      double logit = double(linear_.bias[i]);
      for (int kind = kKinds - 1; kind >= 0; --kind)
        logit += kFactors[kind] * (sums_[size_t(kind * width_ + i + 1)] / norms[kind]);
      logits[i] = float(logit);
    }
    std::fill(sums_.begin(), sums_.end(), 0.0);
  }

 private:
  static constexpr int kKeys = 1024, kAhead = 24;

  void flush() {
    const int n = int(next - keys_);
    next = keys_;
    const uint64_t mask = uint64_t(linear_.S) - 1;
    const uint64_t* const slots = linear_.slots;
    for (int i = 0; i < std::min(n, kAhead); ++i) PREFETCH(slots + (keys_[i] & mask));
    int found = 0;
    for (int i = 0; i < n; ++i) {
      PREFETCH(slots + (keys_[std::min(i + kAhead, n - 1)] & mask));
      const uint32_t key = keys_[i];
      uint64_t at = key & mask;
      while (slots[at] && slots[at] >> 32 != key) at = (at + 1) & mask;
      const uint64_t row = uint32_t(slots[at]);
      PREFETCH(linear_.values + (row - (row != 0)) * uint64_t(width_));
      found_[found] = row | uint64_t(key >> kKindBits) << 32;
      found += row != 0;
    }
    for (int i = 0; i < found; ++i) {
      const float* const value = linear_.values + int64_t(uint32_t(found_[i]) - 1) * width_;
      double* const sum = sums_.data() + int64_t(found_[i] >> 32) * width_;
      for (int64_t k = 0; k < width_; ++k) sum[k] += double(value[k]);
    }
  }

  const NgramLogitsArgs& linear_;
  const int64_t width_;
  std::vector<double> sums_;  // (kKinds, 1+C): characters, characters across words, words
  uint32_t keys_[kKeys];
  uint64_t found_[kKeys];
};

void count_ngrams(const Texts& texts, int64_t first, int64_t last, int64_t* counts) {
  std::vector<uint32_t> line;
  for (int64_t text = first; text < last; ++text) {
    int64_t count = 0;
    spell(texts, text, line);
    walk(line, [&](const uint32_t*, int64_t size) {
      const int64_t longest = std::min<int64_t>(kLongest, size);
      count += longest * size - longest * (longest - 1) / 2;  // two windows are spaces; the word and a pair come on top
    });
    walk_across(line, [&](const uint32_t*, int shortest, int longest) { count += longest - shortest + 1; });
    counts[text] = count + !line.empty();
  }
}

void hash_ngrams(const Texts& texts, int64_t first, int64_t last, const int64_t* bounds, uint32_t* keys) {
  std::vector<uint32_t> line;
  for (int64_t text = first; text < last; ++text) {
    Output output{keys + bounds[text]};
    put_text(texts, text, line, output);
  }
}

void write_logits(const Texts& texts, int64_t first, int64_t last, const NgramLogitsArgs& args) {
  std::vector<uint32_t> line;
  Sums sums(args);
  for (int64_t text = first; text < last; ++text) {
    put_text(texts, text, line, sums);
    sums.finish(args.logits + text * args.C);
  }
}

// The batch of texts that all arguments begin with.
template <class Args>
Texts texts_of(const Args& args) {
  return {args.N, args.B, args.P, args.V, args.ids, args.offsets, args.codes, args.spelling};
}

// Calls work(texts, first, last) for runs of the texts.
template <class Args, class Work>
int for_texts(const Args& args, int threads, const Work& work) try {
  constexpr int64_t kTexts = 16;  // of a task
  const Texts t = texts_of(args);
  if (!are_offsets(t.offsets, t.N, t.B) || !are_offsets(t.spelling, t.P, t.V) || !are_indices(t.ids, t.N, t.V))
    return kInvalidArgument;
  parallel_for((t.B + kTexts - 1) / kTexts, threads,
               [&](int64_t i) { work(t, i * kTexts, std::min(t.B, (i + 1) * kTexts)); });
  return kOk;
} catch (...) {
  return kOutOfMemory;
}

}  // namespace
}  // namespace textrnn

using namespace textrnn;

EXPORT int textrnn_ngram_counts(const NgramCountsArgs* args, int threads) {
  return for_texts(*args, threads, [=](const Texts& texts, int64_t first, int64_t last) {
    count_ngrams(texts, first, last, args->counts);
  });
}

EXPORT int textrnn_ngram_keys(const NgramKeysArgs* args, int threads) {
  if (!are_offsets(args->bounds, args->K, args->B)) return kInvalidArgument;
  return for_texts(*args, threads, [=](const Texts& texts, int64_t first, int64_t last) {
    hash_ngrams(texts, first, last, args->bounds, args->keys);
  });
}

// Refuses keys that crowd: hashes do not.
EXPORT int textrnn_ngram_slots(const NgramSlotsArgs* args, int) {
  constexpr int kFar = 1000;
  const uint64_t mask = uint64_t(args->S) - 1;
  for (int64_t row = 0; row < args->F; ++row) {
    uint64_t at = args->keys[row] & mask;
    for (int far = 0; args->slots[at]; at = (at + 1) & mask)
      if (++far == kFar) return kInvalidArgument;
    args->slots[at] = uint64_t(args->keys[row]) << 32 | uint64_t(row + 1);
  }
  return kOk;
}

EXPORT int textrnn_ngram_logits(const NgramLogitsArgs* args, int threads) {
  return for_texts(*args, threads, [=](const Texts& texts, int64_t first, int64_t last) {
    write_logits(texts, first, last, *args);
  });
}
