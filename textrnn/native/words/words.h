// Texts as the ids of their words, which SentencePiece encoded once. textrnn/tokenization/word_cache.py has the
// conditions.
#pragma once

#include <cstdint>

namespace textrnn {

// Arguments of the exported functions, laid out as native/functions.py declares them. `cache` comes from words_open.

struct WordsOpenArgs {
  int64_t M;
  const uint8_t* model;  // (M,)
  uint64_t* cache;       // (1,)
};

struct WordsCloseArgs {
  int64_t H;
  const uint64_t* cache;  // (H,)
};

struct WordsFindArgs {
  int64_t T, B, W, M, L;
  const uint64_t* cache;  // (1,)
  const uint8_t* text;     // (T,) the texts, then 8 bytes
  const int64_t* offsets;  // (B+1,)
  int64_t max_length;
  uint32_t* places;       // (W,) of the words of all texts: their entry, or their number among the missing
  int64_t* word_offsets;  // (B+1,)
  uint8_t* missing;       // (M,) the words without an entry, in lines
  int64_t* lines;         // (L,) the end of each line
  int64_t* sizes;         // (2,) the number of lines, and of missing words
};

struct WordsEncodeArgs {
  int64_t W, B, M, L, N, K;
  const uint64_t* cache;  // (1,)
  const uint32_t* places;       // (W,)
  const int64_t* word_offsets;  // (B+1,)
  int64_t max_length, unknown;
  const uint8_t* missing;       // (M,)
  const int64_t* line_offsets;  // (L+1,) of missing
  const int32_t* line_ids;      // (N,)
  const int64_t* id_offsets;    // (L+1,) of line_ids
  int32_t* ids;                 // (K,)
  int64_t* lengths;             // (B,) -1: SentencePiece has to encode the text
};

}  // namespace textrnn
