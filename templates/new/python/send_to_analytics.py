from less import Context, UserCreated


async def process(user: UserCreated, context: Context):
    print(f"user {user['user_id']}, attempt {context.attempt}")
