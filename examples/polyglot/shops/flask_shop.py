# A shop in Flask: publishes to the running app.
import os

from flask import Flask, request
from less import PublishError, topics

shop = Flask(__name__)


@shop.post("/orders")
def order():
    placed = request.get_json()
    try:
        receipt = topics.order_placed.publish(placed, key=placed.get("email"))
    except PublishError as error:
        return {"error": str(error), "pointer": error.pointer}, error.status or 500
    return {"message_id": receipt.message_id}, 202


if __name__ == "__main__":
    shop.run("127.0.0.1", int(os.environ.get("PORT", "5000")))
