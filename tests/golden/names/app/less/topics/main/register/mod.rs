pub async fn process(message: less::Value) -> less::Result<()> {
    println!();
    println!("{message} {}", 1);
    print!("a");
    print!("");
    eprintln!();
    eprint!("{}", dbg!(1 + 1));
    let (_one, _two): (u8, &str) = dbg!(1, "two");
    dbg!();
    Ok(())
}
