"""The C++ library and the one module that calls it."""
