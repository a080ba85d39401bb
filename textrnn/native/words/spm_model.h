// The parts of a SentencePiece model that decide whether it encodes words independently of each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace textrnn::words {

constexpr std::string_view kMeta = "\xe2\x96\x81";  // U+2581, which stands for a space

struct Piece {
  enum Type { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };
  std::string_view text;
  float score = 0;
  int type = kNormal;
};

// Views of the bytes that it was read from.
struct SpmModel {
  std::vector<Piece> pieces;
  std::string_view charsmap;  // the compiled rules of normalization
  bool is_unigram = true, byte_fallback = false;
  int32_t unknown = -1;     // id
  float unknown_score = 0;  // of a character without a piece in a unigram model
  int32_t bytes[256] = {};  // ids, with byte fallback
};

// Reads the serialized ModelProto `bytes` (sentencepiece_model.proto). Returns whether the model encodes a text as its
// words one by one, apart from rounding and from normalization, which Lattice and Normalizer are about: unigram or
// BPE, with a piece U+2581, and no piece that has this character elsewhere than at its beginning.
bool read_model(std::string_view bytes, SpmModel& model);

}  // namespace textrnn::words
