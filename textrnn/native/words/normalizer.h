// The normalization rules of a SentencePiece model, applied to single words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace textrnn::words {

class Normalizer {
 public:
  // `charsmap` is the model's precompiled_charsmap and outlives the object.
  explicit Normalizer(std::string_view charsmap);

  // Whether a space between words stays a space; a rule may still match a space and the word after it.
  bool keeps_spaces() const { return keeps_spaces_; }

  // Writes the normalized `word`, which has no space. Returns whether this is its form in every text, is not empty, and
  // has neither a space nor U+2581. False also if it is not valid UTF-8.
  bool normalize(std::string_view word, std::string& normalized) const;

 private:
  // A place in the trie of the rules, a double array of Darts-clone.
  struct Place {
    uint32_t node = 0;
    bool is_rule = false;  // a rule ends here
  };

  uint32_t unit(uint32_t node) const;
  bool step(Place& place, char byte) const;
  bool crosses_start(std::string_view word) const;
  bool apply_rule(std::string_view rest, size_t& length, std::string_view& replacement) const;

  std::string_view trie_, strings_;  // the replacements, each with a 0 at its end
  Place root_;
  bool keeps_spaces_ = true;
};

// The number of bytes of the first character of `text`; 0 if it is not valid UTF-8.
size_t character_size(std::string_view text);

bool is_valid(std::string_view text);

}  // namespace textrnn::words
