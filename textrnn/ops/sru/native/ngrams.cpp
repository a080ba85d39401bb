#include "ngrams.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compiler.h"

#if defined(_MSC_VER)
#define PREFETCH(address)
#else
#define PREFETCH(address) __builtin_prefetch(address)
#endif

namespace textrnn {
namespace {

// As in features.py.
constexpr int kLongest = 6;
constexpr uint32_t kBlank = 0x2581, kWords = 0x80000000u;
constexpr uint64_t kPower = 0xDAC8DC4917B45A3Du, kSalt = 0x39643AEB745FCB87u, kWordSalt = 0x2301531EA91AC263u;
constexpr uint64_t kPairFirst = 0x7BF7B06DBE1E1B5Du, kPairSecond = 0x434AF8C5F5423E09u;
constexpr uint64_t kBegin = 0xD450D8653459D86Bu, kEnd = 0x9AB21290D1EB8FE7u;
constexpr uint64_t kMixFirst = 0x5EF3F4DCCCA7B2C1u, kMixSecond = 0x3C8C17F82B5C3331u;

INLINE uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * kMixFirst;
  x = (x ^ (x >> 27)) * kMixSecond;
  return x ^ (x >> 31);
}

// The upper 31 bits of mix(x), which its last step does not change.
INLINE uint32_t to_key(uint64_t x) {
  x = (x ^ (x >> 30)) * kMixFirst;
  return uint32_t(((x ^ (x >> 27)) * kMixSecond) >> 33);
}

INLINE uint32_t to_pair(uint64_t first, uint64_t second) {
  return kWords | to_key(first * kPairFirst + second * kPairSecond);
}

// The keys of the windows of up to `longest` code points that begin at `code`, of `shortest` at least.
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

// Gives the keys of the word `code[1]` to `code[size - 2]`, which has a blank on both sides. Returns the word's hash.
template <class Sink>
uint64_t put_word(const uint32_t* code, int64_t size, uint64_t before, Sink& sink) {
  uint64_t hash = kWordSalt, power = 1;
  for (int64_t i = 1; i + 1 < size; ++i, power *= kPower) hash += (uint64_t(code[i]) + 1) * power;
  hash = mix(hash);
  uint32_t* to = sink.make_room();
  to[0] = kWords | uint32_t(hash >> 33), to[1] = to_pair(before, hash);
  sink.next = to + 2;
  for (int64_t i = 0; i + 1 < size; ++i) {
    const int shortest = i ? 1 : 2;  // a blank alone says nothing
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

// Calls `of_word(codes, size)` for each word of a text, with a blank on both sides, which are in `word`.
template <class OfWord>
void walk(const Texts& texts, int64_t text, std::vector<uint32_t>& word, const OfWord& of_word) {
  word.assign(1, kBlank);
  const auto finish = [&] {
    if (word.size() == 1) return;
    word.push_back(kBlank);
    of_word(word.data(), int64_t(word.size()));
    word.resize(1);
  };
  for (int64_t i = texts.offsets[text]; i < texts.offsets[text + 1]; ++i) {
    const int64_t* const piece = texts.spelling + texts.ids[i];
    for (int64_t at = piece[0]; at < piece[1]; ++at) {
      if (texts.codes[at] == kBlank)
        finish();
      else
        word.push_back(texts.codes[at]);
    }
  }
  finish();
}

template <class Sink>
void put_text(const Texts& texts, int64_t text, std::vector<uint32_t>& word, Sink& sink) {
  uint64_t before = kBegin;
  bool any = false;
  walk(texts, text, word, [&](const uint32_t* code, int64_t size) {
    before = put_word(code, size, before, sink), any = true;
  });
  if (any) *sink.make_room() = to_pair(before, kEnd), ++sink.next;
}

// Where keys go that are wanted: there is room.
struct Output {
  uint32_t* next;
  uint32_t* make_room() { return next; }
};

// Looks keys up, many together so that the memory's latency is not waited for, and adds up what they stand for.
class Sums {
 public:
  Sums(const Linear& linear) : linear_(linear), width_(linear.C + 1), sums_(size_t(2 * width_)) {}

  uint32_t* next = keys_;
  uint32_t* make_room() {
    if (next > keys_ + kKeys - kLongest) flush();
    return next;
  }

  // Write the scores (C,) of the text whose keys came, and begin with another.
  void finish(float* scores) {
    flush();
    const double *characters = sums_.data(), *words = characters + width_;
    const double c = characters[0] > 0 ? std::sqrt(characters[0]) : 1, w = words[0] > 0 ? std::sqrt(words[0]) : 1;
    for (int64_t i = 0; i < linear_.C; ++i)
      scores[i] = float(double(linear_.bias[i]) + words[i + 1] / w + characters[i + 1] / c);
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
      found_[found] = row | uint64_t(key >> 31) << 32;
      found += row != 0;
    }
    for (int i = 0; i < found; ++i) {
      const float* const value = linear_.values + int64_t(uint32_t(found_[i]) - 1) * width_;
      double* const sum = sums_.data() + int64_t(found_[i] >> 32) * width_;
      for (int64_t k = 0; k < width_; ++k) sum[k] += double(value[k]);
    }
  }

  const Linear& linear_;
  const int64_t width_;
  std::vector<double> sums_;  // (2, 1+C): of characters, of words
  uint32_t keys_[kKeys];
  uint64_t found_[kKeys];
};

}  // namespace

bool are_sound(const Texts& t) {
  if (t.offsets[0] != 0 || t.offsets[t.B] != t.N || t.spelling[0] != 0 || t.spelling[t.V] != t.P) return false;
  for (int64_t i = 0; i < t.B; ++i)
    if (t.offsets[i] > t.offsets[i + 1]) return false;
  for (int64_t i = 0; i < t.V; ++i)
    if (t.spelling[i] > t.spelling[i + 1]) return false;
  bool sound = true;
  for (int64_t i = 0; i < t.N; ++i) sound &= t.ids[i] >= 0 && t.ids[i] < t.V;
  return sound;
}

bool fill_slots(const uint32_t* keys, int64_t F, uint64_t* slots, int64_t S) {
  constexpr int kFar = 1000;
  const uint64_t mask = uint64_t(S) - 1;
  for (int64_t row = 0; row < F; ++row) {
    uint64_t at = keys[row] & mask;
    for (int far = 0; slots[at]; at = (at + 1) & mask)
      if (++far == kFar) return false;
    slots[at] = uint64_t(keys[row]) << 32 | uint64_t(row + 1);
  }
  return true;
}

void count_ngrams(const Texts& texts, int64_t first, int64_t last, int64_t* counts) {
  std::vector<uint32_t> word;
  for (int64_t text = first; text < last; ++text) {
    int64_t count = 0;
    walk(texts, text, word, [&](const uint32_t*, int64_t size) {
      const int64_t longest = std::min<int64_t>(kLongest, size);
      count += longest * size - longest * (longest - 1) / 2;  // windows, of which two are blanks: a word and a pair more
    });
    counts[text] = count + (count > 0);
  }
}

void hash_ngrams(const Texts& texts, int64_t first, int64_t last, const int64_t* bounds, uint32_t* keys) {
  std::vector<uint32_t> word;
  for (int64_t text = first; text < last; ++text) {
    Output output{keys + bounds[text]};
    put_text(texts, text, word, output);
  }
}

void score_ngrams(const Texts& texts, int64_t first, int64_t last, const Linear& linear, float* scores) {
  std::vector<uint32_t> word;
  Sums sums(linear);
  for (int64_t text = first; text < last; ++text) {
    put_text(texts, text, word, sums);
    sums.finish(scores + text * linear.C);
  }
}

}  // namespace textrnn
