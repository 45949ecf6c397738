//! What the program was built from.

use serde_json::json;

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit.
pub const COMMIT: &str = env!("CHANTER_COMMIT");
/// The platform.
pub const TARGET: &str = env!("CHANTER_TARGET");
/// `release` or `debug`.
pub const PROFILE: &str = env!("CHANTER_PROFILE");

/// All of it in a line.
pub const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("CHANTER_COMMIT"),
    ", ",
    env!("CHANTER_TARGET"),
    ", ",
    env!("CHANTER_PROFILE"),
    ")"
);

/// All of it as JSON.
pub fn json() -> serde_json::Value {
    json!({ "version": VERSION, "commit": COMMIT, "target": TARGET, "profile": PROFILE })
}
