"""deletion"""


def run(args, verdict):
    pass
