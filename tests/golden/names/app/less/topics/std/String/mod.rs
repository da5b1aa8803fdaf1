pub async fn process(_: less::Value, _: less::Context) -> less::Result<()> {
    let _: Option<std::string::String> = core::option::Option::None;
    Ok(())
}
