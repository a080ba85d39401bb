"""A linear model over n-grams of words and characters, which stands beside the recurrent network."""
