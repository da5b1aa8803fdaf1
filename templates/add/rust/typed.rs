use less::topics::{{topic}}::{{type}};

pub async fn process(message: {{type}}) -> less::Result<()> {
    println!("{message:?}");
    Ok(())
}
