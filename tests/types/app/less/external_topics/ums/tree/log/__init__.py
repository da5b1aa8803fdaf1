def process(message):
    print(message)
