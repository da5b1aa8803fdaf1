"""A consumer with pika's SelectConnection. An argument N acknowledges every Nth message, and with it those before (`multiple`); the last always."""

import json
import os
import sys

import pika

import clock

EVERY = int(sys.argv[1]) if len(sys.argv) > 1 else 1
handled = 0


def handle(channel, method, _properties, body):
    global handled
    json.loads(body)
    last = clock.count()
    handled += 1
    if EVERY == 1:
        channel.basic_ack(method.delivery_tag)
    elif last or handled % EVERY == 0:
        channel.basic_ack(method.delivery_tag, multiple=True)
    if last:
        clock.stop()
        channel.connection.close()


def on_channel(channel):
    channel.basic_qos(
        prefetch_count=256,
        callback=lambda _frame: channel.basic_consume(os.environ["BENCH_QUEUE"], handle),
    )


connection = pika.SelectConnection(
    pika.URLParameters(os.environ["BENCH_AMQP"]),
    on_open_callback=lambda connection: connection.channel(on_open_callback=on_channel),
    on_close_callback=lambda connection, _reason: connection.ioloop.stop(),
)
connection.ioloop.start()
