"""textrnn: text classification with SRU, GRU and LSTM networks, from the command line."""

__version__ = "0.1.0"
