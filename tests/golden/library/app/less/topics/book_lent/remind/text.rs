pub const GREETING: &str = "bring it back:";
