"""What the preflight finds out about a server, because requests to it depend on it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["SchemaForm", "Software", "Variant"]


class Software(StrEnum):
    """Who answers, as ``owned_by`` of ``/v1/models`` tells it."""

    VLLM = "vllm"
    LLAMA_CPP = "llama.cpp"
    SGLANG = "sglang"
    UNKNOWN = "unknown"


class SchemaForm(StrEnum):
    """The request's field for the answer schema, in the order in which they are tried.

    ``JSON_OBJECT`` is llama.cpp's own, ``GUIDED_JSON`` that of vLLM before ``structured_outputs``.
    """

    JSON_SCHEMA = "response_format.json_schema"
    STRUCTURED_OUTPUTS = "structured_outputs.json"
    GUIDED_JSON = "guided_json"
    JSON_OBJECT = "response_format.json_object"


@dataclass(frozen=True, slots=True)
class Variant:
    """How a server is asked.

    ``answers_as`` is the model's name in its replies, empty where it is the name that was asked for.
    """

    software: Software = Software.UNKNOWN
    form: SchemaForm = SchemaForm.JSON_SCHEMA
    answers_as: str = ""

    def __str__(self) -> str:
        return f"{self.software} {self.form} {self.answers_as}".strip()

    @classmethod
    def parse(cls, text: str) -> "Variant":
        """Reads what ``str`` of a variant gave.

        Raises:
            ValueError: it is no such text.
        """
        software, form, *name = text.split(" ", 2)
        return cls(Software(software), SchemaForm(form), *name)

    @property
    def keeps_escapes_in_bounded_strings(self) -> bool:
        """Whether a string with bounds of its length can hold a quotation mark, a backslash or a line break.

        With xgrammar (vLLM, SGLang) such a string ends before the first of them.
        """
        return self.software is Software.LLAMA_CPP

    @property
    def scores_after_the_grammar(self) -> bool:
        """Whether log-probabilities are those of the tokens that the grammar had left.

        llama-server gives the model's own, vLLM those after the mask. Of others it is not known.
        """
        return self.software is not Software.LLAMA_CPP
