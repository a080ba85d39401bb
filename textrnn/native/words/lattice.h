// The segmentations of a word by a unigram model, and how far rounding may change the best.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "words/spm_model.h"

namespace textrnn::words {

// A trie of the normal pieces by characters, as a hash table. A node is the slot of the edge to it; 0 is the root.
class PieceTrie {
 public:
  explicit PieceTrie(const std::vector<Piece>& pieces);

  // Whether the pieces fit in the slots.
  static bool can_hold(const std::vector<Piece>& pieces);

  // Moves to the child of `character`; false if there is none.
  bool step(uint32_t& node, uint32_t character) const {
    for (size_t at = hash(node, character);; ++at) {
      const uint64_t slot = slots_[at & mask_];
      if (!slot) return false;
      if (slot >> kPieceBits != make_key(node, character)) continue;
      node = uint32_t(at & mask_);
      return true;
    }
  }

  // The piece that ends at `node`, or -1.
  int32_t piece(uint32_t node) const { return int32_t(slots_[node] & ((1 << kPieceBits) - 1)) - 1; }

 private:
  static constexpr int kNodeBits = 23, kCharacterBits = 21, kPieceBits = 20;

  static uint64_t make_key(uint32_t node, uint32_t character) { return uint64_t(node) << kCharacterBits | character; }
  size_t hash(uint32_t node, uint32_t character) const {
    return size_t((make_key(node, character) * 0x9E3779B97F4A7C15u) >> 32);
  }

  std::vector<uint64_t> slots_;  // parent, character, number of the piece + 1; 0: free
  size_t mask_;
};

// A character of a word in UTF-8.
struct Character {
  uint32_t start, end;  // bytes
  uint32_t code;
};

// What is stored with a word: the part of its best segmentation in the sum of the scores of a text, with the sign
// changed, and up to which sum SentencePiece finds this segmentation.
struct Cost {
  float cost = 0;
  float limit = -1;  // below 0: SentencePiece may find another one in any text
};

// The segmentations of a word. SentencePiece adds up the scores of a text in float32 from its beginning on: the larger
// the sum, the fewer digits of a score count, and segmentations of nearly equal scores may change places.
class Lattice {
 public:
  Lattice(const SpmModel& model, const PieceTrie& trie) : model_(model), trie_(trie) {}

  // Finds the best segmentation of `word`, which is normalized and after U+2581.
  Cost segment(std::string_view word);

  // The ids of it, as SentencePiece writes them; they are those of known pieces only if is_known().
  const std::vector<int32_t>& ids() const { return ids_; }
  bool is_known() const { return is_known_; }

 private:
  struct Node {  // after a number of characters
    double best, second;  // scores of the best segmentation up to here, and of the best one with another last piece
    int32_t start, piece;  // the last piece of the best
  };

  void find_best(double rounding);
  void keep_path();
  bool is_stable(int exponent);
  void write_ids(std::string_view word);

  const SpmModel& model_;
  const PieceTrie& trie_;
  std::vector<Character> characters_;
  std::vector<Node> nodes_, first_;  // with and without rounding
  std::vector<size_t> path_;  // the ends of the pieces of the best segmentation, the last first
  std::vector<int32_t> ids_;
  bool is_known_ = true;
};

}  // namespace textrnn::words
