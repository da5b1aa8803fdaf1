/// A user signed up.
#[less::message]
#[derive(Debug, Clone)]
pub struct UserCreated {
    pub user_id: u64,
    pub email: String,
    pub name: String,
}
