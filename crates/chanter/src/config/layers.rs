//! The options of a peer over those of its template.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::diagnostic::Diagnostics;
use super::field::{Field, Section};
use super::policy::unknown;

/// Tables of options by the name of the template.
pub(crate) type Templates<'a> = BTreeMap<String, &'a Field>;

/// The options of a peer, a range or a template, and below them those of the template that it names.
pub(crate) struct Layers<'a> {
    own: Section<'a>,
    template: Option<Section<'a>>,
}

impl<'a> Layers<'a> {
    pub(crate) fn new(
        own: &'a Field,
        templates: &Templates<'a>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let mut own = own.section(found)?;
        let field = own.take("template");
        let name = field.and_then(|field| field.string(found, "the name of a template"));
        let mut template = None;
        if let (Some(field), Some(name)) = (field, &name) {
            match templates.get(name) {
                Some(table) => template = table.section(found),
                None => field.error(found, unknown("template", name, templates.keys())),
            }
        }
        Some(Self { own, template })
    }

    /// A template itself.
    pub(crate) fn of_template(own: &'a Field, found: &mut Diagnostics) -> Option<Self> {
        let mut own = own.section(found)?;
        own.take("name");
        Some(Self {
            own,
            template: None,
        })
    }

    /// The whole entry, for what it lacks.
    pub(crate) fn whole(&self) -> &'a Field {
        self.own.whole
    }

    /// What only the entry itself can have.
    pub(crate) fn take_own(&mut self, key: &'static str) -> Option<&'a Field> {
        self.own.take(key)
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Field> {
        let own = self.own.take(key);
        let template = self.template.as_mut().and_then(|section| section.take(key));
        own.or(template)
    }

    pub(crate) fn boolean(&mut self, key: &'static str, found: &mut Diagnostics) -> Option<bool> {
        self.take(key).and_then(|field| field.boolean(found))
    }

    /// Which of two keys, of which the entry itself may have one, counts: what the entry says hides
    /// what the template says of either.
    pub(crate) fn either(
        &mut self,
        keys: [&'static str; 2],
        found: &mut Diagnostics,
    ) -> [Option<&'a Field>; 2] {
        let own = keys.map(|key| self.own.take(key));
        if let [Some(_), Some(second)] = own {
            let message = format_args!("there is `{}` already: only one of them can be", keys[0]);
            second.error(found, message);
        }
        match (own, &mut self.template) {
            ([None, None], Some(template)) => keys.map(|key| template.take(key)),
            _ => own,
        }
    }

    /// Objects to keys that nobody took; those of a template are looked at with the template.
    pub(crate) fn finish(self, found: &mut Diagnostics) {
        self.own.finish(found);
    }
}

/// Templates by name; names that are there twice are faults.
pub(crate) fn templates<'a>(tables: &'a [Field], found: &mut Diagnostics) -> Templates<'a> {
    let mut templates = Templates::new();
    for table in tables {
        let Some(mut section) = table.section(found) else {
            continue;
        };
        let Some(field) = section.require("name", found, "a name") else {
            continue;
        };
        let Some(name) = field.string(found, "a name") else {
            continue;
        };
        match templates.entry(name) {
            Entry::Occupied(entry) => {
                field.error(found, format_args!("`{}` is there already", entry.key()));
            }
            Entry::Vacant(entry) => {
                entry.insert(table);
            }
        }
    }
    templates
}
