"""Keras Tuner over the models: search spaces, trials, what a search found.

`keras_tuner` is imported by what needs it, when it is used.
"""

from keras_recs.tuning.budget import budget
from keras_recs.tuning.build_hypermodel import build_hypermodel
from keras_recs.tuning.draw import draw
from keras_recs.tuning.importance import importance
from keras_recs.tuning.make_tuner import make_tuner
from keras_recs.tuning.read_trials import read_trials
from keras_recs.tuning.search import search
from keras_recs.tuning.search_space import search_space
from keras_recs.tuning.write_best import write_best
from keras_recs.tuning.write_trials import write_trials

__all__ = [
    "budget",
    "build_hypermodel",
    "draw",
    "importance",
    "make_tuner",
    "read_trials",
    "search",
    "search_space",
    "write_best",
    "write_trials",
]
