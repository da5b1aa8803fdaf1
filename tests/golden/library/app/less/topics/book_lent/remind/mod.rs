mod text;

use less::topics::book_lent::BookLent;

pub async fn process(lent: BookLent, context: less::Context) -> less::Result<()> {
    println!("{} {} {}", text::GREETING, bookshelf::label(&lent), context.attempt());
    Ok(())
}
