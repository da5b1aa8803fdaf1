from greeting import greeting
from less import UserCreated


def process(user: UserCreated):
    print(f"to {user['email']}: {greeting(user)}")
