"""A consumer with aio-pika."""

import asyncio
import json
import os

import aio_pika

import clock


async def main():
    connection = await aio_pika.connect(os.environ["BENCH_AMQP"])
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=256)
    done = asyncio.Event()

    async def handle(message):
        json.loads(message.body)
        last = clock.count()
        await message.ack()
        if last:
            clock.stop()
            done.set()

    queue = await channel.get_queue(os.environ["BENCH_QUEUE"], ensure=True)
    await queue.consume(handle)
    await done.wait()
    await connection.close()


asyncio.run(main())
