use clap::{CommandFactory, Parser};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples() {
    for command in Cli::command().get_subcommands() {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(
            help.contains("Example") || help.contains("whole"),
            "{}",
            command.get_name()
        );
        let call = format!("chanter {}", command.get_name());
        assert!(help.contains(&call), "{call} is not in its own examples");
    }
}

/// The words of a command line, quotes taken off.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.trim().chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn examples_of_the_help_are_accepted() {
    let root = Cli::command();
    let helps = root
        .get_subcommands()
        .filter_map(|command| command.get_after_help())
        .chain(root.get_after_help());
    let mut seen = 0;
    for help in helps {
        let text = help.to_string().replace("\\\n", " ");
        for line in text.lines().filter(|line| line.starts_with("  chanter ")) {
            // Examples end where their explanation starts, behind a gap, or where a shell takes over.
            let call = line.trim_start().split("   ").next().unwrap_or_default();
            let call = call.split(['>', '|', '&']).next().unwrap_or_default();
            let words = line.trim_start();
            let words = if call.ends_with("--import-rt") {
                words
            } else {
                call
            };
            if let Err(error) = Cli::try_parse_from(split(words)) {
                panic!("{words}\n{error}");
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} examples found");
}

#[test]
fn a_wrong_value_is_named_with_the_accepted_form() {
    let error = parse("chanter attach blue --port tap0 --mac zz")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`zz` is not a MAC address: expected six octets"),
        "{error}"
    );
    assert_eq!(
        parse("chanter lab --nodes 1").unwrap_err().exit_code(),
        i32::from(EXIT_USAGE)
    );
}

#[test]
fn lab_takes_options_or_a_command() {
    let Command::Lab(lab) = parse("chanter lab --nodes 5 --keep").unwrap().command else {
        panic!("not a lab");
    };
    assert_eq!(
        (lab.up.nodes, lab.up.keep, lab.command.is_none()),
        (5, true, true)
    );
    let Command::Lab(lab) = parse("chanter lab exec node1 chanter show routes")
        .unwrap()
        .command
    else {
        panic!("not a lab");
    };
    let Some(LabCommand::Exec(exec)) = lab.command else {
        panic!("not exec")
    };
    assert_eq!(exec.place, "node1");
    assert_eq!(exec.command, ["chanter", "show", "routes"]);
}

#[test]
fn manual_pages_and_completions_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let written = man_pages(dir.path()).unwrap();
    assert!(written > 15, "{written}");
    let page = std::fs::read_to_string(dir.path().join("chanter-show-routes.8")).unwrap();
    assert!(page.contains("advertised"), "{page}");
    assert!(completions(clap_complete::Shell::Bash).contains("check-config"));
}
