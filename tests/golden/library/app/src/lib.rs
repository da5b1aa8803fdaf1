use less::topics;
use less::topics::book_lent::BookLent;

pub async fn lend(title: &str) -> Result<String, less::PublishError> {
    let lent = BookLent { title: title.to_owned(), kind: shelf_kinds::Kind::Novel };
    let receipt = topics::book_lent.publish(&lent).await?;
    topics::book_lent.publish_many(&[lent]).await.map_err(|error| less::PublishError::Unavailable(error.to_string()))?;
    Ok(receipt.message_id.to_string())
}

pub fn label(lent: &BookLent) -> serde_json::Value {
    serde_json::json!({ "title": lent.title })
}
