"""What a suite run amounts to, and how it is printed."""

from dataclasses import dataclass, field


@dataclass
class Row:
    """One line of the table: an API or a workflow, its counts, and the suite's word for it."""

    name: str
    status: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass
class Verdict:
    """A finished run. It passes when nothing is in `problems`: the rows only illustrate."""

    title: str
    rows: list = field(default_factory=list)
    passed: int = 0
    problems: list = field(default_factory=list)

    def ok(self):
        return not self.problems

    def show(self):
        print(f"\n## {self.title}\n")
        width = max((len(row.name) for row in self.rows), default=4)
        print(f"| {'API':<{width}} | status   | passed | failed | skipped |")
        print(f"|{'-' * (width + 2)}|----------|--------|--------|---------|")
        for row in self.rows:
            print(f"| {row.name:<{width}} | {row.status:<8} | {row.passed:>6} | {row.failed:>6} | {row.skipped:>7} |")
        print()
        for problem in self.problems:
            print(f"FAIL {problem}")
        word = "PASS" if self.ok() else "FAIL"
        print(f"conformance {self.title}: {word} ({self.passed} passed, {len(self.problems)} failed)")
