

import pika
from opentelemetry.instrumentation.pika import PikaInstrumentor

PikaInstrumentor().instrument()


def open_channel(task):
    connection = pika.BlockingConnection(pika.URLParameters(task["address"]))
    return connection, connection.channel()


def produce(task):
    connection, channel = open_channel(task)
    channel.confirm_delivery()

    def send(body):
        channel.basic_publish("", task["destination"], body)

    return send, connection.close


def consume(task):
    connection, channel = open_channel(task)
    came = []

    def take(channel, method, properties, body):
        headers = [(name, value.encode()) for name, value in properties.headers.items()]
        came.append((body, headers))
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(task["destination"], take, consumer_tag=task["group"])
    try:
        while True:
            if not came:
                connection.process_data_events(time_limit=PATIENCE)
            yield came.pop(0)
    finally:
        connection.close()


play(produce, consume)
