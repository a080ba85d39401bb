"""Filter documents in datatrove: print those that a model gives a label with a probability of 0.5 or more.

python docs/examples/datatrove_filter.py MODEL LABEL texts.txt
"""

import sys

from datatrove.data import Document
from datatrove.pipeline.filters import FastTextClassifierFilter

from textrnn import fasttext

fasttext.install()  # datatrove imports fasttext, and gets textrnn
FastTextClassifierFilter._requires_dependencies = ["fasteners"]  # it would ask for a distribution of fastText

model, label, source = sys.argv[1:]
keep = FastTextClassifierFilter(model, keep_labels=[(label, 0.5)])  # a step of a pipeline like any other

with open(source, encoding="utf-8") as file:
    documents = (Document(text=line.rstrip("\n"), id=str(number)) for number, line in enumerate(file, start=1))
    for document in keep.run(documents):
        print(document.id, document.text)
