#include "words/spm_model.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "words/normalizer.h"

namespace textrnn::words {
namespace {

constexpr float kUnknownPenalty = 10;  // as in SentencePiece

// The fields of a message in the wire format of protocol buffers.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  int number = 0;
  uint64_t value = 0;      // of a varint or a fixed number
  std::string_view bytes;  // of a string or a message

  // Moves to the next field; false at the end or at a fault.
  bool next() {
    uint64_t key, size = 0;
    if (rest_.empty()) return false;
    if (!read_varint(key)) return fail();
    number = int(key >> 3), bytes = {}, value = 0;
    switch (key & 7) {
      case 0: return read_varint(value) || fail();
      case 1: size = 8; break;
      case 2:
        if (!read_varint(size)) return fail();
        break;
      case 5: size = 4; break;
      default: return fail();
    }
    if (size > rest_.size()) return fail();
    bytes = rest_.substr(0, size_t(size));
    rest_.remove_prefix(size_t(size));
    if ((key & 7) != 2) std::memcpy(&value, bytes.data(), bytes.size());
    return true;
  }

  bool failed() const { return failed_; }

 private:
  bool fail() {
    failed_ = true;
    return false;
  }

  bool read_varint(uint64_t& number) {
    number = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const uint8_t byte = uint8_t(rest_[0]);
      rest_.remove_prefix(1);
      number |= uint64_t(byte & 127) << shift;
      if (byte < 128) return true;
    }
    return false;
  }

  std::string_view rest_;
  bool failed_ = false;
};

bool read_piece(std::string_view bytes, Piece& piece) {
  Fields field(bytes);
  while (field.next()) {
    const uint32_t bits = uint32_t(field.value);
    if (field.number == 1) piece.text = field.bytes;
    if (field.number == 2) std::memcpy(&piece.score, &bits, sizeof(bits));
    if (field.number == 3) piece.type = int(field.value);
  }
  return !field.failed();
}

struct Settings {
  uint64_t type = 1, as_suffix = 0, byte_fallback = 0;                 // of TrainerSpec
  uint64_t dummy_prefix = 1, one_space = 1, escape = 1;  // of NormalizerSpec
};

bool read_trainer(std::string_view bytes, Settings& settings) {
  Fields field(bytes);
  while (field.next()) {
    if (field.number == 3) settings.type = field.value;
    if (field.number == 24) settings.as_suffix = field.value;
    if (field.number == 35) settings.byte_fallback = field.value;
  }
  return !field.failed();
}

bool read_normalizer(std::string_view bytes, Settings& settings, std::string_view& charsmap) {
  Fields field(bytes);
  while (field.next()) {
    if (field.number == 2) charsmap = field.bytes;
    if (field.number == 3) settings.dummy_prefix = field.value;
    if (field.number == 4) settings.one_space = field.value;
    if (field.number == 5) settings.escape = field.value;
  }
  return !field.failed();
}

// The byte of a piece like <0x41>, or -1.
int byte_of(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
  const size_t high = kDigits.find(text[3]), low = kDigits.find(text[4]);
  return high < 16 && low < 16 ? int(high * 16 + low) : -1;
}

// Whether the pieces keep to words. Symbols of the user are found before normalization, and the resegmentation of
// unused pieces in BPE depends on other words: they are refused.
bool index_pieces(SpmModel& model) {
  bool has_meta = false;
  int bytes = 0;
  float least = std::numeric_limits<float>::max();
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const Piece& piece = model.pieces[i];
    if (piece.text.empty() || piece.text.find('\0') != piece.text.npos || !is_valid(piece.text)) return false;
    if (piece.text.find(kMeta, 1) != piece.text.npos) return false;
    switch (piece.type) {
      case Piece::kNormal:
        has_meta |= piece.text == kMeta;
        if (model.is_unigram && !(piece.score <= 0)) return false;
        least = std::min(least, piece.score);
        break;
      case Piece::kUnknown: model.unknown = int32_t(i); break;
      case Piece::kControl: break;
      case Piece::kByte:
        if (byte_of(piece.text) < 0) return false;
        model.bytes[byte_of(piece.text)] = int32_t(i), ++bytes;
        break;
      default: return false;
    }
  }
  model.unknown_score = least - kUnknownPenalty;
  return has_meta && model.unknown >= 0 && bytes == (model.byte_fallback ? 256 : 0);
}

bool is_little_endian() {
  const uint16_t one = 1;
  uint8_t first;
  std::memcpy(&first, &one, 1);
  return first == 1;
}

}  // namespace

bool read_model(std::string_view bytes, SpmModel& model) {
  Settings settings;
  Fields field(bytes);
  while (field.next()) {
    bool is_read = true;
    if (field.number == 1) is_read = read_piece(field.bytes, model.pieces.emplace_back());
    if (field.number == 2) is_read = read_trainer(field.bytes, settings);
    if (field.number == 3) is_read = read_normalizer(field.bytes, settings, model.charsmap);
    if (!is_read) return false;
  }
  model.is_unigram = settings.type == 1;
  model.byte_fallback = settings.byte_fallback;
  return !field.failed() && is_little_endian() && (settings.type == 1 || settings.type == 2) && !settings.as_suffix &&
         settings.dummy_prefix && settings.one_space && settings.escape && index_pieces(model);
}

}  // namespace textrnn::words
