#[less::message]
pub struct Message {
    pub text: String,
}
