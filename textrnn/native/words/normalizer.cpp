#include "words/normalizer.h"

#include <algorithm>
#include <cstring>

#include "words/spm_model.h"

namespace textrnn::words {
namespace {

constexpr int kMaxRules = 32;  // SentencePiece reads no more rules that begin at one place

uint32_t read_uint32(const char* from) {
  uint32_t number;
  std::memcpy(&number, from, sizeof(number));
  return number;
}

uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 512) >> 6); }

}  // namespace

size_t character_size(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : 0; };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const int first = byte(0), second = byte(1);
  if (first < 0x80) return text.empty() ? 0 : 1;
  if (first < 0xC2 || first > 0xF4 || !continues(1)) return 0;
  if (first < 0xE0) return 2;
  if (!continues(2) || (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if (first < 0xF0) return 3;
  return !continues(3) || (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F) ? 0 : 4;
}

bool is_valid(std::string_view text) {
  while (!text.empty()) {
    const size_t size = character_size(text);
    if (!size) return false;
    text.remove_prefix(size);
  }
  return true;
}

Normalizer::Normalizer(std::string_view charsmap) {
  if (charsmap.empty()) return;
  const uint32_t size = charsmap.size() < 4 ? 0 : read_uint32(charsmap.data());
  keeps_spaces_ = size >= 4 && size < charsmap.size() - 4 && charsmap.back() == '\0';
  if (!keeps_spaces_) return;
  trie_ = charsmap.substr(4, size), strings_ = charsmap.substr(4 + size);
  root_.node = offset_of(unit(0));
  Place space = root_;
  keeps_spaces_ = !step(space, ' ') || (!space.is_rule && !step(space, ' '));
}

uint32_t Normalizer::unit(uint32_t node) const {
  return node < trie_.size() / 4 ? read_uint32(trie_.data() + size_t(node) * 4) : 0;
}

// Moves to the child of `byte`; false if there is none.
bool Normalizer::step(Place& place, char byte) const {
  if (trie_.empty()) return false;
  const uint32_t node = place.node ^ uint8_t(byte), found = unit(node);
  if ((found & 0x800000FF) != uint8_t(byte)) return false;
  place = {node ^ offset_of(found), (found & 256) != 0};
  return true;
}

// Whether a rule matches a space and the beginning of `word`, or may do so with what follows the word.
bool Normalizer::crosses_start(std::string_view word) const {
  Place place = root_;
  if (!step(place, ' ')) return false;
  for (const char byte : word) {
    if (!step(place, byte)) return false;
    if (place.is_rule) return true;
  }
  return step(place, ' ');
}

// Finds the longest rule at the beginning of `rest`, whose `length` is 0 if there is none. Returns whether it is the
// same if a space and anything else follow.
bool Normalizer::apply_rule(std::string_view rest, size_t& length, std::string_view& replacement) const {
  Place place = root_;
  int rules = 0;
  length = 0;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (!step(place, rest[i])) return rules <= kMaxRules;
    if (!place.is_rule) continue;
    const size_t start = unit(place.node) & 0x7FFFFFFF;
    if (start >= strings_.size()) return false;
    length = i + 1, ++rules;
    replacement = strings_.data() + start;  // up to its 0
  }
  return rules <= kMaxRules && !step(place, ' ');
}

bool Normalizer::normalize(std::string_view word, std::string& normalized) const {
  normalized.clear();
  if (crosses_start(word)) return false;
  while (!word.empty()) {
    size_t length;
    std::string_view replacement;
    if (word[0] == '\0' || !apply_rule(word, length, replacement)) return false;
    if (!length) {
      length = character_size(word);
      if (!length) return false;
      replacement = word.substr(0, length);
    }
    normalized += replacement;
    word.remove_prefix(length);
  }
  return !normalized.empty() && normalized.find(' ') == normalized.npos && normalized.find(kMeta) == normalized.npos &&
         is_valid(normalized);
}

}  // namespace textrnn::words
