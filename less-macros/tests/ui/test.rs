extern crate less_runtime as less;

#[less::test]
fn not_async() {}

#[less::test]
async fn with_arguments(id: u64) {}

fn main() {}
