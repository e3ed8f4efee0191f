"""The defaults that the templates take for what is null, made of values.yaml."""

import yaml
from chart import CHART, Loader

VALUES = yaml.load((CHART / "values.yaml").read_text(), Loader)
FILE = CHART / "templates/_defaults.tpl"
START, END = '{{- define "gemini-grpc.defaults" }}\n', "{{- end }}\n"


def without_nulls(values: dict) -> dict:
    """Values without those that are null."""
    found = {key: without_nulls(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in found.items() if value is not None}


def expected() -> str:
    """The file as it should be."""
    before, _, after = FILE.read_text().partition(START)
    made = yaml.safe_dump(without_nulls(VALUES), sort_keys=False, width=1000)
    return before + START + made + END + after.partition("\n" + END)[2]
