// Kernels for the instruction set in use, chosen at run time.
#pragma once

#include "nn/nn_kernels.h"
#include "rnn/rnn.h"
#include "sru/sru_args.h"

namespace textrnn {

// Raise it whenever a function's signature or a struct that crosses the C interface changes; library.py checks it.
constexpr int kInterface = 12;

// What the exported functions return.
enum Status : int { kOk = 0, kOutOfMemory = 1, kInvalidArgument = 2 };

struct Level {
  const char* name;
  const SruKernels* sru;
  const NnKernels* nn;
  const RnnKernels* rnn;
};

// The fastest level that this processor supports, unless a test chose another.
const Level& level();

}  // namespace textrnn
