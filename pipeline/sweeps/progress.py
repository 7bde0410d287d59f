"""Show how far a sweep is.

Where someone watches, in a terminal or JupyterLab, a bar, and lines for what failed and for each new best
configuration. Elsewhere, for a log, a line for each point with all of it.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from operator import attrgetter
from statistics import fmean
from typing import Any

from IPython import get_ipython
from tqdm.auto import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pipeline import console, ranking
from pipeline.records import Metric
from pipeline.statistics import rounded
from pipeline.sweeps.definition import Point

BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"

log = logging.getLogger(__name__)


class Progress(contextlib.ExitStack):
    """Count and rank the points of a sweep as they end. count: of those to run; none has a result yet."""

    def __init__(self, configurations: Sequence[Sequence[Point]], metric: Metric, count: int) -> None:
        super().__init__()
        self.metric = metric
        self.groups = {point.id: group for group in configurations for point in group}
        self.ranked = {group[0].id: self._configuration(group) for group in configurations}
        results = [point.result for group in configurations for point in group]
        self.varied = ranking.varied_names(results)
        self.ended = sum(result.record is not None for result in results)
        self.total, self.failed, self.best, self.durations = self.ended + count, 0, "", list[float]()
        # A kernel of JupyterLab, and not one of papermill's or nbval's, nor a program that a kernel has started.
        notebook = "JPY_SESSION_NAME" in os.environ and get_ipython() is not None
        terminal = sys.stderr.isatty()
        self.watched = notebook or (terminal and sys.stdout.isatty())  # else stdout is a log, if with a bar beside it
        options: dict[str, Any] = {"unit": "point", "bar_format": BAR, "miniters": 1, "mininterval": 0}
        if terminal:  # which in some containers does not know its size
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            options |= {"dynamic_ncols": True} if columns else {"ncols": 100, "nrows": 40}
        disabled = not (notebook or terminal)
        self.bar = self.enter_context(tqdm(total=self.total, initial=self.ended, disable=disabled, **options))
        self.enter_context(logging_redirect_tqdm([logging.getLogger("pipeline")], tqdm_class=type(self.bar)))

    def __exit__(self, kind: type[BaseException] | None, *details: Any) -> None:
        super().__exit__(kind, *details)
        if kind:
            finished = f"{self.ended} of {self.total} points have finished and are kept"
            kept = finished if self.ended else "No point has finished"
            log.info(f"{kept}; the same command runs the rest.")

    def finished(self, point: Point, at_a_time: int) -> None:
        """Count a point whose result is new, of which so many are trained at a time."""
        self.ended += 1
        self.failed += not point.result.is_done
        noted = [*self._time_left(point, at_a_time), *([f"{self.failed} failed"] if self.failed else [])]
        group = self.groups[point.id]
        self.ranked[group[0].id] = self._configuration(group)  # all others are as they were
        best = ranking.best([min(self.ranked.values(), key=attrgetter("sort_key"))])
        description = best.describe_best(self.varied) if best else ""
        line = f"[{self.ended}/{self.total}] {point.id} {point.result.status}: {point.label}"
        if not self.watched:
            leader = [f"best so far {description}"] if best else []
            log.info(" | ".join([line, *noted, *leader]))
        else:
            if not point.result.is_done:
                log.info(line)
            if description != self.best:
                log.info(f"best so far {description}")
        self.best = description
        self.bar.set_postfix_str(", ".join(noted + ([f"best {rounded(best.mean)}"] if best else [])), refresh=False)
        self.bar.update()

    def _time_left(self, point: Point, at_a_time: int) -> list[str]:
        """Estimate it from how long points took; how long it took to begin has no part in it."""
        if (record := point.result.record) and record.duration_s is not None:
            self.durations.append(record.duration_s)
        if not self.durations or not (left := self.total - self.ended):
            return []
        return [f"about {console.duration(max(0.1, fmean(self.durations) * left / min(at_a_time, left)))} left"]

    def _configuration(self, group: Sequence[Point]) -> ranking.Configuration:
        return ranking.Configuration([point.result for point in group], self.metric)
