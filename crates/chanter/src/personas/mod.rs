//! The programs that this one replaces: started under their names, it takes their arguments.

mod bagpipe_bgp;
mod http;
mod looking_glass;
mod netns;
mod python;
mod rest_attach;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::EXIT_USAGE;
use crate::wiring;

/// A program that this one replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persona {
    /// The daemon of a node.
    BagpipeBgp,
    /// The fake route reflector; here a real one.
    FakeRr,
    /// Attaches and detaches endpoints.
    RestAttach,
    /// Shows the looking glass.
    LookingGlass,
}

impl Persona {
    const ALL: [(&'static str, Persona); 4] = [
        ("bagpipe-bgp", Persona::BagpipeBgp),
        ("bagpipe-fakerr", Persona::FakeRr),
        ("bagpipe-rest-attach", Persona::RestAttach),
        ("bagpipe-looking-glass", Persona::LookingGlass),
    ];

    /// The persona of that name.
    pub fn named(name: &str) -> Option<Persona> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, persona)| *persona)
    }

    /// The persona under whose name the program was started, if it was.
    pub fn of_program(argv0: Option<&OsStr>) -> Option<Persona> {
        Self::named(Path::new(argv0?).file_name()?.to_str()?)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, persona)| *persona == self)
            .map_or("", |(name, _)| name)
    }

    /// The names of all.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|(name, _)| *name).collect()
    }

    /// Behaves as that program does with these arguments.
    pub fn run(self, args: Vec<OsString>) -> ExitCode {
        let args = std::iter::once(OsString::from(self.name())).chain(args);
        match self {
            Persona::BagpipeBgp => bagpipe_bgp::run(bagpipe_bgp::BagpipeBgpArgs::parse_from(args)),
            Persona::FakeRr => {
                FakeRrArgs::parse_from(args);
                wiring::fake_rr()
            }
            Persona::RestAttach => rest_attach::run(args),
            Persona::LookingGlass => looking_glass::run(args),
        }
    }
}

/// A route reflector for any AS, on TCP port 179 of all addresses. It has no options; in the place of
/// the original, which copies octets between two daemons, this is a reflector for any number of peers.
#[derive(Debug, Parser)]
#[command(name = "bagpipe-fakerr")]
struct FakeRrArgs {}

/// `chanter as NAME ...`.
pub fn run_as(name: &str, args: Vec<OsString>) -> ExitCode {
    match Persona::named(name) {
        Some(persona) => persona.run(args),
        None => {
            let names = Persona::names().join(", ");
            eprintln!("chanter as: `{name}` is not a program known here: expected one of {names}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_name_decides() {
        let of = |path: &str| Persona::of_program(Some(OsStr::new(path)));
        assert_eq!(of("/usr/local/bin/bagpipe-bgp"), Some(Persona::BagpipeBgp));
        assert_eq!(of("bagpipe-fakerr"), Some(Persona::FakeRr));
        for other in ["chanter", "/usr/bin/chanter", "bagpipe", ""] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn the_fake_reflector_takes_no_options() {
        assert!(FakeRrArgs::try_parse_from(["bagpipe-fakerr"]).is_ok());
        assert!(FakeRrArgs::try_parse_from(["bagpipe-fakerr", "x"]).is_err());
    }
}
