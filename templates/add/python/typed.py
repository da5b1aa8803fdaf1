from less import {{type}}


def process(message: {{type}}):
    print(message)
