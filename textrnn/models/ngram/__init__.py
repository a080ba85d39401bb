"""A linear model over n-grams of words and characters."""
