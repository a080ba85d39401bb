#include "words/words.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

#include "compiler.h"
#include "dispatch.h"
#include "offsets.h"
#include "words/lattice.h"
#include "words/normalizer.h"
#include "words/spm_model.h"
#include "words/word_table.h"

namespace textrnn::words {
namespace {

constexpr size_t kPadding = 8;           // bytes after the texts
constexpr int64_t kLineBytes = 512;      // of a line of missing words, at least
constexpr uint32_t kMissing = 1u << 31;  // in places: the other bits are a word's number among the missing

struct WordCache {
  explicit WordCache(std::string_view bytes) : content(bytes), is_usable(read_model(content, model)) {
    if (!is_usable) return;
    normalizer.emplace(model.charsmap);
    is_usable = normalizer->keeps_spaces() && PieceTrie::can_hold(model.pieces);
    if (is_usable && model.is_unigram) trie.emplace(model.pieces);
    for (const Piece& piece : model.pieces)
      starts_word.push_back(piece.type == Piece::kNormal && piece.text.substr(0, kMeta.size()) == kMeta);
  }

  std::string content;  // which model views
  SpmModel model;
  bool is_usable;
  std::optional<Normalizer> normalizer;
  std::optional<PieceTrie> trie;
  std::vector<uint8_t> starts_word;  // by id
  WordTable table;
};

// The most ids of an entry: so the ids of a text have room for as many as it has bytes, and one more.
size_t max_ids(std::string_view word) { return word.size() + 1; }

WordCache& from_handle(const uint64_t* handle) { return *reinterpret_cast<WordCache*>(uintptr_t(*handle)); }

INLINE int count_trailing_zeros(uint64_t number) {
#if defined(_MSC_VER)
  unsigned long index;
  _BitScanForward64(&index, number);
  return int(index);
#else
  return __builtin_ctzll(number);
#endif
}

struct HashedWord {
  std::string_view word;
  uint64_t hash;
};

// Reads the word at `start`, before a space or `end`. At least 8 bytes can be read from `end` on.
INLINE HashedWord read_word(const uint8_t* start, const uint8_t* end) {
  constexpr uint64_t kOnes = 0x0101010101010101u, kFactor = 0x9E3779B97F4A7C15u;
  uint64_t hash = 0x2545F4914F6CDD1Du;
  for (const uint8_t* at = start;; at += 8) {
    uint64_t eight;
    std::memcpy(&eight, at, 8);
    const uint64_t differs = eight ^ (' ' * kOnes), space = (differs - kOnes) & ~differs & (kOnes << 7);
    size_t size = space ? size_t(count_trailing_zeros(space)) / 8 : 8;
    size = std::min(size, size_t(end - at));
    if (size < 8) eight &= (uint64_t(1) << (8 * size)) - 1;
    hash = (hash ^ eight) * kFactor;
    hash ^= hash >> 29;
    if (size == 8) continue;
    const size_t bytes = size_t(at - start) + size;
    hash = (hash ^ bytes) * kFactor;
    return {{reinterpret_cast<const char*>(start), bytes}, hash ^ hash >> 32};
  }
}

HashedWord read_word(std::string_view word, std::string& padded) {
  padded.assign(word).append(kPadding, ' ');
  const uint8_t* const start = reinterpret_cast<const uint8_t*>(padded.data());
  return {word, read_word(start, start + word.size()).hash};
}

// The distinct words of a call that have no entry, with numbers from 0 on.
class MissingWords {
 public:
  MissingWords() : slots_(64, 0) {}

  size_t size() const { return words_.size(); }

  // The number of a word, or -1.
  int64_t find(const HashedWord& word) const {
    for (size_t at = word.hash;; ++at) {
      const uint32_t slot = slots_[at & (slots_.size() - 1)];
      if (!slot) return -1;
      if (words_[slot - 1].hash == word.hash && words_[slot - 1].word == word.word) return slot - 1;
    }
  }

  void add(const HashedWord& word) {
    words_.push_back(word);
    if (2 * words_.size() > slots_.size()) {
      slots_.assign(4 * slots_.size(), 0);
      for (size_t i = 0; i < words_.size(); ++i) place(i);
    } else {
      place(words_.size() - 1);
    }
  }

 private:
  void place(size_t number) {
    size_t at = words_[number].hash;
    while (slots_[at & (slots_.size() - 1)]) ++at;
    slots_[at & (slots_.size() - 1)] = uint32_t(number + 1);
  }

  std::vector<HashedWord> words_;
  std::vector<uint32_t> slots_;  // number + 1; 0: free
};

// Finds the entries of the words of texts, and lists the words without one.
class Finder {
 public:
  explicit Finder(const WordsFindArgs& args) : args_(args), cache_(from_handle(args.cache)) {
    if (cache_.trie) lattice_.emplace(cache_.model, *cache_.trie);
  }

  bool run() {
    args_.word_offsets[0] = 0;
    for (int64_t i = 0; i < args_.B; ++i) {
      if (!find_words(args_.text + args_.offsets[i], args_.text + args_.offsets[i + 1])) return false;
      args_.word_offsets[i + 1] = words_;
    }
    end_line();
    args_.sizes[0] = lines_, args_.sizes[1] = int64_t(missing_.size());
    return true;
  }

 private:
  static constexpr int kAhead = 16;  // words whose memory is fetched at the same time

  // Writes the places of the words that can be among the first max_length ids.
  bool find_words(const uint8_t* at, const uint8_t* end) {
    HashedWord next[kAhead];
    for (int64_t ids = 0; ids < args_.max_length;) {
      int n = 0;
      for (; n < kAhead; ++n) {
        while (at < end && *at == ' ') ++at;
        if (at == end) break;
        next[n] = read_word(at, end);
        at += next[n].word.size();
        cache_.table.prefetch_slot(next[n].hash);
      }
      if (!n) break;
      for (int i = 0; i < n; ++i) cache_.table.prefetch_entry(next[i].hash);
      if (n > args_.W - words_) return false;
      for (int i = 0; i < n && ids < args_.max_length; ++i) {
        const uint32_t place = args_.places[words_++] = find(next[i]);
        const bool is_missing = place & kMissing;
        if (!is_missing && (!place || cache_.table.at(place).cost.limit < 0)) return true;  // the text is encoded whole
        ids += is_missing ? 1 : cache_.table.at(place).ids;
      }
    }
    return true;
  }

  // The place of a word; 0 if it never has an entry.
  uint32_t find(const HashedWord& next) {
    if (next.word.size() > kMaxWordBytes) return 0;
    if (const uint32_t place = cache_.table.find(next.word, next.hash)) return place;
    if (const int64_t number = missing_.find(next); number >= 0) return kMissing | uint32_t(number);
    if (!cache_.normalizer->normalize(next.word, normalized_))
      return cache_.table.insert(next.word, next.hash, nullptr, 0, Cost());
    if (const uint32_t place = segment(next)) return place;
    if (end_ > line_start_) args_.missing[end_++] = ' ';
    std::memcpy(args_.missing + end_, next.word.data(), next.word.size());
    end_ += int64_t(next.word.size());
    if (end_ - line_start_ >= kLineBytes) end_line();
    missing_.add(next);
    return kMissing | uint32_t(missing_.size() - 1);
  }

  // Adds the entry of a word of known pieces of a unigram model; 0 for others, and if the table is full.
  uint32_t segment(const HashedWord& next) {
    if (!lattice_) return 0;
    normalized_.insert(0, kMeta);
    const Cost cost = lattice_->segment(normalized_);
    const size_t N = lattice_->ids().size();
    if (!lattice_->is_known() || N > max_ids(next.word)) return 0;
    return cache_.table.insert(next.word, next.hash, lattice_->ids().data(), cost.limit < 0 ? 0 : N, cost);
  }

  void end_line() {
    if (end_ > line_start_) args_.lines[lines_++] = line_start_ = end_;
  }

  const WordsFindArgs& args_;
  WordCache& cache_;
  MissingWords missing_;
  std::optional<Lattice> lattice_;
  std::string normalized_;
  int64_t words_ = 0, lines_ = 0, end_ = 0, line_start_ = 0;  // end_: of the lines so far
};

// Adds the missing words with the ids of their lines, and writes the ids of texts.
class Encoder {
 public:
  explicit Encoder(const WordsEncodeArgs& args) : args_(args), cache_(from_handle(args.cache)) {
    if (cache_.trie) lattice_.emplace(cache_.model, *cache_.trie);
  }

  bool run() {
    for (int64_t i = 0; i < args_.L; ++i) add_line(i);
    for (int64_t i = 0; i < args_.B; ++i)
      if (!write_text(i)) return false;
    return true;
  }

 private:
  // Divides the ids of a line among its words; each begins with a piece that begins with a space.
  void add_line(int64_t i) {
    std::string_view line(reinterpret_cast<const char*>(args_.missing) + args_.line_offsets[i],
                          size_t(args_.line_offsets[i + 1] - args_.line_offsets[i]));
    const int32_t* const ids = args_.line_ids + args_.id_offsets[i];
    const size_t N = size_t(args_.id_offsets[i + 1] - args_.id_offsets[i]);
    for (size_t start = 0; !line.empty();) {
      const std::string_view word = line.substr(0, line.find(' '));
      size_t end = std::min(start + 1, N);
      while (end < N && !starts_word(ids[end])) ++end;
      add_word(word, ids + start, end - start);
      line.remove_prefix(std::min(word.size() + 1, line.size()));
      start = end;
    }
  }

  bool starts_word(int32_t id) const {
    return size_t(id) < cache_.starts_word.size() && cache_.starts_word[size_t(id)];
  }

  void add_word(std::string_view word, const int32_t* ids, size_t N) {
    Cost cost;
    if (N && N <= max_ids(word) && starts_word(ids[0])) cost = find_cost(word, ids, N);
    if (cost.limit < 0) N = 0;
    const HashedWord hashed = read_word(word, padded_);
    uint32_t place = cache_.table.insert(word, hashed.hash, ids, N, cost);
    if (!place) {  // the table is full: an entry for this call
      place = kMissing | uint32_t(extra_.size());
      extra_.resize(extra_.size() + Entry::size(word.size(), N));
      Entry::write(extra_.data() + (place & ~kMissing), word, ids, N, cost);
    }
    added_.push_back(place);
  }

  Cost find_cost(std::string_view word, const int32_t* ids, size_t N) {
    if (!cache_.normalizer->normalize(word, normalized_)) return {};
    normalized_.insert(0, kMeta);
    if (lattice_) {
      const Cost cost = lattice_->segment(normalized_);
      return std::equal(ids, ids + N, lattice_->ids().begin(), lattice_->ids().end()) ? cost : Cost();
    }
    return spells(normalized_, ids, N) ? Cost{0, 0} : Cost();
  }

  // Whether the pieces joined are `word`, up to the first unknown one.
  bool spells(std::string_view word, const int32_t* ids, size_t N) const {
    for (size_t i = 0; i < N; ++i) {
      if (ids[i] < 0 || size_t(ids[i]) >= cache_.model.pieces.size()) return false;
      const Piece& piece = cache_.model.pieces[size_t(ids[i])];
      if (piece.type == Piece::kUnknown) return true;
      if (piece.type == Piece::kByte) {
        if (word.empty() || cache_.model.bytes[uint8_t(word[0])] != ids[i]) return false;
        word.remove_prefix(1);
      } else {
        if (word.substr(0, piece.text.size()) != piece.text) return false;
        word.remove_prefix(piece.text.size());
      }
    }
    return word.empty();
  }

  const Entry* entry(uint32_t place) const {
    if (place & kMissing) {
      if ((place & ~kMissing) >= added_.size()) return nullptr;
      place = added_[place & ~kMissing];
      if (place & kMissing) return reinterpret_cast<const Entry*>(extra_.data() + (place & ~kMissing));
    }
    return place ? &cache_.table.at(place) : nullptr;
  }

  // Writes the first max_length ids of a text, or the length -1.
  bool write_text(int64_t i) {
    const int64_t start = end_, most = args_.max_length;
    if (args_.word_offsets[i] == args_.word_offsets[i + 1]) {
      if (end_ == args_.K) return false;
      args_.ids[end_++] = int32_t(args_.unknown);
    }
    double sum = 0;
    for (int64_t word = args_.word_offsets[i]; word < args_.word_offsets[i + 1] && end_ - start < most; ++word) {
      const Entry* const found = entry(args_.places[word]);
      if (found) sum += double(found->cost.cost);
      if (!found || !(sum <= double(found->cost.limit))) {
        end_ = start, args_.lengths[i] = -1;
        return true;
      }
      const int64_t n = std::min<int64_t>(found->ids, most - (end_ - start));
      if (n > args_.K - end_) return false;
      std::memcpy(args_.ids + end_, found->begin(), size_t(n) * sizeof(int32_t));
      end_ += n;
    }
    args_.lengths[i] = end_ - start;
    return true;
  }

  const WordsEncodeArgs& args_;
  WordCache& cache_;
  std::optional<Lattice> lattice_;
  std::vector<uint32_t> added_;  // places of the missing words; with the bit kMissing in extra_
  std::vector<int32_t> extra_;
  std::string normalized_, padded_;
  int64_t end_ = 0;
};

}  // namespace
}  // namespace textrnn::words

using namespace textrnn;

// Writes 0 if a word's ids may depend on the words around it.
EXPORT int textrnn_words_open(const WordsOpenArgs* args, int) try {
  auto cache = std::make_unique<words::WordCache>(
      std::string_view(reinterpret_cast<const char*>(args->model), size_t(args->M)));
  *args->cache = cache->is_usable ? uint64_t(uintptr_t(cache.release())) : 0;
  return kOk;
} catch (...) {
  return kOutOfMemory;
}

EXPORT int textrnn_words_close(const WordsCloseArgs* args, int) {
  delete &words::from_handle(args->cache);
  return kOk;
}

EXPORT int textrnn_words_find(const WordsFindArgs* args, int) try {
  if (!are_offsets(args->offsets, args->T - int64_t(words::kPadding), args->B)) return kInvalidArgument;
  if (args->M < args->T + args->B || args->L <= args->M / words::kLineBytes) return kInvalidArgument;
  return words::Finder(*args).run() ? kOk : kInvalidArgument;
} catch (...) {
  return kOutOfMemory;
}

EXPORT int textrnn_words_encode(const WordsEncodeArgs* args, int) try {
  if (!are_offsets(args->word_offsets, args->W, args->B) || !are_offsets(args->line_offsets, args->M, args->L) ||
      !are_offsets(args->id_offsets, args->N, args->L))
    return kInvalidArgument;
  return words::Encoder(*args).run() ? kOk : kInvalidArgument;
} catch (...) {
  return kOutOfMemory;
}
