"""A consumer with pika's BlockingConnection."""

import json
import os

import pika

import clock


def handle(channel, method, _properties, body):
    json.loads(body)
    last = clock.count()
    channel.basic_ack(method.delivery_tag)
    if last:
        clock.stop()
        channel.stop_consuming()


connection = pika.BlockingConnection(pika.URLParameters(os.environ["BENCH_AMQP"]))
channel = connection.channel()
channel.basic_qos(prefetch_count=256)
channel.basic_consume(os.environ["BENCH_QUEUE"], handle)
channel.start_consuming()
connection.close()
