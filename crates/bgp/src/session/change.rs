//! What a change of the configuration means to a session.

use super::config::{Offers, RestartConfig, SessionConfig};
use crate::{Family, FamilySet};

/// What a change of the configuration means to a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SessionChange {
    /// Nothing is different.
    Nothing,
    /// It holds at once or from the next OPEN on; a session that is up goes on.
    Apply,
    /// What was agreed on no longer holds: a session that is up has to be reset.
    Reset {
        /// What is different, for operators.
        because: String,
    },
}

impl SessionConfig {
    /// What it means to a session with this configuration that it shall have `new`.
    ///
    /// Only who the speakers are and what the OPENs agreed on needs a reset. Times that the peer was
    /// told (hold time, restart time, long-lived stale time) and names are told anew with the next
    /// OPEN. The seed and whether we have restarted are no configuration.
    pub fn change(&self, new: &Self) -> SessionChange {
        if let Some(because) = reset_reason(self, new) {
            let because = because.to_owned();
            return SessionChange::Reset { because };
        }
        let same = Self {
            seed: self.seed,
            graceful_restart: new.graceful_restart.map(|restart| RestartConfig {
                restarting_until: self
                    .graceful_restart
                    .and_then(|before| before.restarting_until),
                ..restart
            }),
            ..new.clone()
        };
        if *self == same {
            SessionChange::Nothing
        } else {
            SessionChange::Apply
        }
    }
}

fn reset_reason(old: &SessionConfig, new: &SessionConfig) -> Option<&'static str> {
    let has_notification = |config: &SessionConfig| {
        let restart = config.graceful_restart;
        restart.is_some_and(|restart| restart.notification)
    };
    let table = [
        (old.local_as != new.local_as, "our AS"),
        (old.router_id != new.router_id, "our BGP identifier"),
        (old.remote_as != new.remote_as, "the AS of the peer"),
        (old.families != new.families, "the address families"),
        (
            old.graceful_restart.is_some() != new.graceful_restart.is_some(),
            "graceful restart",
        ),
        (
            has_notification(old) != has_notification(new),
            "graceful restart on NOTIFICATION",
        ),
    ];
    let changed = table.iter().find(|(changed, _)| *changed);
    changed
        .map(|(_, name)| *name)
        .or_else(|| reset_reason_of_offers(&old.offers, &new.offers))
}

fn reset_reason_of_offers(old: &Offers, new: &Offers) -> Option<&'static str> {
    let table = [
        (
            old.extended_message != new.extended_message,
            "extended messages",
        ),
        (
            old.enhanced_refresh != new.enhanced_refresh,
            "enhanced route refresh",
        ),
        (add_path(old) != add_path(new), "ADD-PATH"),
        (
            old.extended_next_hop != new.extended_next_hop,
            "extended next hop encoding",
        ),
        (
            long_lived(old) != long_lived(new),
            "long-lived graceful restart",
        ),
        (old.role != new.role, "the BGP role"),
        (
            new.role.is_some() && new.role_strict && !old.role_strict,
            "the BGP role has become strict",
        ),
    ];
    let changed = table.iter().find(|(changed, _)| *changed);
    changed.map(|(_, name)| *name)
}

fn add_path(offers: &Offers) -> Vec<(Family, u8)> {
    let modes = offers.add_path.iter();
    let mut modes: Vec<_> = modes.map(|(family, mode)| (*family, mode.code())).collect();
    modes.sort_unstable();
    modes
}

fn long_lived(offers: &Offers) -> FamilySet {
    offers
        .long_lived
        .iter()
        .map(|(family, _)| *family)
        .collect()
}
