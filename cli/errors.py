"""What the command line tells a person, instead of a traceback."""


class CommandFailed(Exception):
    """A command that cannot go on; the message is one line that says what is wrong and what to do."""
