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
