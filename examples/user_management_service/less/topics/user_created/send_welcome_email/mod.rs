use less::topics::user_created::UserCreated;

pub async fn process(user: UserCreated, context: less::Context) -> less::Result<()> {
    if !user.email.contains('@') {
        // No attempt can succeed: a dead letter at once, to be looked at with `less dlq list`.
        return Err(less::reject(format!("`{}` is no email address", user.email)));
    }
    // A mail may be sent twice when the process dies at the wrong moment: the message's id lets the mail server notice.
    user_management_service::append("welcome.txt", &format!("{} {} {}", context.message_id(), user.user_id, user.email))?;
    println!("welcomed {} <{}>", user.name, user.email);
    Ok(())
}
