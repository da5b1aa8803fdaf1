//! The `less` command, as a library.
