"""upgrade"""


def run(args, verdict):
    pass
