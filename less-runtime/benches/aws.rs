//! A whole app on SNS and SQS: `tests/aws/servers.sh cargo bench -p less-runtime --bench aws --features deploy [-- MESSAGES]`.
//!
//! Against MiniStack: what a message costs in calls and money is the same as on AWS; how many there are in a second is MiniStack's, a Python program on
//! the same processors, and means something beside code that sends, receives and deletes one by one. The app is this program once more, as a process of
//! its own, with its real workers; every call goes through a proxy that counts.

#![expect(clippy::print_stdout, reason = "a benchmark's result is its output")]

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::QueueAttributeName;
use less_aws_proxy::{Proxy, Tally};
use less_model::language::Language;
use less_model::manifest::{
    DEFAULT_MAX_MESSAGE, DEFAULT_RETENTION, Layer, Manifest, Policy, Settings, Subscriber, Topic,
    TransportKind, VERSION,
};
use less_model::topology::Topology;
use less_runtime::clock::Clock;
use less_runtime::codegen::Registry;
use less_runtime::message::{MessageId, StoredMessage};
use less_runtime::transport::aws::provision::{Desired, ensure_all};
use less_runtime::transport::aws::{self, Connection, Options, Purpose, Site};
use less_runtime::transport::{Layout, NewMessage, SubscriptionSpec, TopicIndex, TopicSpec, Transport};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

const REGION: &str = "eu-west-1";
const STAGE: &str = "bench";
/// Says that this process is the app, how many messages it handles at once, and after how many it says so.
const APP: &str = "LESS_BENCH_APP";
const ROUNDS: usize = 3;
/// JSON of 256 bytes.
const BODY: usize = 256;
/// Publishers that wait for one message each.
const PUBLISHERS: usize = 64;
/// Longest that a round may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Dollars for a million requests, standard topics and queues, us-east-1: <https://aws.amazon.com/sns/pricing/> and <https://aws.amazon.com/sqs/pricing/>,
/// November 2026. Each 64 KiB of a request is one; deliveries from SNS to SQS are free.
const SNS_DOLLARS: f64 = 0.50;
const SQS_DOLLARS: f64 = 0.40;

type Anything = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<ExitCode, Anything> {
    if let Ok(text) = std::env::var(APP) {
        let concurrency = text.split(',').next().unwrap_or_default().parse()?;
        let manifest = serde_json::to_string(&manifest(concurrency)?)?;
        return Ok(less_runtime::codegen::main(&manifest, &[register]));
    }
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(2_000);
    let server = std::env::var("LESS_TEST_MINISTACK").map_err(|_| {
        "LESS_TEST_MINISTACK is not set\nhint: tests/aws/servers.sh cargo bench -p less-runtime --bench aws --features deploy"
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(bench(&server, count))?;
    Ok(ExitCode::SUCCESS)
}

async fn bench(server: &str, count: usize) -> Result<(), Anything> {
    println!(
        "{count} messages of {BODY} B a round, one subscriber; medians of {ROUNDS} alternating rounds\n"
    );
    let mut ways = Vec::new();
    for (concurrency, publishing) in
        [(10, Publishing::Many), (10, Publishing::Alone), (100, Publishing::Many)]
    {
        ways.push((Way::start(server, concurrency, publishing, count).await?, Vec::new()));
    }
    let by_hand = ByHand::start(server).await?;
    let mut by_hand_rounds = Vec::new();
    for _ in 0..ROUNDS {
        for (way, rounds) in &mut ways {
            rounds.push(way.round(count).await?);
        }
        by_hand_rounds.push(by_hand.round(count).await?);
    }
    let base = median(&by_hand_rounds, |round| round.rate);
    println!(
        "|  | messages/s | beside one by one | SNS | receive | delete | other SQS | calls per 1,000 | $ per million |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (way, rounds) in &ways {
        row(&way.name(), rounds, count, base);
    }
    row("one by one: 10 publishers, 10 receivers", &by_hand_rounds, count, base);
    for (way, _) in ways {
        way.stop().await?;
    }
    Ok(())
}

/// How messages are published.
#[derive(Clone, Copy)]
enum Publishing {
    /// A hundred at once.
    Many,
    /// One at a time, by many publishers.
    Alone,
}

/// What a round came to.
struct Round {
    /// Messages in a second, from the first publish to the last handler.
    rate: f64,
    calls: Tally,
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn row(name: &str, rounds: &[Round], count: usize, base: f64) {
    let thousands = count as f64 / 1_000.0;
    let calls = |of: &dyn Fn(&str) -> bool| {
        median(rounds, |round| {
            let calls = round.calls.iter().filter(|(operation, _)| of(operation));
            calls.map(|(_, calls)| *calls as f64).sum::<f64>() / thousands
        })
    };
    let publish = calls(&|operation| operation.starts_with("Publish"));
    let receive = calls(&|operation| operation == "ReceiveMessage");
    let delete = calls(&|operation| operation.starts_with("DeleteMessage"));
    let other = calls(&|operation| {
        !["Publish", "ReceiveMessage", "DeleteMessage"].iter().any(|known| operation.starts_with(known))
    });
    let all = publish + receive + delete + other;
    let rate = median(rounds, |round| round.rate);
    // Calls per 1,000 messages are thousands of calls per million.
    let dollars = (publish * SNS_DOLLARS + (all - publish) * SQS_DOLLARS) / 1_000.0;
    println!(
        "| {name} | {rate:.0} | {:.1} | {publish:.0} | {receive:.0} | {delete:.0} | {other:.0} | {all:.0} | {dollars:.2} |",
        rate / base
    );
}

/// What happened between two looks at a proxy.
fn since(before: &Tally, now: &Tally) -> Tally {
    now.iter().map(|(name, calls)| (name.clone(), calls - before.get(name).unwrap_or(&0))).collect()
}

async fn connection(url: &str, account: &str) -> Connection {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(account, "x", None, None, "bench"));
    let sdk = aws::patient(loader, Purpose::Run).load().await;
    Connection::new(sdk, Site { region: REGION.to_owned(), account: account.to_owned() })
}

/// An account of its own.
fn account() -> String {
    format!("{:012}", 200_000_000_000_u64 + u64::from(rand::random::<u32>()))
}

/// Waits until a queue holds nothing.
async fn empty(sqs: &aws_sdk_sqs::Client, url: &str) -> Result<(), Anything> {
    let began = Instant::now();
    loop {
        let asked = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let found = asked.send().await?;
        let left = |name| found.attributes().and_then(|all| all.get(&name)).is_some_and(|depth| depth != "0");
        if !left(QueueAttributeName::ApproximateNumberOfMessages)
            && !left(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
        {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err("the queue never became empty".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn body() -> String {
    format!("\"{}\"", "x".repeat(BODY - 2))
}

/// An app in a process of its own, and a publisher.
struct Way {
    concurrency: u32,
    publishing: Publishing,
    proxy: Proxy,
    app: Child,
    lines: Lines<BufReader<ChildStdout>>,
    publisher: Arc<dyn Transport>,
    direct: aws_sdk_sqs::Client,
    queue: String,
    _folder: tempfile::TempDir,
}

impl Way {
    async fn start(
        server: &str,
        concurrency: u32,
        publishing: Publishing,
        count: usize,
    ) -> Result<Self, Anything> {
        let proxy = Proxy::start(server, 1).await?;
        let account = account();
        let manifest = manifest(concurrency)?;
        let topology = Topology::of(&manifest, &STAGE.parse()?);
        let direct = connection(server, &account).await;
        let desired = Desired::of(&topology, &direct.site, None);
        ensure_all(&direct, &desired).await.map_err(|errors| format!("{errors:?}"))?;
        let name = &topology.topics[0].subscribers[0].queue;
        let queue = direct.sqs.get_queue_url().queue_name(name).send().await?.queue_url.unwrap_or_default();

        let layout = Layout {
            topics: vec![TopicSpec::new("numbers".parse()?)],
            subscriptions: vec![SubscriptionSpec::new(TopicIndex(0), "counter".parse()?)],
        };
        let connection = connection(proxy.url(), &account).await;
        let publisher = aws::open(&connection, &topology, &layout, Options::default(), Clock::System).await?;
        let folder = tempfile::tempdir()?;
        let mut app = Command::new(std::env::current_exe()?)
            .env(APP, format!("{concurrency},{count}"))
            .env("AWS_ENDPOINT_URL", proxy.url())
            .env("AWS_ACCESS_KEY_ID", &account)
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_REGION", REGION)
            .env("LESS_STAGE", STAGE)
            .env("LESS_LISTEN", "127.0.0.1:0")
            .env("LESS_DATA", folder.path())
            .env("LESS_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(app.stdout.take().ok_or("the app has no output")?).lines();
        tokio::time::timeout(PATIENCE, proxy.arrived("ReceiveMessage", 1)).await?;
        Ok(Self {
            concurrency,
            publishing,
            proxy,
            app,
            lines,
            publisher,
            direct: direct.sqs,
            queue,
            _folder: folder,
        })
    }

    fn name(&self) -> String {
        let publishing = match self.publishing {
            Publishing::Many => "a hundred at once".to_owned(),
            Publishing::Alone => format!("one each by {PUBLISHERS} publishers"),
        };
        format!("**Less**, concurrency {}, published {publishing}", self.concurrency)
    }

    async fn round(&mut self, count: usize) -> Result<Round, Anything> {
        let before = self.proxy.calls();
        let began = Instant::now();
        let (publisher, publishing) = (Arc::clone(&self.publisher), self.publishing);
        let sending = tokio::spawn(publish(publisher, publishing, count));
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await??;
        let rate = rate(count, began.elapsed());
        if line.is_none() {
            return Err("the app ended".into());
        }
        sending.await??;
        // Acks wait for others a while.
        empty(&self.direct, &self.queue).await?;
        Ok(Round { rate, calls: since(&before, &self.proxy.calls()) })
    }

    async fn stop(mut self) -> Result<(), Anything> {
        if let Some(id) = self.app.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        }
        tokio::time::timeout(PATIENCE, self.app.wait()).await??;
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

async fn publish(
    publisher: Arc<dyn Transport>,
    publishing: Publishing,
    count: usize,
) -> Result<(), Anything> {
    let (publishers, at_once) = match publishing {
        Publishing::Many => (1, 100),
        Publishing::Alone => (PUBLISHERS, 1),
    };
    let left = Arc::new(Mutex::new(count));
    let mut tasks = JoinSet::new();
    for _ in 0..publishers {
        let (publisher, left) = (Arc::clone(&publisher), Arc::clone(&left));
        tasks.spawn(async move {
            loop {
                let some = {
                    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                    let some = at_once.min(*left);
                    *left -= some;
                    some
                };
                if some == 0 {
                    return Ok::<_, Anything>(());
                }
                let messages = (0..some).map(|_| message()).collect();
                for result in publisher.publish(TopicIndex(0), messages).await {
                    result?;
                }
            }
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined??;
    }
    Ok(())
}

fn message() -> NewMessage {
    NewMessage {
        message: Arc::new(StoredMessage {
            id: MessageId::generate(),
            published_at: Clock::System.now(),
            key: None,
            attributes: BTreeMap::new(),
            traceparent: None,
            body: body().into_bytes().into(),
        }),
        due: None,
        idempotency_key: None,
    }
}

/// The app: one topic, one subscriber that counts.
fn manifest(concurrency: u32) -> Result<Manifest, Anything> {
    let layer = Layer { transport: Some(TransportKind::Aws), ..Layer::default() };
    let subscriber = Subscriber {
        name: "counter".parse()?,
        language: Language::Rust,
        file: "less/topics/numbers/counter/mod.rs".to_owned(),
        policy: Policy { concurrency, ..Policy::default() },
        filter: None,
    };
    let topic = Topic {
        name: "numbers".parse()?,
        message_type: None,
        schema: None,
        retention: DEFAULT_RETENTION,
        ordered: false,
        max_message: DEFAULT_MAX_MESSAGE,
        subscribers: vec![subscriber],
    };
    Ok(Manifest {
        contract: None,
        external: Vec::new(),
        version: VERSION,
        app: "bench".parse()?,
        settings: Settings { stages: [(STAGE.parse()?, layer)].into(), ..Settings::default() },
        workers: BTreeMap::new(),
        topics: vec![topic],
    })
}

fn register(registry: &mut Registry) {
    registry.topic::<less_runtime::Value>("numbers").subscriber("counter", count).done();
}

/// Says so whenever as many different messages were handled as a round has.
async fn count(_: less_runtime::Value, context: less_runtime::Context) -> less_runtime::Result<()> {
    static SEEN: Mutex<Option<HashSet<MessageId>>> = Mutex::new(None);
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    let round = std::env::var(APP).ok().and_then(|text| text.split_once(',')?.1.parse().ok());
    if seen.insert(context.message_id()) && Some(seen.len()) == round {
        seen.clear();
        let mut out = std::io::stdout();
        writeln!(out, "round")?;
        out.flush()?;
    }
    Ok(())
}

/// What one writes without thinking of batches.
struct ByHand {
    proxy: Proxy,
    connection: Connection,
    topic: String,
    queue: String,
}

impl ByHand {
    async fn start(server: &str) -> Result<Self, Anything> {
        let proxy = Proxy::start(server, 1).await?;
        let connection = connection(proxy.url(), &account()).await;
        let topic = connection.sns.create_topic().name("t").send().await?.topic_arn.unwrap_or_default();
        let queue = connection.sqs.create_queue().queue_name("q").send().await?.queue_url.unwrap_or_default();
        let subscribe = connection.sns.subscribe().topic_arn(&topic).protocol("sqs");
        let endpoint = connection.site.queue_arn("q");
        subscribe.endpoint(endpoint).attributes("RawMessageDelivery", "true").send().await?;
        Ok(Self { proxy, connection, topic, queue })
    }

    async fn round(&self, count: usize) -> Result<Round, Anything> {
        let before = self.proxy.calls();
        let began = Instant::now();
        let (tell, mut handled) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for number in 0..10 {
            let (sns, topic) = (self.connection.sns.clone(), self.topic.clone());
            tasks.spawn(async move {
                for _ in (number..count).step_by(10) {
                    sns.publish().topic_arn(&topic).message(body()).send().await?;
                }
                Ok::<_, Anything>(())
            });
            let (sqs, queue, tell) = (self.connection.sqs.clone(), self.queue.clone(), tell.clone());
            tasks.spawn(async move {
                // Cut off, a receive would take messages of the next round along.
                while !tell.is_closed() {
                    let receive = sqs.receive_message().queue_url(&queue).max_number_of_messages(1);
                    let received = receive.wait_time_seconds(2).send().await?;
                    for message in received.messages.unwrap_or_default() {
                        let handle = message.receipt_handle.unwrap_or_default();
                        sqs.delete_message().queue_url(&queue).receipt_handle(handle).send().await?;
                        tell.send(())?;
                    }
                }
                Ok(())
            });
        }
        for _ in 0..count {
            tokio::time::timeout(PATIENCE, handled.recv()).await?;
        }
        let round = Round { rate: rate(count, began.elapsed()), calls: since(&before, &self.proxy.calls()) };
        drop(handled);
        while let Some(joined) = tasks.join_next().await {
            joined??;
        }
        Ok(round)
    }
}
