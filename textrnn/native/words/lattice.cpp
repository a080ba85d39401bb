#include "words/lattice.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "words/normalizer.h"

namespace textrnn::words {
namespace {

constexpr int kSmallest = 4, kLargest = 16;  // limits are powers of 2; SentencePiece starts again from 0 beyond 100,000

size_t count_characters(std::string_view text) {
  return size_t(std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

// Reads the characters of valid UTF-8.
void split(std::string_view text, std::vector<Character>& characters) {
  characters.clear();
  for (size_t start = 0; start < text.size();) {
    const size_t size = character_size(text.substr(start));
    uint32_t code = uint8_t(text[start]) & (size == 1 ? 127 : 127 >> size);
    for (size_t i = 1; i < size; ++i) code = code << 6 | (uint8_t(text[start + i]) & 63);
    characters.push_back({uint32_t(start), uint32_t(start + size), code});
    start += size;
  }
}

size_t count_slots(const std::vector<Piece>& pieces) {
  size_t characters = 0, slots = 64;
  for (const Piece& piece : pieces) characters += count_characters(piece.text);
  while (slots < 2 * characters) slots *= 2;
  return slots;
}

}  // namespace

bool PieceTrie::can_hold(const std::vector<Piece>& pieces) {
  return pieces.size() < (1 << kPieceBits) - 1 && count_slots(pieces) <= 1 << kNodeBits;
}

PieceTrie::PieceTrie(const std::vector<Piece>& pieces) : slots_(count_slots(pieces), 0), mask_(slots_.size() - 1) {
  slots_[0] = ~uint64_t(0) << kPieceBits;  // of no character
  std::vector<Character> characters;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].type != Piece::kNormal) continue;
    split(pieces[i].text, characters);
    uint32_t node = 0;
    for (const Character& character : characters) {
      if (step(node, character.code)) continue;
      size_t at = hash(node, character.code);
      while (slots_[at & mask_]) ++at;
      slots_[at & mask_] = make_key(node, character.code) << kPieceBits;
      node = uint32_t(at & mask_);
    }
    slots_[node] |= i + 1;
  }
}

// Finds the best segmentation after `rounding` is taken from each piece of the first one, and added to all others.
void Lattice::find_best(double rounding) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  const size_t size = characters_.size();
  nodes_.assign(size + 1, {kNone, kNone, -1, -1});
  nodes_[0].best = 0;
  const auto add = [&](size_t start, size_t end, int32_t piece, float score) {
    const bool is_first = rounding > 0 && first_[end].start == int32_t(start);
    const double sum = nodes_[start].best + double(score) + (is_first ? -rounding : rounding);
    Node& node = nodes_[end];
    if (sum > node.best || (sum == node.best && !is_first)) {
      node = {sum, node.best, int32_t(start), piece};
    } else {
      node.second = std::max(node.second, sum);
    }
  };
  for (size_t start = 0; start < size; ++start) {
    bool is_known = false;
    uint32_t node = 0;
    for (size_t end = start; end < size && trie_.step(node, characters_[end].code);) {
      const int32_t piece = trie_.piece(node);
      ++end;
      if (piece < 0) continue;
      add(start, end, piece, model_.pieces[size_t(piece)].score);
      is_known |= end == start + 1;
    }
    if (!is_known) add(start, start + 1, model_.unknown, model_.unknown_score);
  }
}

// Leaves in first_ only the nodes of the best segmentation.
void Lattice::keep_path() {
  for (size_t end = first_.size(); end-- > 0;)
    if (std::find(path_.begin(), path_.end(), end) == path_.end()) first_[end].start = -1;
}

// Rounding changes the sum along a segmentation by at most half a unit in the last place for each of its pieces. If the
// best one stays the best after this loss, and all others after this gain, it is found after any other text: no sum
// between is larger than that at the end, since no score is above 0. `exponent`: of the bound of the sums.
bool Lattice::is_stable(int exponent) {
  const double half_unit = std::ldexp(1.001, exponent - 25);  // 1.001: the sums here are rounded, too
  find_best(half_unit);
  for (int32_t end = int32_t(characters_.size()); end > 0; end = nodes_[size_t(end)].start)
    if (nodes_[size_t(end)].start != first_[size_t(end)].start) return false;
  return true;
}

Cost Lattice::segment(std::string_view word) {
  split(word, characters_);
  find_best(0);
  first_.swap(nodes_);
  write_ids(word);
  const double cost = -first_.back().best;
  double margin = std::numeric_limits<double>::infinity();  // of the best over all others, for each piece of the two
  for (int32_t end = int32_t(characters_.size()); end > 0; end = first_[size_t(end)].start)
    margin = std::min(margin, (first_[size_t(end)].best - first_[size_t(end)].second) / (2 * end));
  int exponent = kLargest;
  if (!(margin > std::ldexp(1.001, exponent - 25))) {  // almost never
    keep_path();
    while (exponent >= kSmallest && !is_stable(exponent)) --exponent;
  }
  // 0.99: SentencePiece's sum is rounded, and not above 2 to the exponent
  return exponent < kSmallest ? Cost() : Cost{float(cost * 1.0001), float(std::ldexp(0.99, exponent))};
}

// A run of unknown characters is one unknown piece, or their bytes.
void Lattice::write_ids(std::string_view word) {
  ids_.clear(), path_.clear(), is_known_ = true;
  for (size_t end = characters_.size(); end > 0; end = size_t(first_[end].start)) path_.push_back(end);
  for (auto end = path_.rbegin(); end != path_.rend(); ++end) {
    const Node& node = first_[*end];
    if (node.piece != model_.unknown) {
      ids_.push_back(node.piece);
    } else if (model_.byte_fallback) {
      const Character& character = characters_[*end - 1];
      for (uint32_t at = character.start; at < character.end; ++at) ids_.push_back(model_.bytes[uint8_t(word[at])]);
    } else if (ids_.empty() || ids_.back() != model_.unknown) {
      ids_.push_back(model_.unknown);
    }
    is_known_ &= node.piece != model_.unknown;
  }
}

}  // namespace textrnn::words
