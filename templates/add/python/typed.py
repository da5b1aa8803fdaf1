from {{module}} import {{type}}


def process(message: {{type}}):
    print(message)
