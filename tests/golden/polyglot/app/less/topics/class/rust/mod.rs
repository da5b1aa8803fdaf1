use less::topics::class::Class;

pub async fn process(message: Class) -> less::Result<()> {
    println!("{} {} {}", message.r#type, message.self_, message.field_1st);
    Ok(())
}
