"""Commands that look into models and predictions."""
