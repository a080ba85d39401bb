"""Two classifiers in scikit-learn: compare them by cross-validation, and use both.

python docs/examples/sklearn_pipeline.py train.tsv
"""

import csv
import sys

from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from textrnn.sklearn import TextRNNClassifier

with open(sys.argv[1], encoding="utf-8", newline="") as file:  # lines of a label, a tab and a text
    labels, texts = zip(*csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), strict=True)

# %% each alone
network = TextRNNClassifier(hidden=32, epochs=3, random_state=1)
linear = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))
for name, classifier in (("network", network), ("linear", linear)):
    print(f"{name}: accuracy {cross_val_score(classifier, texts, labels, cv=2).mean():.3f}")

# %% the mean of their probabilities
both = VotingClassifier([("network", network), ("linear", linear)], voting="soft").fit(texts, labels)
print(f"prediction: {both.predict(texts[:1])[0]}")
