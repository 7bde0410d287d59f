"""Execute the notebooks of a run, one after the other."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pipeline import storage
from pipeline.parameters import Parameters
from pipeline.run_folder import MADE, STAGES, WRITTEN, RunFolder

log = logging.getLogger(__name__)
_importing = threading.Lock()  # since Pygments breaks when two threads import it at once


def execute(
    folder: RunFolder, chosen: Parameters, stages: Sequence[str] = STAGES, *, watched: bool = True
) -> dict[str, str]:
    """Execute the notebooks of these stages, and return the digest of what each has made.

    watched: show their progress; several at once would mix.
    """
    with _importing:
        from pipeline import kernels  # jupyter_client takes 0.1 s to import, which a finished run should not cost

        kernels.prepare()
        from pipeline import notebooks  # papermill takes 0.4 s more, in which the fork server starts
        from pipeline.reports import rendering  # and nbconvert another 0.3 s

    made, values = dict[str, str](), chosen.model_dump() | {"run_dir": str(folder.path)}
    with ThreadPoolExecutor(1) as meanwhile:
        # While the kernel works. An error in it is met again, and reported, when the report is written.
        meanwhile.submit(rendering.prepare)
        for stage in stages:
            since = time.monotonic()
            try:
                notebooks.execute(storage.NOTEBOOKS / f"{stage}.ipynb", folder.notebook(stage), values, watched=watched)
            finally:
                storage.remove_parts(folder.path, WRITTEN)  # of a kernel that was killed
            made |= folder.digests(set(MADE) - made.keys())
            of = "" if watched else f" of {folder.path.name}"
            log.info(f"{stage}.ipynb{of}  {time.monotonic() - since:.1f} s")
    return made
