//! Publishing from inside handlers.

use serde_json::json;

use super::App;

#[test]
fn handlers_publish_over_their_own_socket_in_every_way() {
    let app = App::dev(&[
        (
            "topics/start/cjs/index.js",
            "const { topics } = require('@chuva.io/less');\nexports.process = async (m) => { await topics.next.publish({ from: 'cjs', m }); };\n",
        ),
        (
            "topics/start/mjs/index.mjs",
            "import { topics, PublishError } from '@chuva.io/less';\nimport { createRequire } from 'node:module';\nexport async function process(m) {\n  const same = createRequire(import.meta.url)('@chuva.io/less').topics === topics;\n  const many = await topics.next.publishMany([{ from: 'mjs', same }, { from: 'mjs', same }]);\n  if (new Set(many.map((r) => r.messageId)).size !== 2) throw new Error('ids');\n  try { topics.nexd; throw new Error('no error'); } catch (e) { if (!/next/.test(e.message)) throw e; }\n  try { await topics.next.publish({ x: 1n }); throw new Error('no error'); } catch (e) { if (!(e instanceof PublishError)) throw e; }\n}\n",
        ),
        (
            "topics/start/py/__init__.py",
            "from less import topics\n\ndef process(message):\n    receipt = topics.next.publish({'from': 'py'}, key='k', attributes={'a': 'b'}, delay='10ms')\n    assert len(receipt.message_id) == 36\n",
        ),
        (
            "topics/start/py_async/__init__.py",
            "from less import topics, PublishError\n\nasync def process(message):\n    await topics.next.publish_async({'from': 'async'}, idempotency_key='once')\n    second = await topics.next.publish_async({'from': 'async'}, idempotency_key='once')\n    assert second.duplicate\n    topics.next.publish({'from': 'sync in async'})\n    assert len(topics.next.publish_many([{'from': 'many'}] * 3)) == 3\n    try:\n        topics.nexd\n    except AttributeError as error:\n        assert 'next' in str(error)\n    else:\n        raise RuntimeError('no error')\n",
        ),
        (
            "topics/next/see/index.js",
            "const fs = require('node:fs');\nexports.process = (m, c) => fs.appendFileSync('log', `${m.from} ${m.same ?? ''} ${c.key ?? ''} ${JSON.stringify(c.attributes)}\\n`);\n",
        ),
    ]);
    app.publish("start", &[json!({"n": 1})]);
    for subscriber in ["cjs", "mjs", "py", "py_async"] {
        app.until(subscriber, "it to be done", |found| found["done"] == 1);
    }
    app.until("see", "every message to arrive", |found| found["done"] == 9);
    let mut seen: Vec<String> = app.log().lines().map(|line| line.trim().to_owned()).collect();
    seen.sort();
    let expected = [
        "async   {}",
        "cjs   {}",
        "many   {}",
        "many   {}",
        "many   {}",
        "mjs true  {}",
        "mjs true  {}",
        "py  k {\"a\":\"b\"}",
        "sync in async   {}",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn messages_of_a_key_are_handled_one_after_the_other_in_their_order_also_where_one_fails_at_first() {
    let js = "const fs = require('node:fs');\nexports.process = async ({ n }, context) => {\n  fs.appendFileSync('js', `${context.key} ${n} began\\n`);\n  await new Promise((ok) => setTimeout(ok, n * 7 % 5));\n  if (n % 10 === 3 && context.attempt === 1) throw new Error('not yet');\n  fs.appendFileSync('js', `${context.key} ${n} ended\\n`);\n};\n";
    let py = "import time\n\ndef process(message, context):\n    n = message['n']\n    with open('py', 'a') as log:\n        log.write(f'{context.key} {n} began\\n')\n    time.sleep(n * 7 % 5 / 1000)\n    if n % 10 == 3 and context.attempt == 1:\n        raise ValueError('not yet')\n    with open('py', 'a') as log:\n        log.write(f'{context.key} {n} ended\\n')\n";
    let policy = "min_backoff = \"10ms\"\nmax_backoff = \"20ms\"\n";
    let app = App::dev(&[
        ("topics/t/js/index.js", js),
        ("topics/t/js/subscriber.toml", policy),
        ("topics/t/py/__init__.py", py),
        ("topics/t/py/subscriber.toml", policy),
    ]);
    let items: Vec<_> = (0..200).map(|n| json!({"body": {"n": n}, "key": format!("k{}", n % 4)})).collect();
    let mut connection = crate::support::Connection::open(app.address).expect("the app listens");
    let answer = connection.post("/_less/topics/t/batch", &json!(items).to_string()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    for subscriber in ["js", "py"] {
        app.until(subscriber, "all to be done", |found| found["done"] == 200);
        let log = std::fs::read_to_string(app.path(subscriber)).expect("the log");
        for key in ["k0", "k1", "k2", "k3"] {
            let mut last_ended: i64 = -1;
            let mut running = None;
            for line in log.lines().filter(|line| line.starts_with(key)) {
                let n: i64 = line.split(' ').nth(1).and_then(|n| n.parse().ok()).expect(line);
                if line.ends_with("began") {
                    assert!(
                        running.is_none_or(|other| other == n),
                        "{n} beside {running:?}, key {key} in {subscriber}"
                    );
                    assert!(n > last_ended, "{n} after {last_ended}, key {key} in {subscriber}");
                    running = Some(n);
                } else {
                    (last_ended, running) = (n, None);
                }
            }
            assert!(last_ended >= 196, "key {key} in {subscriber} ended with {last_ended}");
        }
    }
}
