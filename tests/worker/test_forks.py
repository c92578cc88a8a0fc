import os
import threading

from worker.forks import no_fork


def test_a_fork_waits_until_no_thread_is_in_the_middle_of_something() -> None:
    order: list[str] = []
    inside = threading.Event()

    def hold() -> None:
        with no_fork():
            inside.set()
            # Long enough for a fork that does not wait.
            threading.Event().wait(0.1)
            order.append("left")

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        with no_fork():
            os._exit(0)
    order.append("forked")
    assert os.waitpid(child, 0) == (child, 0)
    holder.join()
    assert order == ["left", "forked"]
