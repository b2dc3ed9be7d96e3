//! `--help` of every command. They are found by clap, so that none can be forgotten.

use super::Golden;
use clap::{Command, CommandFactory};
use tools::cli::Arguments;

/// Calls `visit` with each command and its words, `postern` first.
pub fn walk(visit: &mut dyn FnMut(&[String], &Command)) {
    fn step(command: &Command, words: &[String], visit: &mut dyn FnMut(&[String], &Command)) {
        let words = [words, &[command.get_name().to_owned()]].concat();
        visit(&words, command);
        // `help` is clap's own, and says what `--help` says.
        let commands = command.get_subcommands().filter(|command| command.get_name() != "help");
        commands.for_each(|command| step(command, &words, visit));
    }
    let mut root = Arguments::command();
    root.build();
    step(&root, &[], visit);
}

#[test]
fn every_command_has_the_help_that_is_written_down() {
    let mut golden = Golden::new("help");
    walk(&mut |words, command| {
        let help = command.clone().term_width(100).render_long_help();
        golden.compare(&words.join("-"), &help.to_string());
    });
    assert!(golden.compared.len() > 20, "{:?}", golden.compared);
    golden.finish();
}

#[test]
fn every_command_and_every_argument_says_what_it_is_for() {
    walk(&mut |words, command| {
        assert!(command.get_about().is_some(), "{words:?}");
        let silent = command.get_arguments().find(|argument| argument.get_help().is_none());
        assert!(silent.is_none(), "{words:?}: {silent:?}");
    });
}
