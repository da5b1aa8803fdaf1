def process(message):
    pass
