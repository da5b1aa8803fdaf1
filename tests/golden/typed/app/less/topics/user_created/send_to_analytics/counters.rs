pub fn label(attempt: u32) -> String {
    format!("attempt {attempt}")
}
