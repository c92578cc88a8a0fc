"""Sentences, each with the numbers that it says."""

from dataclasses import dataclass, field

from wire import words


@dataclass(frozen=True)
class Number:
    """One number that a sentence says: what of, how much, and in which unit."""

    what: str
    value: float
    unit: str


@dataclass(frozen=True)
class Sentence:
    """A sentence in plain words, and every number in it."""

    text: str
    numbers: tuple[Number, ...] = ()


@dataclass
class Story:
    """Sentences in the making: who writes a number by it cannot forget to keep it."""

    sentences: list[Sentence] = field(default_factory=list)
    _said: list[Number] = field(default_factory=list)

    def percent(self, what: str, value: float) -> str:
        """Return a percentage as it is said."""
        return self._keep(what, value, "percent", words.percent(value))

    def size(self, what: str, value: float) -> str:
        """Return a size in bytes as it is said."""
        return self._keep(what, value, "bytes", words.size(value))

    def pace(self, what: str, value: float) -> str:
        """Return bytes per second as they are said."""
        return self._keep(what, value, "bytes/s", f"{words.size(value)}/s")

    def duration(self, what: str, value: float) -> str:
        """Return a time in seconds as it is said."""
        return self._keep(what, value, "seconds", words.duration(value))

    def number(self, what: str, value: float, unit: str = "1", digits: int = 1) -> str:
        """Return a number of another unit as it is said, without the unit."""
        return self._keep(what, round(value, digits), unit, words.number(value, digits))

    def say(self, text: str) -> None:
        """End a sentence: the numbers that were written since the last one are its own."""
        self.sentences.append(Sentence(text, tuple(self._said)))
        self._said.clear()

    @property
    def text(self) -> str:
        """All sentences, one after the other."""
        return " ".join(sentence.text for sentence in self.sentences)

    def _keep(self, what: str, value: float, unit: str, shown: str) -> str:
        self._said.append(Number(what, round(float(value), 3), unit))
        return shown
