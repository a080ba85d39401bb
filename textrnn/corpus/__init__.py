"""Reading text and labelled data, and packing token ids into batches."""
