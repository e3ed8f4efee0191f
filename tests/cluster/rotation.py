"""rotation"""


def run(args, verdict):
    pass
