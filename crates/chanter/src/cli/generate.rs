//! Completion scripts and manual pages, made from the definition of the command line.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

pub(crate) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  chanter completions bash >/etc/bash_completion.d/chanter
  chanter completions zsh >/usr/share/zsh/site-functions/_chanter
  chanter completions fish >/usr/share/fish/vendor_completions.d/chanter.fish";

pub(crate) const MAN_EXAMPLES: &str = "\
Examples:
  chanter man /usr/share/man/man8
  chanter man . && man ./chanter-lab.8";

/// The completion script of `shell`.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chanter", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes a manual page for every command into `dir`, section 8 (administration); says how many.
pub fn man_pages(dir: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(dir)?;
    let mut command = Cli::command();
    command.build();
    pages(&command, "chanter", dir)
}

fn pages(command: &clap::Command, name: &str, dir: &Path) -> io::Result<usize> {
    let page = clap_mangen::Man::new(command.clone().name(name.to_owned())).section("8");
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(dir.join(format!("{name}.8")), text)?;
    let mut written = 1;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        written += pages(sub, &format!("{name}-{}", sub.get_name()), dir)?;
    }
    Ok(written)
}
