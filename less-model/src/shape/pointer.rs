//! JSON pointers (RFC 6901).

/// A key as a segment of a pointer, with its `/`.
pub(crate) fn segment(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The key that a segment without its `/` stands for.
pub(crate) fn key(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
