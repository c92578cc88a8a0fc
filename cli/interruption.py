"""Ctrl-C that is heeded whenever it comes."""

import signal
import sys
import threading

_LATER_SECONDS = 0.05


def heed_in_finalizers() -> None:
    """Interrupt once more where an interrupt came in a finalizer, in which Python lets every exception pass."""
    tell = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            main = threading.main_thread().ident
            assert main is not None
            # Later: at this moment the finalizer still runs. By a signal, which also ends a wait.
            again = threading.Timer(_LATER_SECONDS, signal.pthread_kill, (main, signal.SIGINT))
            again.daemon = True
            again.start()
        else:
            tell(unraisable)

    sys.unraisablehook = hook
