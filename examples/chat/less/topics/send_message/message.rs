/// Somebody says something.
#[less::message]
#[derive(Debug, Clone)]
pub struct SendMessage {
    pub email: String,
    pub message: String,
}
