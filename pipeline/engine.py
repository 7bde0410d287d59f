"""papermill's own engine with two habits changed: kernels are forked, and a notebook is saved when it ends.

papermill saves before and after every cell, which takes as long as the cells of a short notebook do. Here a notebook
is executed into a scratch folder that means nothing after a kill, so once is enough, however the execution ended.
"""

from typing import Any

from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config

from pipeline.kernels import ForkedKernelManager

NAME = "forked"


class _Engine(NBClientEngine):
    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        config = options.pop("config")
        config.merge(Config({"NotebookClient": {"kernel_manager_class": ForkedKernelManager}}))
        path, nb_man.output_path = nb_man.output_path, None
        try:
            super().execute_managed_notebook(nb_man, kernel_name, config=config, **options)
        finally:
            nb_man.output_path = path  # to which papermill now saves it, whether it failed or not


papermill_engines.register(NAME, _Engine)
