/// Called as the other app's, and another type.
#[less::message]
pub struct UserCreated {
    pub friend: String,
}
