"""MovieLens 100K as a click log: was a rating 4 or more?"""

from __future__ import annotations

import csv
import hashlib
import os
import urllib.error
import urllib.request
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from keras_recs import (
    CategoricalFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
)

URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
MD5 = "0e33842e24a9c977be4e0107933c0723"  # as GroupLens publishes it
_LARGEST_DOWNLOAD = 50_000_000
_GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
_COLUMNS = (
    "click",
    "time",
    "user_id",
    "item_id",
    "age",
    "gender",
    "occupation",
    "zip",
    "genres",
    "year",
    "hour",
    "weekday",
)


def ml_100k_clicks(data_dir: str | os.PathLike, path: str | os.PathLike) -> Schema:
    """Writes MovieLens 100K as a CSV click log, in order of time.

    Args:
        data_dir: folder with `u.data`, `u.item`, `u.user` as GroupLens ships them, or
            `ml-100k.inter`, `.item`, `.user` as RecBole does; or its parent.
        path: the file that is written.

    Returns:
        Unfitted `keras_recs.Schema` with label `click`, group key `user_id`.

    Raises:
        ValueError: if the folder has neither layout.
    """
    folder = _data_folder(Path(data_dir))
    if (folder / "u.data").is_file():
        ratings, users, items = _read_grouplens(folder)
    else:
        ratings, users, items = _read_recbole(folder)
    ratings.sort(key=lambda rating: rating[3])  # stable: ties keep the file's order
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for user, item, rating, time in ratings:
            age, gender, occupation, zip_code = users[user]
            year, genres = items[item]
            moment = datetime.fromtimestamp(time, UTC)
            writer.writerow(
                [
                    int(rating >= 4),
                    time,
                    user,
                    item,
                    age,
                    gender,
                    occupation,
                    zip_code[:3],
                    "|".join(genres),
                    year,
                    moment.hour,
                    moment.strftime("%a"),
                ]
            )
    os.replace(temporary, path)
    return Schema(
        features=(
            CategoricalFeature("user_id"),
            CategoricalFeature("item_id"),
            NumericFeature("age", num_buckets=8),
            CategoricalFeature("gender"),
            CategoricalFeature("occupation"),
            CategoricalFeature("zip"),
            MultiValuedFeature("genres"),
            NumericFeature("year", num_buckets=12),
            CategoricalFeature("hour", vocabulary_size=24),
            CategoricalFeature("weekday"),
        ),
        labels=(Label("click"),),
        group_key="user_id",
        timestamp="time",
    )


def download_ml_100k(directory: str | os.PathLike) -> Path:
    """Downloads MovieLens 100K from GroupLens, checks and unpacks it.

    A download that broke off goes on where it stopped; what is there already is kept.

    Args:
        directory: folder for the archive and its content.

    Returns:
        The folder with `u.data`.

    Raises:
        ConnectionError: if the page cannot be reached; it says what to do by hand.
        ValueError: if the archive does not have the published checksum.
    """
    directory = Path(directory)
    folder = directory / "ml-100k"
    if (folder / "u.user").is_file():
        return folder
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / "ml-100k.zip"
    if not archive.exists():
        partial = directory / "ml-100k.zip.part"
        try:
            _download(partial)
        except (urllib.error.URLError, OSError) as error:
            raise ConnectionError(
                f"{URL} cannot be reached ({error}). Download it on a machine with "
                "internet access, unpack it, and give the folder: "
                "make quickstart DATA=ml-100k DATA_DIR=<folder with u.data>"
            ) from error
        digest = hashlib.md5(partial.read_bytes(), usedforsecurity=False).hexdigest()
        if digest != MD5:
            partial.unlink()
            raise ValueError(
                f"The download of {URL} has MD5 {digest} instead of {MD5} and was "
                "removed. Try again."
            )
        os.replace(partial, archive)
    with zipfile.ZipFile(archive) as content:
        for name in ("u.data", "u.item", "u.user"):
            content.extract(f"ml-100k/{name}", directory)
    return folder


def _download(partial: Path) -> None:
    start = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(URL)
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urllib.request.urlopen(request, timeout=30) as response:
        if start and response.status != 206:  # the server sends it all again
            start = 0
        total = start + int(response.headers.get("Content-Length", 0))
        bar = tqdm(
            total=total, initial=start, unit="B", unit_scale=True, desc="ml-100k.zip"
        )
        with bar, open(partial, "ab" if start else "wb") as file:
            while block := response.read(1 << 16):
                start += len(block)
                if start > _LARGEST_DOWNLOAD:
                    raise OSError(f"more than {_LARGEST_DOWNLOAD} bytes came")
                file.write(block)
                bar.update(len(block))


def _data_folder(folder: Path) -> Path:
    for candidate in (folder, folder / "ml-100k"):
        for name in ("u.data", "ml-100k.inter"):
            if (candidate / name).is_file():
                return candidate
    raise ValueError(
        "`data_dir` must hold MovieLens 100K: u.data, u.item and u.user, or "
        f"ml-100k.inter, .item and .user. Received: {folder}"
    )


def _read_grouplens(folder: Path):
    ratings = []
    for line in (folder / "u.data").read_text(encoding="ascii").splitlines():
        user, item, rating, time = line.split("\t")
        ratings.append((user, item, float(rating), int(time)))
    users = {}
    for line in (folder / "u.user").read_text(encoding="ascii").splitlines():
        user, *attributes = line.split("|")
        users[user] = attributes
    items = {}
    for line in (folder / "u.item").read_text(encoding="latin-1").splitlines():
        item, _, date, _, _, *flags = line.split("|")
        genres = [g for g, flag in zip(_GENRES, flags, strict=True) if flag == "1"]
        items[item] = (date[-4:], genres)
    return ratings, users, items


def _read_recbole(folder: Path):
    ratings = [
        (user, item, float(rating), int(float(time)))
        for user, item, rating, time in _atomic_file(folder / "ml-100k.inter")
    ]
    users = {row[0]: row[1:] for row in _atomic_file(folder / "ml-100k.user")}
    items = {
        item: (year if year.isdigit() else "", genres.split())
        for item, _, year, genres in _atomic_file(folder / "ml-100k.item")
    }
    return ratings, users, items


def _atomic_file(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]
