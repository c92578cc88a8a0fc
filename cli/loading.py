"""Starting quickly: the modules of the server are many."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import in this block what a process runs on: garbage is not looked for among it, neither now nor later.

    Python otherwise looks through all that is loaded again and again, also in the children, who then share none of it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
