"""Publishes the backlog to a running app, lets its handler begin, and prints the record of the run once the app's books say that all is done.

    less_run.py ADDRESS TOPIC GO RESULT

GO is the file that the handler waits for, RESULT the one that it writes at its last message. The run begins by the handler's clock and ends by this
one: both are the system's monotonic clock.
"""

import http.client
import json
import os
import sys
import time

BATCH = 1000


def main():
    address, topic, go, result = sys.argv[1:]
    total, warm_up = int(os.environ["BENCH_TOTAL"]), int(os.environ["BENCH_WARM_UP"])
    app = http.client.HTTPConnection(address, timeout=60)
    publish(app, topic, total)
    books = read_books(app, topic)
    if books["published"] != total or books["done"] != 0:
        sys.exit(f"error: the backlog is not there, or handlers have begun: {books}")
    open(go, "x").close()
    wait_for_result(app, topic, result)
    while (books := read_books(app, topic))["done"] != total:
        if books["dead"]:
            sys.exit(f"error: messages have failed: {books}")
        time.sleep(0.001)
    ended = time.monotonic_ns()
    with open(result) as file:
        times = json.load(file)
    record = {
        "system": os.environ["BENCH_SYSTEM"],
        "round": int(os.environ["BENCH_ROUND"]),
        "messages": total - warm_up,
        "seconds": (ended - int(times["begun"])) / 1e9,
        "runtime": times["runtime"],
        # Of that: from the handler's last message until it was in the books.
        "settling": (ended - int(times["ended"])) / 1e9,
    }
    print(json.dumps(record), flush=True)


def wait_for_result(app, topic, result):
    """Asks nothing of the app while it works; only every 10 s, whether it does."""
    done, look = 0, time.monotonic() + 10
    while not os.path.exists(result):
        time.sleep(0.01)
        if time.monotonic() > look:
            books = read_books(app, topic)
            if books["done"] == done:
                sys.exit(f"error: nothing was done for 10 s; the app's log says why: {books}")
            done, look = books["done"], time.monotonic() + 10


def publish(app, topic, total):
    for start in range(1, total + 1, BATCH):
        numbers = range(start, min(start + BATCH, total + 1))
        results = ask(app, "POST", f"/_less/topics/{topic}/batch", [{"body": body(number)} for number in numbers])["results"]
        refused = [one for one in results if "message_id" not in one or one.get("duplicate")]
        if refused or len(results) != len(numbers):
            sys.exit(f"error: {len(results)} answers for {len(numbers)} messages, refused: {refused[:1]}")


def read_books(app, topic):
    subscribers = ask(app, "GET", "/_less/status")["subscribers"]
    return next(one for one in subscribers if one["topic"] == topic)


def ask(app, method, path, content=None):
    sent = None if content is None else json.dumps(content)
    app.request(method, path, sent, {"Content-Type": "application/json"})
    answer = app.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"error: {method} {path} answers {answer.status}: {text.decode(errors='replace')}")
    return json.loads(text)


def body(number):
    """256 bytes as JSON, as peers/backlog.js makes them."""
    return {"number": number, "text": "x" * (256 - len(f'{{"number":{number},"text":""}}'))}


main()
