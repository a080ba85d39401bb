"""A table with pandas: train on two columns, label another one, and list what is uncertain.

python docs/examples/pandas_frame.py train.tsv test.tsv
"""

import csv
import sys

import pandas as pd

import textrnn

train, test = (
    pd.read_csv(path, sep="\t", names=["label", "text"], quoting=csv.QUOTE_NONE, dtype=str, keep_default_na=False)
    for path in sys.argv[1:3]
)  # keep_default_na=False: a text such as "NA" or "null" is a text, not a missing one

# %% train on columns; a missing text would be an error that names its place
model = textrnn.train(train["text"], train["label"], train__epochs=3)

# %% one prediction for each row
best = [row[0] for row in model.predict(test["text"])]
test["predicted"] = [prediction.label for prediction in best]
test["probability"] = [prediction.probability for prediction in best]
print(f"accuracy: {(test['label'] == test['predicted']).mean():.3f}")

# %% the least certain texts, for a person to read
print(test.sort_values("probability").head(3).to_string(index=False))
