"""helm_test"""


def run(args, verdict):
    pass
