#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    Novel,
    Atlas,
}
