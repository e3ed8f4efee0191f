"""policy"""


def run(args, verdict):
    pass
