"""Strings to rows of a vocabulary file."""

import numpy as np
import pytest

from keras_recs.preprocessing import VocabularyLookup
from tests import numpy_reference
from tests.samples import write_vocabulary

# Words that a lookup might take for something else.
WORDS = ["bob", "ann", "nan", "None", "[UNK]", "-1", " ", "日本", "with space"]


@pytest.mark.parametrize("num_oov", [1, 4])
def test_rows(tmp_path, num_oov):
    path = write_vocabulary(tmp_path / "words.txt", WORDS).path
    values = [*WORDS, "", "zoe", "Ann", "ann ", "0"]
    rows = VocabularyLookup(path, num_oov)(np.array(values))
    expected = [numpy_reference.vocabulary_row(v, WORDS, num_oov) for v in values]
    assert rows.numpy().tolist() == expected
    assert rows.dtype == "int32"


def test_an_empty_vocabulary_sends_all_out_of_vocabulary(tmp_path):
    path = write_vocabulary(tmp_path / "words.txt", []).path
    values = ["a", "", "b", "c", "d"]
    for num_oov in (1, 2):
        rows = VocabularyLookup(path, num_oov)(np.array(values)).numpy().tolist()
        expected = [numpy_reference.vocabulary_row(v, [], num_oov) for v in values]
        assert rows == expected


def test_lists_keep_their_shape(tmp_path):
    path = write_vocabulary(tmp_path / "words.txt", ["a", "b"]).path
    rows = VocabularyLookup(path)(np.array([["b", ""], ["c", "a"]]))
    assert rows.numpy().tolist() == [[3, 0], [1, 2]]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(
        ValueError, match=r"`vocabulary` must be an existing text file.*gone.txt"
    ):
        VocabularyLookup(str(tmp_path / "gone.txt"))


def test_the_file_is_an_asset_of_a_saved_model(tmp_path):
    import keras
    import tensorflow as tf

    path = write_vocabulary(tmp_path / "words.txt", ["a", "b"]).path
    inputs = keras.Input((), dtype="string", name="word")
    model = keras.Model(inputs, VocabularyLookup(path)(inputs))
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model, [tf.TensorSpec([None], tf.string)])
    archive.write_out(str(tmp_path / "model"), verbose=False)
    assets = list((tmp_path / "model" / "assets").iterdir())
    assert [a.read_text() for a in assets] == ["a\nb\n"]
    (tmp_path / "words.txt").unlink()
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    assert loaded.serve(tf.constant(["b", "c", ""])).numpy().tolist() == [3, 1, 0]


def test_a_value_that_stands_twice_is_an_error(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("ann\nbob\nann\n")
    with pytest.raises(ValueError, match=r"must differ.*names\.txt.*ann"):
        VocabularyLookup(str(path))
