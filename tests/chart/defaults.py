"""Generates, from values.yaml, the defaults that the templates use for values that are null."""

import yaml
from chart import CHART, Loader

VALUES = yaml.load((CHART / "values.yaml").read_text(), Loader)
FILE = CHART / "templates/_defaults.tpl"
START, END = '{{- define "gemini-grpc.defaults" }}\n', "{{- end }}\n"


def without_nulls(values: dict) -> dict:
    """The values without those that are null."""
    found = {key: without_nulls(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in found.items() if value is not None}


def expected() -> str:
    """The expected content of the file."""
    before, _, after = FILE.read_text().partition(START)
    defaults = yaml.safe_dump(without_nulls(VALUES), sort_keys=False, width=1000)
    return before + START + defaults + END + after.partition("\n" + END)[2]
