"""``textrnn serve``: predictions and explanations over HTTP."""
