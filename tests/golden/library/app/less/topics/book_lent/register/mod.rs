use less::topics;

// The value and the module of one name.
use less::topics::shelf_emptied;

pub async fn process(lent: topics::book_lent::BookLent) -> less::Result<()> {
    shelf_emptied.publish(&less::Value::Null).await?;
    topics::shelf_emptied.publish_with(&less::Value::Null, less::Publish::new().key(lent.title)).await?;
    Ok(())
}
