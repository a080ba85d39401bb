"""From labelled files to encoded training and validation sets, labels and a tokenizer."""
