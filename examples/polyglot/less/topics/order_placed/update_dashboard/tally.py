pieces = 0


def add(items):
    global pieces
    pieces += sum(item["quantity"] for item in items)
    return pieces
