"""Prints the tables of a run in Markdown.

report.py RESULTS FILE_SYSTEM VERSIONS
"""

import json
import os
import statistics
import sys

TITLES = {
    "node-amqplib": "amqplib",
    "node-amqplib-64": "amqplib, one ack for 64",
    "node-less": "**Less**, `async` in index.js",
    "node-worker": "Less's worker alone, `async` in index.js",
    "node-echo": "echo: the protocol's ceiling",
    "python-pika-blocking": "pika, BlockingConnection",
    "python-pika-select": "pika, SelectConnection",
    "python-pika-select-64": "pika, SelectConnection, one ack for 64",
    "python-aio-pika": "aio-pika",
    "python-faststream": "FastStream",
    "python-less": "**Less**, `def`",
    "python-less-async": "**Less**, `async def`",
    "python-worker": "Less's worker alone, `def`",
    "python-worker-async": "Less's worker alone, `async def`",
    "python-echo": "echo: the protocol's ceiling",
}
LANGUAGES = {"node": "Node.js", "python": "Python"}
TIMES_PEER = 5.0
OF_CEILING = 0.6


def main():
    file, file_system, versions = sys.argv[1:]
    with open(file) as lines:
        records = [json.loads(line) for line in lines]
    rates = {}
    for record in records:
        rates.setdefault(record["system"], []).append(record["messages"] / record["seconds"])
    runtimes = ", ".join(sorted({record["runtime"] for record in records}))
    rounds = max(record["round"] for record in records)
    counted = {record["system"]: record["messages"] for record in records}
    print(f"Machine: {machine()}, {file_system}. Versions: {versions}; {runtimes}.\n")
    print(
        f"Handled messages per second, medians of {rounds} alternating rounds (least–most). A backlog on one topic, one subscriber, 256 B of JSON, "
        "256 in flight.\n"
    )
    for language, label in LANGUAGES.items():
        present = [system for system in TITLES if system.startswith(f"{language}-") and system in rates]
        if present:
            print(f"## {label}\n")
            rows = [[TITLES[system], spread(rates[system]), f"{counted[system]:,}"] for system in present]
            table(["", "messages/s", "counted messages"], rows)
    goals = [row for language in LANGUAGES for row in goals_of(language, rates)]
    if goals:
        print("## Goals\n\nOf medians.\n")
        table(["", "divided by", "goal", "ratio", "reached"], goals)
    settling = [record["settling"] / record["seconds"] for record in records if "settling" in record]
    if settling:
        print(f"Of Less's time, at most {100 * max(settling):.1f} % lay between the handler's last message and its entry in the books.")


def goals_of(language, rates):
    """Less, and its worker alone, beside each peer and the ceiling."""
    label = LANGUAGES[language]
    ours = [system for system in TITLES if system in rates and kind(system) == (language, "less")]
    workers = [system for system in TITLES if system in rates and kind(system) == (language, "worker")]
    peers = [system for system in TITLES if system in rates and kind(system) == (language, "peer")]
    echo = f"{language}-echo"
    for system in ours:
        for peer in peers:
            yield goal(f"{label}: {TITLES[system]}", TITLES[peer], rates[system], rates[peer], TIMES_PEER)
    for system in ours:
        if echo in rates:
            yield goal(f"{label}: {TITLES[system]}", "the ceiling", rates[system], rates[echo], OF_CEILING)
    for system in workers:
        if echo in rates:
            yield goal(f"{label}: {TITLES[system]}", "the ceiling", rates[system], rates[echo], None)


def kind(system):
    language, name = system.split("-", 1)
    first = name.split("-")[0]
    return language, first if first in ("less", "worker", "echo") else "peer"


def goal(name, other, mine, theirs, bound):
    ratio = statistics.median(mine) / statistics.median(theirs)
    if bound is None:
        return [name, other, "", f"{ratio:.2f}", ""]
    return [name, other, f"≥ {bound:g}", f"{ratio:.2f}", "yes" if ratio >= bound else "**no**"]


def spread(values):
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def machine():
    """Cores, processor, memory and kernel, as one line."""
    memory = int(field("/proc/meminfo", "MemTotal").removesuffix(" kB")) / (1 << 20)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({field('/proc/cpuinfo', 'model name')}), {memory:.0f} GiB, Linux {os.uname().release}"


def field(path, name):
    with open(path) as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "unknown")


main()
