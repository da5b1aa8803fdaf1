extern crate less_runtime as less;

#[less::message]
struct UserCreated {
    id: u64,
}

#[less::message]
struct OrderPlaced {
    id: u64,
}

const USER_CREATED: less::Topic<UserCreated> = less::Topic::__new("app", "user_created");

async fn wrong_type() {
    let _ = USER_CREATED.publish(&OrderPlaced { id: 1 }).await;
}

fn main() {}
