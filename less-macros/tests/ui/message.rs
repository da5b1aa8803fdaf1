extern crate less_runtime as less;

#[less::message]
fn not_a_type() {}

#[less::message(name = "x")]
struct WithArguments {
    id: u64,
}

#[less::message]
struct Generic<T> {
    id: T,
}

fn main() {}
