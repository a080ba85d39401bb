"""The SRU recurrence over packed sequences.

:func:`textrnn.ops.sru.recurrence.sru_recurrence` is the one public function; this package itself imports no torch.
"""
