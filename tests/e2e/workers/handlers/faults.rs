use std::io::Write;

pub async fn process(message: less::Value, context: less::Context) -> less::Result<()> {
    let mut log = std::fs::File::options().create(true).append(true).open("log")?;
    log.write_all(format!("{} {} {}\n", context.subscriber(), message["n"], context.attempt()).as_bytes())?;
    match message["do"].as_str().unwrap_or_default() {
        "throw" => Err(less::Error::msg("thrown")),
        "panic" => panic!("panicked"),
        "loop" => loop {
            std::thread::sleep(std::time::Duration::from_millis(1));
        },
        "hang" => std::future::pending().await,
        "flood" => {
            for _ in 0..20_000 {
                println!("{}", "x".repeat(100));
            }
            Ok(())
        }
        "no" => Err(less::reject("no such user")),
        "again" if context.attempt() == 1 => Err(less::retry_after(std::time::Duration::from_millis(20))),
        _ => Ok(()),
    }
}
