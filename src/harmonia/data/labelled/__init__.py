"""Labelled examples of any modality, as arrays: images, texts as n-gram ids, vectors.

data = open_labelled("digits")
data.train.inputs, data.train.labels, data.classes
"""

from harmonia.data.labelled.examples import Examples, Kind, Labelled
from harmonia.data.labelled.open import NAMED, open_labelled

__all__ = ["NAMED", "Examples", "Kind", "Labelled", "open_labelled"]
