"""scaling"""


def run(args, verdict):
    pass
