"""A consumer with FastStream, which decodes the JSON and acknowledges when the handler returns."""

import asyncio
import os

from faststream import FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

import clock

# Without a logger: it would write two lines for each message.
broker = RabbitBroker(os.environ["BENCH_AMQP"], default_channel=Channel(prefetch_count=256), logger=None)
app = FastStream(broker, logger=None)


@broker.subscriber(RabbitQueue(os.environ["BENCH_QUEUE"], durable=True))
async def handle(message: dict) -> None:
    if clock.count():
        # The one acknowledgement that follows is too little to see, and stopping awaits it.
        clock.stop()
        app.exit()


asyncio.run(app.run())
