"""Any data set by one table, CSV or Parquet, with a row an image."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from rdad.data.datamodule import AnomalyDataModule
from rdad.data.datasets import Loading, as_one, one_or_joint
from rdad.data.images import listed
from rdad.data.joint import Category
from rdad.data.readers.trees import DEFECT, sample, trained_on_good
from rdad.data.samples import GOOD, Sample, Samples, fitting
from rdad.runs.names import expanded

SPLITS = {
    "train": "train",
    "test": "test",
    **dict.fromkeys(("validation", "val", "calibration"), "calibration"),
}
NORMAL = (GOOD, "normal", "ok", "0", "false")
ANOMALOUS = ("anomaly", "anomalous", "defect", "defective", "bad", "ng", "1", "true")
LABELS = (*NORMAL, *ANOMALOUS)
BETWEEN_MASKS = ";"

Row = Mapping[str, str]


def table(
    file: str | Path,
    root: str | Path | None = None,
    category: Category | None = None,
    **loading: Unpack[Loading],
) -> AnomalyDataModule:
    """The images that a table lists, see `read_table`; results are called by category or file."""
    read = partial(read_table, expanded(file), root)
    if category:
        return one_or_joint("table", read, category, loading)
    label = fitting(Path(file).stem)
    return AnomalyDataModule(read, name="table", category=label, **as_one(loading))


def read_table(file: Path, root: str | Path | None = None, category: str | None = None) -> Samples:
    """The rows of a category, or all.

    Columns are `image`, `split` (train, validation, test) and `label` (normal, anomaly; 0, 1) or
    `defect_type` (good, or the defect's), and, where there is something to say, `mask` (several
    files with ; between them), `category`, and `part`, the same for all views of an item.
    Validation images are those to find thresholds on.

    Args:
        root: What paths in the table count from; None: the folder of the table.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing, or rows say what is not allowed; all are listed.
    """
    rows = _of_category(file, _rows(file), category)
    base = file.parent if root is None else expanded(root)
    splits: dict[str, list[Sample]] = {"train": [], "test": [], "calibration": []}
    problems = []
    for number, row in rows:
        try:
            splits[_split(row)].append(_sample(base, row))
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        raise ValueError("\n".join([f"{file} has rows that cannot be used:", *listed(problems)]))
    return trained_on_good(**splits)


def categories_of(file: Path) -> list[str]:
    """All that the table names, in the order of their first rows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or names none.
    """
    found = list(dict.fromkeys(row["category"] for _, row in _rows(file) if row.get("category")))
    if not found:
        raise ValueError(f"{file} names no category: it needs a column category that is not empty")
    return found


def _rows(file: Path) -> list[tuple[int, Row]]:
    """All rows, each behind its number: of CSV that of its line."""
    if not file.is_file():
        raise FileNotFoundError(f"no table {file} (absolute: {file.absolute()})")
    try:
        found, columns = _content(file)
    except (csv.Error, ValueError, OSError) as error:
        raise ValueError(f"{file} cannot be read as a table: {error}") from error
    lacking = {"image", "split"} - columns
    if lacking or not columns & {"label", "defect_type"}:
        told = ", ".join(sorted(lacking)) or "label or defect_type"
        raise ValueError(f"{file} lacks the column {told}; found: {', '.join(sorted(columns))}")
    return [(n, {key: _text(value) for key, value in row.items() if key}) for n, row in found]


def _content(file: Path) -> tuple[list[tuple[int, dict[str, Any]]], set[str]]:
    """Numbered rows, and the names of columns."""
    if file.suffix.lower() == ".parquet":
        from pyarrow import parquet

        whole = parquet.read_table(file)
        return list(enumerate(whole.to_pylist(), start=1)), {*whole.column_names}
    with file.open(encoding="utf-8-sig", newline="") as opened:
        reader = csv.DictReader(opened)
        return [(reader.line_num, row) for row in reader], {*(reader.fieldnames or ())}


def _text(value: Any) -> str:
    """What programs that know no empty number write as 1.0 is 1."""
    text = "" if value is None else str(value).strip()
    return {"0.0": "0", "1.0": "1", "nan": ""}.get(text, text)


def _of_category(
    file: Path, rows: list[tuple[int, Row]], category: str | None
) -> list[tuple[int, Row]]:
    found = {row["category"] for _, row in rows if row.get("category")}
    if category is None or not found:
        return rows
    if category not in found:
        told = ", ".join(sorted(found))
        raise ValueError(f"{file} has no category {category!r}; found: {told}")
    return [(number, row) for number, row in rows if row["category"] == category]


def _split(row: Row) -> str:
    if row["split"].lower() not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; found {row['split']!r}")
    return SPLITS[row["split"].lower()]


def _sample(base: Path, row: Row) -> Sample:
    kind, label = row.get("defect_type", ""), row.get("label", "").lower()
    if not row["image"]:
        raise ValueError("image is empty")
    if label and label not in LABELS:
        raise ValueError(f"label must be one of {', '.join(LABELS)}; found {label!r}")
    if not kind and not label:
        raise ValueError("neither label nor defect_type is given")
    good = label in NORMAL if label else kind.lower() in NORMAL
    if kind and label and good != (kind.lower() in NORMAL):
        raise ValueError(f"label {label!r} and defect_type {kind!r} contradict each other")
    masks = [base / one.strip() for one in row.get("mask", "").split(BETWEEN_MASKS) if one.strip()]
    image, part = base / row["image"], row.get("part", "")
    if good:
        return replace(sample(image, part=part), mask=next(iter(masks), None))
    return sample(image, kind if kind and kind.lower() not in NORMAL else DEFECT, masks, part=part)
