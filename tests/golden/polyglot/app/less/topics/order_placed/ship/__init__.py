def process(message):
    print(message["lines"])
