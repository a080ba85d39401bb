#include "words/word_table.h"

#include <cstring>
#include <new>

namespace textrnn::words {
namespace {

// 62.5 MiB; the system provides only the memory that is used. 500,000 words take about 30 MiB.
constexpr size_t kSlots[] = {size_t(1) << 16, size_t(1) << 20};
constexpr size_t kEntries = size_t(54) << 18;  // int32
constexpr size_t kMaxProbes = 64;

// Returns `memory`, or throws.
template <class T>
T* check(void* memory) {
  if (!memory) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

}  // namespace

static_assert(sizeof(std::atomic<uint64_t>) == 8, "zeros should be free slots");

void Entry::write(int32_t* to, std::string_view word, const int32_t* ids, size_t N, Cost cost) {
  const Entry head{uint16_t(word.size()), uint16_t(N), cost};
  std::memcpy(to, &head, sizeof(head));
  to += sizeof(head) / 4;
  if (N) std::memcpy(to, ids, N * sizeof(*ids));
  std::memcpy(to + N, word.data(), word.size());
}

WordTable::WordTable() {
  for (int i = 0; i < 2; ++i) {
    parts_[i].slots.reset(check<std::atomic<uint64_t>>(std::calloc(kSlots[i], sizeof(uint64_t))));
    parts_[i].size = kSlots[i], parts_[i].used = 0;
  }
  entries_.reset(check<int32_t>(std::malloc(kEntries * sizeof(int32_t))));  // not zeroed, and so not touched
}

uint32_t WordTable::find(std::string_view word, uint64_t hash) const {
  for (const Part& part : parts_) {
    for (size_t i = 0; i < kMaxProbes; ++i) {
      const uint64_t slot = part.slots[(hash + i) & (part.size - 1)].load(std::memory_order_acquire);
      if (!slot) break;
      if (slot >> 32 == hash >> 32 && at(uint32_t(slot)).word() == word) return uint32_t(slot);
    }
    if (part.used.load(std::memory_order_relaxed) < part.size / 2) break;
  }
  return 0;
}

// The place of a new entry; 0 if there is no room.
uint32_t WordTable::add_entry(std::string_view word, const int32_t* ids, size_t N, Cost cost) {
  const size_t size = Entry::size(word.size(), N);
  if (used_.load(std::memory_order_relaxed) + size > kEntries) return 0;
  const size_t place = used_.fetch_add(size, std::memory_order_relaxed);
  if (place + size > kEntries) return 0;
  Entry::write(entries_.get() + place, word, ids, N, cost);
  return uint32_t(place);
}

uint32_t WordTable::insert(std::string_view word, uint64_t hash, const int32_t* ids, size_t N, Cost cost) {
  Part& part = parts_[parts_[0].used.load(std::memory_order_relaxed) < parts_[0].size / 2 ? 0 : 1];
  if (part.used.load(std::memory_order_relaxed) >= part.size / 2) return 0;
  uint32_t place = 0;
  for (size_t i = 0; i < kMaxProbes; ++i) {
    std::atomic<uint64_t>& slot = part.slots[(hash + i) & (part.size - 1)];
    uint64_t found = slot.load(std::memory_order_acquire);
    if (!found) {
      if (!place && !(place = add_entry(word, ids, N, cost))) return 0;
      if (slot.compare_exchange_strong(found, hash >> 32 << 32 | place, std::memory_order_acq_rel)) {
        part.used.fetch_add(1, std::memory_order_relaxed);
        return place;
      }
    }
    if (found >> 32 == hash >> 32 && at(uint32_t(found)).word() == word) return uint32_t(found);
  }
  return 0;
}

}  // namespace textrnn::words
