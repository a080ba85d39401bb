"""Networks, the n-gram model and calibration; this package itself imports no torch."""
