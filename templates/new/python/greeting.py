def greeting(user):
    """How the app greets a user."""
    return f"Welcome, {user['name']}!"
