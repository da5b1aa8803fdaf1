//! Objects: fields that came, went, or may be missing.

use super::{Additions, At, Null, Readers, Walk, What};
use crate::shape::{Object, Property};

impl<'a> Walk<'a> {
    pub(super) fn objects(&mut self, old: &'a Object, new: &'a Object, at: &At) {
        match (old.open, new.open) {
            (true, false) => self.tell(at, What::Closed, true, Readers::Fine),
            (false, true) => self.tell(at, What::Opened, false, Readers::New),
            (true, true) | (false, false) => {}
        }
        for before in &old.properties {
            let at = at.field(&before.name);
            if let Some(after) = find(new, &before.name) {
                self.fields(before, after, &at);
                continue;
            }
            let required = before.required;
            // Where other fields are refused, an old message that has it is refused for it.
            let stored = !new.open;
            let readers = if required { Readers::Broken } else { Readers::New };
            self.tell(&at, What::Removed { required }, stored, readers);
        }
        for after in new.properties.iter().filter(|after| find(old, &after.name).is_none()) {
            let required = after.required;
            let readers = if old.open { Readers::Fine } else { Readers::New };
            if required || readers != Readers::Fine || self.additions == Additions::All {
                self.tell(&at.field(&after.name), What::Added { required }, required, readers);
            }
        }
    }

    fn fields(&mut self, old: &'a Property, new: &'a Property, at: &At) {
        let null = match (old.required, new.required) {
            (false, true) => {
                self.tell(at, What::Required, true, Readers::Fine);
                // `Option<T>` that became `T` is one change.
                if old.node.nullable && !new.node.nullable { Null::Told } else { Null::Compared }
            }
            (true, false) => {
                self.tell(at, What::Optional, false, Readers::Broken);
                if new.node.nullable && !old.node.nullable { Null::Told } else { Null::Compared }
            }
            (true, true) | (false, false) => Null::Compared,
        };
        self.nodes(&old.node, &new.node, at, null);
    }
}

pub(super) fn find<'a>(object: &'a Object, name: &str) -> Option<&'a Property> {
    object.properties.iter().find(|property| property.name == name)
}
