//! Those who watch: BMP stations and MRT files.

use std::net::SocketAddr;
use std::time::Duration;

use chanter_bmp::StationConfig;
use chanter_mrt::FileName;

use super::diagnostic::Diagnostics;
use super::field::{Field, Section};

/// How often counters are sent.
const STATISTICS: Duration = Duration::from_secs(60);
/// How long until another attempt to connect to a station.
const RETRY: Duration = StationConfig::RETRY.0;
/// How long one MRT file lasts.
const ROTATE: Duration = Duration::from_secs(3600);

/// Who is told by BMP (RFC 7854) what peers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BmpConfig {
    /// What we call ourselves; `None`: the node's name.
    pub system_name: Option<String>,
    /// How often stations get counters; zero: never.
    pub statistics: Duration,
    /// How long until another attempt to connect; doubles with each.
    pub retry: Duration,
    /// The stations.
    pub stations: Vec<BmpStation>,
}

impl Default for BmpConfig {
    fn default() -> Self {
        Self {
            system_name: None,
            statistics: STATISTICS,
            retry: RETRY,
            stations: Vec::new(),
        }
    }
}

/// A BMP station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BmpStation {
    /// Its address, or ours where the station connects.
    pub addr: SocketAddr,
    /// Whether the station connects to us.
    pub listens: bool,
    /// What it is told.
    pub ribs: BmpRibs,
}

/// Which RIBs a station is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BmpRibs {
    /// What peers say, before policy. Not beside [`BmpRibs::adj_rib_in_post`].
    pub adj_rib_in_pre: bool,
    /// What import policies make of it.
    pub adj_rib_in_post: bool,
    /// The best paths (RFC 9069).
    pub loc_rib: bool,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rib {
    InPre,
    InPost,
    Loc,
}

/// Which MRT files (RFC 6396) are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MrtConfig {
    /// The files.
    pub dumps: Vec<MrtDump>,
}

/// An MRT file that is written again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MrtDump {
    /// What is in it.
    pub kind: MrtKind,
    /// Its path, in which strftime's marks stand for the time of its begin.
    pub name: FileName,
    /// After how long the next one begins.
    pub interval: Duration,
}

/// What an MRT file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MrtKind {
    /// Messages as they come (BGP4MP).
    Updates,
    /// All routes at a time (TABLE_DUMP_V2).
    Table,
}

/// Reads `[bmp]`.
pub(crate) fn bmp(field: Option<&Field>, found: &mut Diagnostics) -> BmpConfig {
    let Some(mut section) = field.and_then(|field| field.section(found)) else {
        return BmpConfig::default();
    };
    let name = section.take("system_name");
    let system_name = name.and_then(|field| field.string(found, "a name"));
    let statistics = section.take("statistics");
    let statistics = statistics.and_then(|field| field.integer(found, 0..=86_400));
    let retry = section.take("retry");
    let retry = retry.and_then(|field| field.integer(found, 1..=3600));
    let stations = section.take("stations").map(Field::one_or_more);
    let stations = stations.unwrap_or_default().iter().filter_map(|field| {
        let mut section = field.section(found)?;
        let station = station(&mut section, found);
        section.finish(found);
        station
    });
    let stations = stations.collect();
    section.finish(found);
    BmpConfig {
        system_name,
        statistics: statistics.map_or(STATISTICS, |secs| Duration::from_secs(secs.into())),
        retry: retry.map_or(RETRY, |secs| Duration::from_secs(secs.into())),
        stations,
    }
}

/// `address` of the station, or `listen` where it connects to us.
fn station(section: &mut Section<'_>, found: &mut Diagnostics) -> Option<BmpStation> {
    const EXPECTED: &str = "ADDRESS:PORT such as \"192.0.2.9:1790\" or \"[2001:db8::9]:1790\"";
    let (address, listen) = (section.take("address"), section.take("listen"));
    let ribs = ribs(section.take("ribs"), found);
    let field = match (address, listen) {
        (Some(_), Some(field)) => {
            let message = "there is `address` already: only one of them can be";
            field.error(found, message);
            return None;
        }
        (None, None) => {
            let message = format_args!("`address` or `listen` is missing: expected {EXPECTED}");
            section.whole.error(found, message);
            return None;
        }
        (field, other) => field.or(other)?,
    };
    let text = field.string(found, EXPECTED)?;
    let Ok(addr) = text.parse() else {
        let message = format_args!("`{text}` is not an address and a port: expected {EXPECTED}");
        field.error(found, message);
        return None;
    };
    Some(BmpStation {
        addr,
        listens: listen.is_some(),
        ribs: ribs?,
    })
}

/// `ribs` of a station.
fn ribs(field: Option<&Field>, found: &mut Diagnostics) -> Option<BmpRibs> {
    let names = [
        ("adj-rib-in-pre", Rib::InPre),
        ("adj-rib-in-post", Rib::InPost),
        ("loc-rib", Rib::Loc),
    ];
    let Some(field) = field else {
        return Some(BmpRibs {
            adj_rib_in_post: true,
            loc_rib: true,
            ..BmpRibs::default()
        });
    };
    let mut ribs = BmpRibs::default();
    for one in field.one_or_more() {
        match one.choice(found, &names)? {
            Rib::InPre => ribs.adj_rib_in_pre = true,
            Rib::InPost => ribs.adj_rib_in_post = true,
            Rib::Loc => ribs.loc_rib = true,
        }
    }
    if ribs == BmpRibs::default() {
        field.error(found, "none: leave the station out");
        return None;
    }
    if ribs.adj_rib_in_pre && ribs.adj_rib_in_post {
        field.error(
            found,
            "a station is told of Adj-RIB-In before or after policy: name two stations for both",
        );
        return None;
    }
    Some(ribs)
}

/// Reads `[mrt]`.
pub(crate) fn mrt(field: Option<&Field>, found: &mut Diagnostics) -> MrtConfig {
    let Some(mut section) = field.and_then(|field| field.section(found)) else {
        return MrtConfig::default();
    };
    let dumps = section.take("dumps").map(Field::one_or_more);
    let dumps = dumps.unwrap_or_default().iter().filter_map(|field| {
        let mut section = field.section(found)?;
        let dump = dump(&mut section, found);
        section.finish(found);
        dump
    });
    let dumps = dumps.collect();
    section.finish(found);
    MrtConfig { dumps }
}

fn dump(section: &mut Section<'_>, found: &mut Diagnostics) -> Option<MrtDump> {
    let kinds = [("updates", MrtKind::Updates), ("table", MrtKind::Table)];
    let kind = section.require("kind", found, "\"updates\" or \"table\"");
    let kind = kind.and_then(|field| field.choice(found, &kinds));
    let path = section.require(
        "path",
        found,
        "a path such as \"/var/lib/chanter/%Y%m%d.%H%M.mrt\"",
    );
    let gzip = section.take("gzip");
    let gzip = gzip.and_then(|field| field.boolean(found)).unwrap_or(false);
    let name = path.and_then(|field| {
        let path = field.string(found, "a path")?;
        FileName::new(&path, gzip)
            .map_err(|error| field.error(found, error))
            .ok()
    });
    let interval = section.take("interval");
    let interval = interval.and_then(|field| field.integer(found, 1..=604_800));
    Some(MrtDump {
        kind: kind?,
        name: name?,
        interval: interval.map_or(ROTATE, |secs| Duration::from_secs(secs.into())),
    })
}
