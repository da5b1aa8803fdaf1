from less.external_topics.user_management_service import UserCreated


def process(message: UserCreated):
    print(message["email"])
