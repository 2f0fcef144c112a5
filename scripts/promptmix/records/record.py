"""A kind of CSV: its columns, and how it is read and written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from promptmix.errors import InputError, command
from promptmix.files import write_csv


@dataclass(frozen=True)
class Record:
    """A kind of CSV.

    Args:
        name: of the kind, with an article, for messages: "a manifest of generated images".
        columns: by name, in the order of the file: type (`str`, `int` or `float`), and meaning with unit.
        others: whether a file has further columns, which are numbers.
    """

    name: str
    columns: Mapping[str, tuple[type, str]]
    others: bool = False

    def read(self, path: str | Path) -> pd.DataFrame:
        """Return a file's rows with the columns of this kind, typed.

        Text stays text, also where it looks like a number or is empty. An empty `float` is NaN.

        Raises:
            InputError: the file is missing or empty, lacks columns, or holds something else than numbers where there
                should be some.
        """
        kinds = {column: kind for column, (kind, _) in self.columns.items()}
        again = f"Delete it and run `{command(path)}`"
        try:
            found = list(pd.read_csv(path, nrows=0).columns)
            if missing := [column for column in kinds if column not in found]:
                raise ValueError(f"missing columns: {', '.join(missing)}; found: {', '.join(found)}")
            # By default pandas takes some texts, such as "" and "NA", for missing ones.
            unknown = {column: [""] for column in found if kinds.get(column) is not str}
            frame = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=unknown)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; expected {self.name}. Make it with `{command(path)}`") from None
        except pd.errors.EmptyDataError:
            raise InputError(f"{path}: the file is empty; expected {self.name}. {again}") from None
        except ValueError as error:
            raise InputError(f"{path}: not {self.name}: {str(error).strip()}. {again}") from None
        return frame[self._order(frame)]

    def write(self, path: str | Path, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> None:
        """Write the columns of this kind, in their order; the file is either complete or absent.

        Args:
            rows: a data frame or one mapping per row. Columns that are not of this kind are left out.

        Raises:
            ValueError: a column is missing.
        """
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        if frame.empty and not len(frame.columns):
            frame = pd.DataFrame(columns=list(self.columns))
        if missing := [column for column in self.columns if column not in frame]:
            raise ValueError(f"{path}: {self.name} needs {', '.join(self.columns)}; missing: {', '.join(missing)}")
        write_csv(path, frame[self._order(frame)])

    def _order(self, frame: pd.DataFrame) -> list[str]:
        further = [column for column in frame if column not in self.columns] if self.others else []
        return [*self.columns, *further]
