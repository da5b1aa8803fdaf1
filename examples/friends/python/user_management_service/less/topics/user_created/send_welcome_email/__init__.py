from less import UserCreated


def process(message: UserCreated) -> None:
    print(f"welcomed {message['name']} <{message['email']}>")
