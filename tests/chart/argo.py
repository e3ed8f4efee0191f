"""Finds what Argo CD would report as a difference between a rendered object and the one that the API server stores."""


def differences(rendered, stored, custom: bool = True, path: str = "") -> list[str]:
    """Keys that the server adds to a map are no difference. A list of a custom resource is compared as a whole; for the
    kinds of Kubernetes itself, Argo CD knows the defaults of the elements."""
    found = []
    if isinstance(rendered, dict) and isinstance(stored, dict):
        for name, value in rendered.items():
            found += differences(value, stored.get(name), custom, f"{path}.{name}")
    elif isinstance(rendered, list) and isinstance(stored, list) and len(rendered) == len(stored) and not custom:
        for number, (one, other) in enumerate(zip(rendered, stored, strict=True)):
            found += differences(one, other, custom, f"{path}.{number}")
    elif rendered != stored:
        found.append(f"{path}: {rendered} is stored as {stored}")
    return found
