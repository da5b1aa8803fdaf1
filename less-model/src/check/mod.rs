//! The rules about files, folders and names, one file per family. Rules about code are with the code: `handler`, `message`.

mod entries;
mod handlers;
mod layout;
mod names;

pub(crate) use entries::entries;
pub(crate) use handlers::{duplicate_handler, no_handler};
pub(crate) use layout::layout;
pub(crate) use names::{bad_name, names_differ_by_case, same_type_name};
