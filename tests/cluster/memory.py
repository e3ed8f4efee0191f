"""memory"""


def run(args, verdict):
    pass
