use {{module}}::{{type}};

pub async fn process(message: {{type}}) -> less::Result<()> {
    println!("{message:?}");
    Ok(())
}
