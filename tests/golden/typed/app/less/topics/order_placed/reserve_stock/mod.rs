use less::topics::order_placed::OrderPlaced;

pub async fn process(order: OrderPlaced, context: less::Context) -> less::Result<()> {
    let _ = dbg!(order.lines.len(), context.attempt());
    Ok(())
}
