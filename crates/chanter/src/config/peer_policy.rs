//! What the options of a peer say about policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::Family;
use chanter_policy::{AllowAsIn, LimitAction, PeerPolicy, Policy, PrefixLimit};
use chanter_speaker::PeerOptions;

use super::diagnostic::Diagnostics;
use super::field::{Field, Value};
use super::layers::Layers;
use super::peer::Defaults;
use super::policy::{Policies, unknown};

/// From so many per cent of a limit on there is a warning.
const WARN_PERCENT: u8 = 75;

/// Reads what `layers` says about policy; `families` are those of the peer.
pub(crate) fn peer_policy(
    layers: &mut Layers<'_>,
    families: &[Family],
    policies: &Policies,
    require_policy: bool,
    found: &mut Diagnostics,
) -> PeerPolicy {
    let mut flag =
        |key, default, found: &mut Diagnostics| layers.boolean(key, found).unwrap_or(default);
    let next_hop_self = flag("next_hop_self", false, found);
    let next_hop_unchanged = flag("next_hop_unchanged", false, found);
    let remove_private_as = flag("remove_private_as", false, found);
    let graceful_shutdown = flag("graceful_shutdown", false, found);
    let accept_graceful_shutdown = flag("accept_graceful_shutdown", true, found);
    let require_policy = flag("require_policy", require_policy, found);
    if next_hop_self && next_hop_unchanged {
        let message = "`next_hop_self` and `next_hop_unchanged` exclude each other";
        layers.whole().error(found, message);
    }
    PeerPolicy {
        import: policy(layers.take("import"), policies, found),
        export: policy(layers.take("export"), policies, found),
        require_policy,
        allow_as_in: allow_as_in(layers.take("allow_as_in"), found),
        next_hop_self,
        next_hop_unchanged,
        remove_private_as,
        graceful_shutdown,
        accept_graceful_shutdown,
        max_prefixes: max_prefixes(layers.take("max_prefixes"), families, found),
    }
}

fn policy(
    field: Option<&Field>,
    policies: &Policies,
    found: &mut Diagnostics,
) -> Option<Arc<Policy>> {
    let field = field?;
    let name = field.string(found, "the name of a policy")?;
    let policy = policies.get(&name).cloned();
    if policy.is_none() {
        field.error(found, unknown("policy", &name, policies.keys()));
    }
    policy
}

/// `true` for once, a number, or `"origin"`.
fn allow_as_in(field: Option<&Field>, found: &mut Diagnostics) -> AllowAsIn {
    let Some(field) = field else {
        return AllowAsIn::Never;
    };
    match &field.value {
        Value::Boolean(true) => AllowAsIn::Times(1),
        Value::Boolean(false) => AllowAsIn::Never,
        Value::Text(text) if text == "origin" => AllowAsIn::OwnOrigin,
        Value::Integer(_) => {
            let times = field.integer(found, 0..=255);
            let times = times.and_then(|times| u8::try_from(times).ok());
            times.map_or(AllowAsIn::Never, AllowAsIn::Times)
        }
        _ => {
            field.wrong_type(found, "how often, from 0 to 255, or \"origin\"");
            AllowAsIn::Never
        }
    }
}

/// One limit for all families, or `{ FAMILY = LIMIT, ... }`.
fn max_prefixes(
    field: Option<&Field>,
    families: &[Family],
    found: &mut Diagnostics,
) -> BTreeMap<Family, PrefixLimit> {
    let Some(field) = field else {
        return BTreeMap::new();
    };
    let by_family = match &field.value {
        Value::Table(entries) => entries
            .iter()
            .any(|entry| entry.key.parse::<Family>().is_ok()),
        _ => false,
    };
    if !by_family {
        let limit = prefix_limit(field, found);
        let each = limit.iter().flat_map(|limit| {
            families
                .iter()
                .filter(|family| **family != Family::IPV4_RTC)
                .map(|family| (*family, *limit))
        });
        return each.collect();
    }
    let Some(section) = field.section(found) else {
        return BTreeMap::new();
    };
    let mut limits = BTreeMap::new();
    for entry in section.entries() {
        let limit = prefix_limit(&entry.value, found);
        match entry.key.parse::<Family>() {
            Ok(family) if !families.contains(&family) => {
                let message = format_args!("{family} is not among the families of the peer");
                entry.value.error(found, message);
            }
            Ok(family) => limits.extend(limit.map(|limit| (family, limit))),
            Err(error) => entry.value.error(found, error),
        }
    }
    limits
}

/// A number, or `{ limit = ..., warn_percent = ..., action = ..., restart = ... }`.
fn prefix_limit(field: &Field, found: &mut Diagnostics) -> Option<PrefixLimit> {
    if let Value::Integer(_) = field.value {
        return Some(PrefixLimit {
            limit: field.integer(found, 1..=u32::MAX)?,
            warn_percent: WARN_PERCENT,
            action: LimitAction::Close { restart: None },
        });
    }
    let mut section = field.section(found)?;
    let limit = section.require("limit", found, "a number of routes");
    let limit = limit.and_then(|field| field.integer(found, 1..=u32::MAX));
    let warn = section.take("warn_percent");
    let warn = warn.and_then(|field| field.integer(found, 1..=100));
    let warn = warn.and_then(|percent| u8::try_from(percent).ok());
    let action = section.take("action");
    let closes = action.and_then(|field| field.choice(found, &[("warn", false), ("close", true)]));
    let restart = section.take("restart");
    let secs = restart.and_then(|field| field.integer(found, 1..=86_400));
    if let (Some(false), Some(restart)) = (closes, restart) {
        let message = "the session is not closed: `restart` has no effect with action `warn`";
        restart.error(found, message);
    }
    section.finish(found);
    let restart = secs.map(|secs| Duration::from_secs(secs.into()));
    Some(PrefixLimit {
        limit: limit?,
        warn_percent: warn.unwrap_or(WARN_PERCENT),
        action: match closes {
            Some(false) => LimitAction::Warn,
            Some(true) | None => LimitAction::Close { restart },
        },
    })
}

/// Says where eBGP without a policy means no routes (RFC 8212), and how to write one.
pub(crate) fn warn_of_no_policy(
    entry: &Field,
    options: &PeerOptions,
    defaults: &Defaults,
    found: &mut Diagnostics,
) {
    let policy = &options.policy;
    let internal = defaults.internal(options.remote_as);
    let (import, export) = (policy.lacks_import(true), policy.lacks_export(true));
    if internal == Some(true) || !(import || export) {
        return;
    }
    let who = match internal {
        Some(_) => "the peer is in another AS",
        None => "a peer may be in another AS",
    };
    let (what, lacks) = match (import, export) {
        (true, true) => (
            "no routes are taken from it and none given to it",
            "`import = \"NAME\"` and `export = \"NAME\"`",
        ),
        (true, false) => ("no routes are taken from it", "`import = \"NAME\"`"),
        _ => ("no routes are given to it", "`export = \"NAME\"`"),
    };
    entry.warning(
        found,
        format_args!(
            "{who} and has no policy: {what} (RFC 8212). Give it {lacks} with a [[policies]] of that \
             name, or set `require_policy = false`"
        ),
    );
}
