use shelf_kinds::Kind;

/// A book went out.
#[less::message]
#[derive(Debug, Clone)]
pub struct BookLent {
    pub title: String,
    pub kind: Kind,
}
