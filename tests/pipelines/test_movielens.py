"""Both layouts of MovieLens 100K give the same log; the download is checked."""

import csv
import hashlib
import http.server
import threading
import zipfile

import pytest

from pipelines import movielens

# Made-up rows: user, item, rating, time; in neither order.
RATINGS = [("2", "1", 3, 900_000_000), ("1", "2", 5, 880_000_000)]
USERS = [("1", "24", "M", "writer", "85711"), ("2", "31", "F", "other", "T8H1N")]


def write_grouplens(folder):
    folder.mkdir(parents=True)
    lines = ["\t".join(map(str, rating)) for rating in RATINGS]
    (folder / "u.data").write_text("\n".join(lines) + "\n")
    lines = ["|".join(user) for user in USERS]
    (folder / "u.user").write_text("\n".join(lines) + "\n")
    flags = {"1": ["Comedy", "Film-Noir"], "2": ["Drama"]}
    dates = {"1": "01-Jan-1995", "2": ""}
    lines = []
    for item, genres in flags.items():
        row = ["1" if genre in genres else "0" for genre in movielens._GENRES]
        lines.append("|".join([item, "A filmé", dates[item], "", "url", *row]))
    (folder / "u.item").write_text("\n".join(lines) + "\n", encoding="latin-1")


def write_recbole(folder):
    folder.mkdir(parents=True)
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += ["\t".join(map(str, rating)) for rating in RATINGS]
    (folder / "ml-100k.inter").write_text("\n".join(lines) + "\n")
    header = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"
    lines = [header, *("\t".join(user) for user in USERS)]
    (folder / "ml-100k.user").write_text("\n".join(lines) + "\n")
    lines = [
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    ]
    lines += ["1\tA filmé\t1995\tComedy Film-Noir", "2\tB\tunknown\tDrama"]
    (folder / "ml-100k.item").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("write", [write_grouplens, write_recbole])
@pytest.mark.parametrize("parent", [True, False])
def test_layouts_give_the_same_log(tmp_path, write, parent):
    folder = tmp_path / "data" / "ml-100k"
    write(folder)
    schema = movielens.ml_100k_clicks(
        folder.parent if parent else folder, tmp_path / "clicks.csv"
    )
    with open(tmp_path / "clicks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(schema.columns) == set(rows[0])
    # 880000000 is 1997-11-20 04:26:40 UTC, 900000000 is 1998-07-09 16:00:00 UTC.
    assert [list(row.values()) for row in rows] == [
        [
            *["1", "880000000", "1", "2", "24", "M", "writer", "857", "Drama"],
            "",
            "4",
            "Thu",
        ],
        [
            "0",
            "900000000",
            "2",
            "1",
            "31",
            "F",
            "other",
            "T8H",
            "Comedy|Film-Noir",
            "1995",
            "16",
            "Thu",
        ],
    ]


def test_folder_without_data_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"`data_dir` must hold MovieLens 100K.*" + tmp_path.name
    ):
        movielens.ml_100k_clicks(tmp_path, tmp_path / "clicks.csv")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive in the place of GroupLens's."""
    write_grouplens(tmp_path / "source" / "ml-100k")
    path = tmp_path / "served.zip"
    with zipfile.ZipFile(path, "w") as content:
        for file in sorted((tmp_path / "source" / "ml-100k").iterdir()):
            content.write(file, f"ml-100k/{file.name}")
    monkeypatch.setattr(movielens, "URL", path.as_uri())
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(movielens, "MD5", digest)
    return path


def test_download_unpacks_and_is_kept(tmp_path, archive):
    folder = movielens.download_ml_100k(tmp_path / "download")
    assert (folder / "u.data").read_bytes() == (
        tmp_path / "source" / "ml-100k" / "u.data"
    ).read_bytes()
    archive.unlink()
    assert movielens.download_ml_100k(tmp_path / "download") == folder


def test_wrong_checksum_is_refused(tmp_path, archive, monkeypatch):
    monkeypatch.setattr(movielens, "MD5", "0" * 32)
    with pytest.raises(ValueError, match=r"has MD5 .* instead of 0000"):
        movielens.download_ml_100k(tmp_path / "download")
    assert not list((tmp_path / "download").iterdir())


def test_offline_says_what_to_do(tmp_path, archive):
    archive.unlink()
    with pytest.raises(ConnectionError, match="make quickstart DATA=ml-100k DATA_DIR="):
        movielens.download_ml_100k(tmp_path / "download")


def test_a_broken_download_goes_on(tmp_path, archive, monkeypatch):
    content, ranges = archive.read_bytes(), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            ranges.append(self.headers["Range"])
            start = int(ranges[-1].removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:])

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        monkeypatch.setattr(
            movielens, "URL", f"http://127.0.0.1:{server.server_port}/x"
        )
        (tmp_path / "download").mkdir()
        (tmp_path / "download" / "ml-100k.zip.part").write_bytes(content[:100])
        folder = movielens.download_ml_100k(tmp_path / "download")
        thread.join(10)
    assert ranges == ["bytes=100-"]
    assert (folder / "u.user").is_file()
