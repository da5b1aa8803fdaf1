use less::topics::order_placed::OrderPlaced;

pub async fn process(order: OrderPlaced) -> less::Result<()> {
    for item in &order.items {
        println!("{}: {} of {}", order.order_id, item.quantity, item.sku);
    }
    Ok(())
}
