//! `chanter.toml`. Read as a tree with places rather than straight into structs, so that every wrong
//! line and every unknown key is shown in one go.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostics, SourceFile};
use super::field::{Entry, Field, Value};
use super::raw::{CHANTER_TOML, Raw, RawBgp, RawConfig};

/// Reads `file`.
pub(crate) fn read(file: &Arc<SourceFile>, found: &mut Diagnostics) -> RawConfig {
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        found.error(file, &span, format!("not TOML: {}", error.message()));
    }
    let raw = if errors.is_empty() {
        root_table(root.get_ref(), file, found)
    } else {
        Raw::default()
    };
    RawConfig {
        raw,
        dialect: CHANTER_TOML,
        file: Arc::clone(file),
    }
}

fn root_table(root: &DeTable<'_>, file: &Arc<SourceFile>, found: &mut Diagnostics) -> Raw {
    let mut table = Table::new(root, String::new(), file);
    let mut raw = Raw {
        state_dir: table.take("state_dir"),
        socket: table.take("socket"),
        on_stop: table.take("on_stop"),
        ..Raw::default()
    };
    if let Some(mut log) = table.table("log", found) {
        raw.log_level = log.take("level");
        raw.log_format = log.take("format");
        raw.log_file = log.take("file");
        log.finish(found);
    }
    if let Some(bgp) = table.table("bgp", found) {
        raw.bgp = bgp_table(bgp, found);
    }
    if let Some(mut dataplane) = table.table("dataplane", found) {
        if let Some(mut evpn) = dataplane.table("evpn", found) {
            raw.evpn_driver = evpn.take("driver");
            raw.evpn_address = evpn.take("local_address");
            raw.vxlan_port = evpn.take("vxlan_port");
            evpn.finish(found);
        }
        dataplane.finish(found);
    }
    if let Some(mut api) = table.table("api", found) {
        raw.api_enabled = api.take("enabled");
        raw.api_host = api.take("host");
        raw.api_port = api.take("port");
        api.finish(found);
    }
    raw.prefix_lists = table.tables("prefix_lists", found);
    raw.community_lists = table.tables("community_lists", found);
    raw.as_path_lists = table.tables("as_path_lists", found);
    raw.policies = table.tables("policies", found);
    raw.bmp = table.take("bmp");
    raw.mrt = table.take("mrt");
    table.finish(found);
    raw
}

fn bgp_table(mut table: Table<'_>, found: &mut Diagnostics) -> RawBgp {
    let raw = RawBgp {
        local_as: table.take("as"),
        local_address: table.take("local_address"),
        router_id: table.take("router_id"),
        cluster_id: table.take("cluster_id"),
        rt_constraint: table.take("rt_constraint"),
        hold_time: table.take("hold_time"),
        graceful_restart: table.take("graceful_restart"),
        hostname: table.take("hostname"),
        require_policy: table.take("require_policy"),
        listen: table.take("listen"),
        templates: table.tables("templates", found),
        peers: table.tables("peers", found),
        ranges: table.tables("ranges", found),
    };
    table.finish(found);
    raw
}

/// A table of which keys are taken one by one; what is left at the end is unknown.
struct Table<'a> {
    table: &'a DeTable<'a>,
    /// Its dotted name with the final dot; empty for the root.
    prefix: String,
    file: &'a Arc<SourceFile>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    fn new(table: &'a DeTable<'a>, prefix: String, file: &'a Arc<SourceFile>) -> Self {
        Self {
            table,
            prefix,
            file,
            known: Vec::new(),
        }
    }

    fn spanned(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    fn take(&mut self, key: &'static str) -> Option<Field> {
        let value = self.spanned(key)?;
        Some(field(format!("{}{key}", self.prefix), value, self.file))
    }

    fn table(&mut self, key: &'static str, found: &mut Diagnostics) -> Option<Table<'a>> {
        let value = self.spanned(key)?;
        let name = format!("{}{key}", self.prefix);
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("{name}: expected a table: [{name}]");
            found.error(self.file, &value.span(), message);
            return None;
        };
        Some(Table::new(table, format!("{name}."), self.file))
    }

    /// The elements of an array of tables.
    fn tables(&mut self, key: &'static str, found: &mut Diagnostics) -> Vec<Field> {
        let Some(list) = self.take(key) else {
            return Vec::new();
        };
        let is_table = |item: &Field| matches!(item.value, Value::Table(_));
        let expected = format!("tables: [[{}]]", list.name);
        let Value::List(items) = list.value else {
            list.wrong_type(found, &expected);
            return Vec::new();
        };
        items
            .into_iter()
            .filter(|item| {
                if !is_table(item) {
                    item.wrong_type(found, &expected);
                }
                is_table(item)
            })
            .collect()
    }

    fn finish(self, found: &mut Diagnostics) {
        for key in self.table.keys() {
            if !self.known.contains(&key.get_ref().as_ref()) {
                let message = format!(
                    "{}{}: unknown key: expected one of {}",
                    self.prefix,
                    key.get_ref(),
                    self.known.join(", ")
                );
                found.error(self.file, &key.span(), message);
            }
        }
    }
}

fn field(name: String, value: &Spanned<DeValue<'_>>, file: &Arc<SourceFile>) -> Field {
    let inner = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => integer(number),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Array(items) => {
            let item = |(number, item)| field(format!("{name}[{number}]"), item, file);
            Value::List(items.iter().enumerate().map(item).collect())
        }
        DeValue::Table(table) => Value::Table(entries(&name, table, file)),
        other => Value::Other(other.type_str()),
    };
    Field {
        name,
        file: Arc::clone(file),
        span: value.span(),
        value: inner,
    }
}

fn entries(name: &str, table: &DeTable<'_>, file: &Arc<SourceFile>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().clone().into_owned(),
            span: key.span(),
            value: field(format!("{name}.{}", key.get_ref()), value, file),
        })
        .collect();
    // As the operator wrote them.
    entries.sort_by_key(|entry| entry.span.start);
    entries
}

fn integer(number: &toml::de::DeInteger<'_>) -> Value {
    i64::from_str_radix(number.as_str(), number.radix())
        .map_or(Value::Other("number that is too large"), Value::Integer)
}
