from less.external_topics.user_management_service import UserCreated


def process(message: UserCreated) -> None:
    colleagues = message["email"].split("@")[-1]
    print(f"suggested to {message['name']} (user {message['user_id']}) everybody at {colleagues}")
