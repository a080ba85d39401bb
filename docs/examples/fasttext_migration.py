"""A program for fastText after its move to textrnn: only the import has changed.

python docs/examples/fasttext_migration.py train.txt valid.txt

The files have fastText's format: __label__NAME and a text in each line.
"""

import sys

from textrnn import fasttext

train, valid = sys.argv[1:]

# %% train, and use the validation set to choose the best epoch
model = fasttext.train_supervised(input=train, autotuneValidationFile=valid, verbose=0)

# %% evaluate
texts, precision, recall = model.test(valid)
print(f"{texts} texts, precision {precision:.3f}, recall {recall:.3f}")
for name, scores in model.test_label(valid).items():
    print(f"{name}: f1 {scores['f1score']:.3f}")

# %% predict with a saved model
model.quantize(input=train)
model.save_model("model.safetensors")
labels, probabilities = fasttext.load_model("model.safetensors").predict("where is my parcel?", k=2)
print(labels, probabilities.round(3))
