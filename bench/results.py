"""What a row's measurement yields, and how it is written as JSON."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

FLOOR = "crypto floor"


@dataclass(frozen=True)
class Column:
    """One figure that every stack gets in a row."""

    name: str
    unit: str
    lower_is_better: bool

    @property
    def best(self) -> Callable[[list[float]], float]:
        return min if self.lower_is_better else max


@dataclass
class Result:
    """A row's figures: samples[stack][column] has one entry per round.

    references: whose figures the others' are compared with.
    """

    row: str
    columns: list[Column]
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    references: tuple[str, ...] = ("fasths",)

    def add(self, stack: str, **figures: float) -> None:
        """Note one round's figures of a stack."""
        columns = self.samples.setdefault(stack, {})
        for column, figure in figures.items():
            columns.setdefault(column, []).append(figure)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def best(self, stack: str, column: str) -> float:
        return self.column(column).best(self.samples[stack][column])

    def median(self, stack: str, column: str) -> float:
        return median(self.samples[stack][column])

    def advantage(self, column: str, over: str, of: str = "fasths") -> dict[str, float] | None:
        """How many times better `of` does than `over`; None if one of them is absent.

        "best": best against best. "median": the median of the rounds' ratios, which a change of the
        machine's pace during the run leaves alone.
        """
        if any(column not in self.samples.get(stack, {}) for stack in (of, over)):
            return None
        best = self.best(over, column) / self.best(of, column)
        middle = median(
            theirs / ours
            for theirs, ours in zip(
                self.samples[over][column], self.samples[of][column], strict=True
            )
        )
        if not self.column(column).lower_is_better:
            best, middle = 1 / best, 1 / middle
        return {"best": best, "median": middle}

    def over_floor(self, column: str, stack: str = "fasths") -> dict[str, float] | None:
        """Percent that a stack adds to the floor; "best" and "median" as for advantage()."""
        advantage = self.advantage(column, over=stack, of=FLOOR)
        if advantage is None:
            return None
        return {name: 100 * (ratio - 1) for name, ratio in advantage.items()}

    def to_json(self) -> dict[str, Any]:
        """The figures, with what the report derives from them."""
        names = [column.name for column in self.columns]
        peers = [stack for stack in self.samples if stack not in (*self.references, FLOOR)]
        return {
            "row": self.row,
            "columns": [asdict(column) for column in self.columns],
            "stacks": {
                stack: {
                    name: {
                        "best": self.best(stack, name),
                        "median": self.median(stack, name),
                        "rounds": rounds,
                    }
                    for name, rounds in columns.items()
                }
                for stack, columns in self.samples.items()
            },
            **{
                f"{reference}_is_better_by": {
                    peer: {name: self.advantage(name, peer, reference) for name in names}
                    for peer in peers
                }
                for reference in self.references
            },
            "fasths_over_floor_percent": {
                name: percent for name in names if (percent := self.over_floor(name)) is not None
            },
            "skipped": self.skipped,
            "notes": self.notes,
            "references": self.references,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Result":
        return cls(
            row=data["row"],
            columns=[Column(**column) for column in data["columns"]],
            samples={
                stack: {name: figures["rounds"] for name, figures in columns.items()}
                for stack, columns in data["stacks"].items()
            },
            skipped=data["skipped"],
            notes=data["notes"],
            references=tuple(data["references"]),
        )
