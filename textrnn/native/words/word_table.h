// A hash table from words to their ids, which threads read and extend at the same time without locks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "compiler.h"
#include "words/lattice.h"

namespace textrnn::words {

constexpr size_t kMaxWordBytes = 255;

// The head of an entry; the ids and the bytes of the word follow it.
struct Entry {
  uint16_t bytes, ids;
  Cost cost;

  const int32_t* begin() const { return reinterpret_cast<const int32_t*>(this + 1); }
  std::string_view word() const { return {reinterpret_cast<const char*>(begin() + ids), bytes}; }

  // The number of int32 that an entry takes.
  static size_t size(size_t bytes, size_t ids) { return sizeof(Entry) / 4 + ids + (bytes + 3) / 4; }

  // Writes an entry to memory of that size.
  static void write(int32_t* to, std::string_view word, const int32_t* ids, size_t N, Cost cost);
};

// Entries are never removed; when the table is full, no more are added. A forked child continues with a copy.
class WordTable {
 public:
  WordTable();

  // Fetch the memory that find will read, first the one, then the other.
  void prefetch_slot(uint64_t hash) const {
    for (const Part& part : parts_) PREFETCH(&part.slots[hash & (part.size - 1)]);
  }
  void prefetch_entry(uint64_t hash) const {
    for (const Part& part : parts_) {
      const uint64_t slot = part.slots[hash & (part.size - 1)].load(std::memory_order_relaxed);
      if (slot >> 32 == hash >> 32) PREFETCH(entries_.get() + uint32_t(slot));
    }
  }

  // The place of the entry of `word`; 0 if it is missing.
  uint32_t find(std::string_view word, uint64_t hash) const;

  // Adds an entry and returns its place; 0 if there is no room. Threads may add the same word.
  uint32_t insert(std::string_view word, uint64_t hash, const int32_t* ids, size_t N, Cost cost);

  const Entry& at(uint32_t place) const { return *reinterpret_cast<const Entry*>(entries_.get() + place); }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  template <class T>
  using Memory = std::unique_ptr<T[], Free>;

  // A slot holds the upper half of the hash, and the place; 0 if it is free.
  struct Part {
    Memory<std::atomic<uint64_t>> slots;
    size_t size;
    std::atomic<size_t> used;
  };

  uint32_t add_entry(std::string_view word, const int32_t* ids, size_t N, Cost cost);

  Part parts_[2];  // the second, larger one is used when the first is full
  Memory<int32_t> entries_;
  std::atomic<size_t> used_{1};  // place 0 is none
};

}  // namespace textrnn::words
