// The logistic function and tanh, in steps that a compiler vectorizes. Files that are compiled for one instruction set
// include it, as float_types.h.
#pragma once

#include "compiler.h"
#include "nn/vectors.h"

namespace textrnn {
namespace {

// exp(-x) = (1 + rest) * 2^n with an integer n; `power` is 2^(n + bias - 127).
template <class F>
struct Exponential {
  F rest, power;
};

// exp(-x) = 2^n exp(-r), |r| <= ln(2) / 2, with ln(2) in two parts (Cody and Waite, "Software Manual for the Elementary
// Functions", 1980) and a polynomial of degree 6 whose coefficients were fitted for the smallest relative error (3e-9).
template <int bias, class F>
INLINE Exponential<F> exponential(F x) {
  const float magic = 12582912.0f + float(bias);  // 1.5 * 2^23 + bias: adding it leaves n + bias in the low bits
  const F shifted = x * -1.44269504f + magic;
  const F n = shifted - magic;
  F r = x + n * 0.693359375f;
  r = r + n * -2.12194440e-4f;
  F p = r * 0.001381459878757596f - 0.008368716575205326f;
  p = p * r + 0.04166838899254799f;
  p = p * r - 0.1666652113199234f;
  p = p * r + 0.4999999403953552f;
  p = p * (r * r) - r;
  return {p, float_of(bits_of(shifted) << 23)};  // the exponent of a float is stored plus 127
}

// 1 / (1 + exp(-x)) within 4 units in the last place, subnormal results included: 2^-64 / (2^-64 + 2^-64 exp(-x)),
// since exp(-x) may overflow.
template <class F>
INLINE F sigmoid(F x) {
  const float tiny = 5.421010862427522e-20f;
  x = at_most(40.0f, at_least(-105.0f, x));  // beyond, the result is one or zero
  const Exponential<F> e = exponential<63>(x);
  return tiny / (tiny + (e.rest + 1.0f) * e.power);
}

// tanh(x) within 4 units in the last place: -m / (m + 2) with m = exp(-2x) - 1 = 2^n rest + (2^n - 1), which is
// accurate near zero.
template <class F>
INLINE F tanh_approx(F x) {
  x = at_most(10.0f, at_least(-10.0f, x));  // beyond, the result is one
  const Exponential<F> e = exponential<127>(x + x);
  const F m = e.rest * e.power + (e.power - 1.0f);
  return -m / (m + 2.0f);
}

}  // namespace
}  // namespace textrnn
