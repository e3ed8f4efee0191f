"""Where Argo CD sees a difference between an object as it is rendered and as the API server keeps it."""


def differences(wanted, kept, custom: bool = True, path: str = "") -> list[str]:
    """What the server adds to a map is the server's. A list of a custom resource is compared as a whole; for the kinds of
    Kubernetes Argo CD knows the defaults of what is in it."""
    found = []
    if isinstance(wanted, dict) and isinstance(kept, dict):
        for name, value in wanted.items():
            found += differences(value, kept.get(name), custom, f"{path}.{name}")
    elif isinstance(wanted, list) and isinstance(kept, list) and len(wanted) == len(kept) and not custom:
        for number, (one, other) in enumerate(zip(wanted, kept, strict=True)):
            found += differences(one, other, custom, f"{path}.{number}")
    elif wanted != kept:
        found.append(f"{path}: {wanted} is kept as {kept}")
    return found
