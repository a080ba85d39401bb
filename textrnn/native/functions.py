"""The functions of the C++ library; each declaration is the signature.

All arguments are passed by name, see :class:`textrnn.native.library.Function`. Results are written to the arrays marked
``out``; they do not depend on ``threads``.
"""

from __future__ import annotations

from textrnn.native.arguments import Layout
from textrnn.native.library import Function

_ROWS_REFUSED = "offsets should rise from 0 to the number of rows"
_EMPTY_REFUSED = _ROWS_REFUSED + ", with no sequence empty"
TEXTS_REFUSED = "offsets should rise from 0 to the number of ids, and ids be of the spelling's vocabulary"

gemm = Function(
    "gemm",
    "a (M, K) T strided; b (K, N) T strided; c (M, N) U out strided; accumulate int64 = 0",
    refused="this processor has no product of these dtypes, or the rows of c are not contiguous",
)
"""``a @ b``, written to ``c`` or added to it.

An entry of ``c`` is the same sum in the same order whatever the other rows and columns are, in float32; subnormal
numbers in bfloat16 count as zero. ``a`` and ``b`` have the same dtype, of ``library.gemm_dtypes()``, and any strides:
contiguous rows or columns are fastest. ``c`` has that dtype or float32, and contiguous rows.
"""

gemm_prepacked = Function(
    "gemm_prepacked",
    "x (M, K) float32; panels (P...) E; first (F,) int32; scales (F,) float32; c (M, N) float32 out",
    refused="the panels are not for this processor",
)
"""The product of ``x`` and a prepacked weight; :mod:`textrnn.ops.prepacked` has the layout."""

rnn = Function(
    "rnn",
    "gates (R, K, G, D) float32; offsets (B+1,) int64; rows (N,) int32 optional; weight (K, G, D, D) float32; "
    "bias (K, G, D) float32; h (N, K, D) float32 out",
    refused="offsets should rise from 0 to the number of tokens, with no sequence empty, and rows be rows of gates",
)
"""The states of GRU (G = 3) or LSTM (G = 4); :mod:`textrnn.ops.rnn_forward` has the equations."""

_SRU = (
    "u (R, K, G, D) T; x (R, K, D) T optional; offsets (B+1,) int64; rows (N,) int32 optional; v (K, 2, D) float32; "
    "b (K, 2, D) float32; c0 (B, K, D) float32 optional; alpha double; "
)
sru_forward = Function(
    "sru_forward",
    _SRU + "h (N, K, D) T out; states (N, K, D) float32 out optional; final (B, K, D) float32 out optional",
    refused="offsets should rise from 0 to the number of tokens, rows be rows of u, and x be given for 3 blocks",
)
"""The SRU recurrence; :mod:`textrnn.ops.sru.recurrence` has the equations.

With ``rows``, token ``i`` reads row ``rows[i]`` of ``u`` and ``x``. ``states`` gets the state after each step.
"""

NETWORK_LAYER = Layout(
    "gain (X,) float32 optional; bias (X,) float32 optional; panels (P...) E; first (F,) int32; scales (F,) float32; "
    "v (K, 2, D) float32; b (K, 2, D) float32; inputs int64; width int64"
)
"""An SRU layer of ``sru_network``: an optional layer norm, a prepacked weight (inputs, width), and v and b.
"""

sru_network = Function(
    "sru_network",
    "embedding (V, X) float32; projected (V, U) float32 optional; ids (N,) int32; offsets (B+1,) int64; "
    "layers (S,) uint8; w (W,) float32 optional; attended (B, W) float32 out optional; "
    "largest (B, W) float32 out optional; mean (B, W) float32 out optional; last (B, W) float32 out optional; "
    "alpha double; epsilon double",
    refused="layers should fit each other and this processor, and offsets rise from 0 to the number of ids",
)
"""The pooled states of a network of NETWORK_LAYER structs, end to end, for texts of ``ids``.

``projected`` saves computing the first layer's products. ``attended`` needs ``w``. The bits of a text's results do not
depend on the other texts.
"""

TRAINING_LAYER = Layout(
    "x (N, X) float32; y (N, X) float32 out optional; n (N, X) float32 out optional; mean (N,) float32 out optional; "
    "rstd (N,) float32 out optional; gain (X,) float32 optional; bias (X,) float32 optional; weight (X, U) float32; "
    "u (N, U) float32 out; v (K, 2, D) float32; b (K, 2, D) float32; states (N, W) float32 out; h (N, W) float32 out; "
    "dh (N, W) float32 optional; carried (N, W) float32 out optional; dn (N, X) float32 out optional; "
    "dx (N, X) float32 out optional; dgain (X,) float32 out optional; dbias (X,) float32 out optional; "
    "dweight (X, U) float32 out optional; dv (K, 2, D) float32 out optional; db (K, 2, D) float32 out optional; "
    "keep double; key uint64"
)
"""An SRU layer in training: the dropout of ``x`` is ``y``, the layer norm of that ``n``, and the product of that with
the weight ``u``; the recurrence gives ``states`` and ``h``. From ``dh`` on follow the gradients; ``carried`` is the
highway's part of that of ``y``.
"""

_TRAINING = "layers (S,) uint8; offsets (B+1,) int64; variational int64; element int64; alpha double; epsilon double"
_TRAINING_REFUSED = "layers should fit each other and this processor, and offsets rise from 0 to N"
sru_train_forward = Function("sru_train_forward", _TRAINING, refused=_TRAINING_REFUSED)
"""The outputs of TRAINING_LAYER structs, end to end; the ``h`` of one is the ``x`` of the next.

Products are of float32 (``element`` 4) or of numbers rounded to bfloat16 (2).
"""

sru_train_backward = Function("sru_train_backward", _TRAINING, refused=_TRAINING_REFUSED)
"""The gradients of those layers from the top layer's ``dh``; the ``dx`` of one is the ``dh`` of the one before.

The gradient of ``u`` is written over it. All gradients have the same bits whatever ``threads`` is.
"""

sru_backward = Function(
    "sru_backward",
    _SRU + "states (N, K, D) float32; dh (N, K, D) T; du (N, K, G, D) T out; dx (N, K, D) T out optional; "
    "dv (K, 2, D) float32 out; db (K, 2, D) float32 out",
    refused="offsets should rise from 0 to the number of rows of u, and x be given for 3 blocks",
)
"""The gradients of ``sru_forward`` from the ``states`` that it wrote; ``du`` may be ``u`` itself."""

dropout = Function(
    "dropout",
    "x (N, D...) T; offsets (B+1,) int64 optional; y (N, D...) T out; keep double; key uint64",
    refused=_ROWS_REFUSED,
)
"""``x / keep``, or 0 for the share ``1 - keep`` of the entries that ``key`` draws.

An entry's random number is a hash of ``key`` and its index: the same call on gradients drops the same entries. With
``offsets`` of sequences it is a hash of ``key``, the sequence and the column: a sequence has one mask for all rows.
"""

layer_norm = Function(
    "layer_norm",
    "x (N, D) T; offsets (B+1,) int64 optional; y (N, D) U out optional; n (N, D) U out; gain (D,) float32; "
    "bias (D,) float32; mean (N,) float32 out optional; rstd (N,) float32 out optional; key uint64 = 0; "
    "keep double = 1; epsilon double",
    refused=_ROWS_REFUSED,
)
"""To ``y`` the dropout of ``x``, and to ``n`` the layer norm of each row of that.

``keep``, ``key`` and ``offsets`` are those of ``dropout``. Without ``y`` nothing is dropped. ``mean`` and ``rstd`` get
the statistics that ``layer_norm_back`` reads.
"""

layer_norm_back = Function(
    "layer_norm_back",
    "y (N, D) U; offsets (B+1,) int64 optional; gain (D,) float32; mean (N,) float32; rstd (N,) float32; "
    "dy (N, D) U optional; dn (N, D) U; dx (N, D) T out; dgain (D,) float32 out; dbias (D,) float32 out; "
    "key uint64; keep double",
    refused=_ROWS_REFUSED,
)
"""The gradients of ``layer_norm``; ``y`` is its output, or its ``x`` if nothing was dropped."""

pool_rows = Function(
    "pool_rows",
    "x (N, D) T; offsets (B+1,) int64; largest (B, D) float32 out optional; place (B, D) int32 out optional; "
    "mean (B, D) float32 out optional",
    refused=_EMPTY_REFUSED,
)
"""For each column of a sequence's rows the largest entry, the row that has it first, and the mean."""

pool_rows_back = Function(
    "pool_rows_back",
    "dlargest (B, D) float32 optional; place (B, D) int32 optional; dmean (B, D) float32 optional; "
    "offsets (B+1,) int64; dx (N, D) T out",
    refused=_EMPTY_REFUSED,
)
"""The gradient of the ``x`` of ``pool_rows``."""

attend = Function(
    "attend",
    "x (N, D) float32; w (D,) float32; offsets (B+1,) int64; pooled (B, D) float32 out; "
    "weights (N,) float32 out optional",
    refused=_EMPTY_REFUSED,
)
"""The mean of each sequence's rows, weighted by the softmax of ``w . tanh(row)``, and the weights."""

attend_back = Function(
    "attend_back",
    "x (N, D) float32; w (D,) float32; offsets (B+1,) int64; pooled (B, D) float32; weights (N,) float32; "
    "dpooled (B, D) float32; dx (N, D) float32 out; dw (B, D) float32 out",
    refused=_EMPTY_REFUSED,
)
"""The gradients of ``attend``; ``dw`` has a row for each sequence."""

add_rows = Function(
    "add_rows",
    "x (N, D) float32; places (N,) int64; sums (R, D) float32 out",
    refused="places should be among the rows",
)
"""To each row of ``sums`` the sum of the rows of ``x`` whose place it is, in their order."""

PARAMETER = Layout(
    "weight (V, D...) float32 out; mean (V, D...) float32 out; square (V, D...) float32 out; "
    "gradient (R, D...) float32; rows (R,) int64 optional; decay double"
)
"""A tensor with its moments, its gradient and its weight decay; ``parameters`` below are such structs, end to end.

With ``rows``, distinct, the gradient (R, D) is of these rows of a matrix alone.
"""

squares = Function(
    "squares", "parameters (S,) uint8; total (1,) float64 out", refused="rows do not match their gradient"
)
"""The sum of the squares of all gradients."""

adamw = Function(
    "adamw",
    "parameters (S,) uint8; lr double; scale float; beta1 float; beta2 float; step float; root float; epsilon float",
    refused="rows should be among those of their matrix",
)
"""An update by ``scale`` times the gradients, as ``torch.optim.AdamW`` computes it (Loshchilov and Hutter 2019).

``step`` is ``lr`` over the first bias correction, ``root`` 1 over the root of the second.
"""

_NGRAMS = "ids (N,) int32; offsets (B+1,) int64; codes (P,) uint32; spelling (V+1,) int64; "
ngram_counts = Function("ngram_counts", _NGRAMS + "counts (B,) int64 out", refused=TEXTS_REFUSED)
"""The number of n-grams of each text; :mod:`textrnn.models.ngram.features` defines them."""

ngram_keys = Function("ngram_keys", _NGRAMS + "bounds (B+1,) int64; keys (K,) uint32 out", refused=TEXTS_REFUSED)
"""The keys of the n-grams of all texts; ``bounds`` are the cumulative counts, from 0."""

ngram_slots = Function("ngram_slots", "keys (F,) uint32; slots (S,) uint64 out", refused="too many keys share a slot")
"""A hash table of ``keys``; ``slots`` are all 0 before, and their number is a power of two."""

ngram_logits = Function(
    "ngram_logits",
    _NGRAMS + "slots (S,) uint64; values (F, C+1) float32; bias (C,) float32; logits (B, C) float32 out",
    refused=TEXTS_REFUSED,
)
"""The logits of the linear model with these slots, values and bias."""

words_open = Function("words_open", "model (M,) uint8; cache (1,) uint64 out")
"""A cache of words for a serialized SentencePiece model; 0 if a word's ids may depend on the words around it."""

words_close = Function("words_close", "cache (H,) uint64")
"""Free the cache ``cache[0]``."""

words_find = Function(
    "words_find",
    "cache (1,) uint64; text (T,) uint8; offsets (B+1,) int64; max_length int64; places (W,) uint32 out; "
    "word_offsets (B+1,) int64 out; missing (M,) uint8 out; lines (L,) int64 out; sizes (2,) int64 out",
    refused="offsets should rise from 0 to 8 bytes before the end of the text, and the results have room",
)
"""The places of the words of texts in a cache; ``text`` is all texts in UTF-8, and 8 more bytes.

A text has as many words as can be among its first ``max_length`` ids. ``missing`` gets the words that are not in the
cache, in lines that end at ``lines``; ``sizes`` gets the number of lines and of missing words.
"""

words_encode = Function(
    "words_encode",
    "cache (1,) uint64; places (W,) uint32; word_offsets (B+1,) int64; max_length int64; unknown int64; "
    "missing (M,) uint8; line_offsets (L+1,) int64; line_ids (N,) int32; id_offsets (L+1,) int64; "
    "ids (K,) int32 out; lengths (B,) int64 out",
    refused="offsets should rise from 0 to the number of words, bytes and ids, and ids have room for the texts",
)
"""The ids of the texts of a :data:`words_find`, end to end, given SentencePiece's ids of its lines.

A text without words becomes ``unknown``. The length of a text is -1 if its ids are not certain to be those of its
words: SentencePiece has to encode it.
"""
