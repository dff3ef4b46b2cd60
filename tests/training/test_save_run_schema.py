"""A run's own copy of the schema."""

from keras_recs import Schema
from keras_recs.training.save_run_schema import save_run_schema
from tests import samples


def test_the_copy_stands_for_itself(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "run").mkdir()
    schema = samples.click_schema(tmp_path / "data")
    copied = save_run_schema(schema, tmp_path / "run")
    assert copied.fingerprint() == schema.fingerprint()
    for file in (tmp_path / "data").iterdir():
        file.unlink()
    loaded = Schema.load(tmp_path / "run")
    assert loaded == copied
    path = tmp_path / "run" / "vocabularies" / "user.txt"
    assert loaded.vocabularies["user"].path == str(path)
    assert path.read_text().split() == samples.USERS


def test_again_over_its_own_copy(tmp_path):
    schema = samples.click_schema(tmp_path)
    copied = save_run_schema(schema, tmp_path)
    assert save_run_schema(copied, tmp_path) == copied
    assert not list((tmp_path / "vocabularies").glob(".*"))


def test_a_schema_without_vocabularies(tmp_path):
    schema = Schema(features=[samples.NumericFeature("x")])
    save_run_schema(schema, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["schema.json"]
