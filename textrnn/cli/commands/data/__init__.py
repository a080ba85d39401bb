"""Commands about labelled data: check, split, errors, suggest."""
