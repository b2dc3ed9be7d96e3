//! `postern init`: asks for what a relay cannot guess, looks at the next hop and for a directory,
//! and writes a configuration with comments. What it writes is checked as `postern check` does.

mod answers;
mod canary;
mod compose;
mod directory;
mod look;
mod root;
mod sources;

use super::configuration::{count, print, tell_mistakes, tell_warnings};
use super::exit::EXIT_MISTAKES;
use clap::Args;
use gateway::config::built::Config;
use gateway::run::build;
use settings::process::{ListenAddress, Listener};
use sources::{Seen, Sources};
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  postern init --hostname mx.example.test --domain example.test \\\n    \
    --next-hop 10.0.0.5:25 --recipients users.txt --output postern.toml\n\n\
    What is not given is asked for on a terminal. The next hop is offered recipients that cannot \
    exist, to see whether it refuses them; no mail is sent. A directory (LDAP) is looked for at \
    --directory, else at the next hop's own host, without a password. What can say who exists is \
    listed; on a terminal you are asked first. Where nobody is asked, nothing is asked in the \
    clear, and a directory that needs a password is described but not listed beside a file.\n\
    Exit codes: 0 written and right, 2 nothing written, or what was written is not right yet."
)]
pub struct InitArguments {
    /// What the relay calls itself: the name that its MX record has.
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The domain that it takes mail for.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// The mail server behind it.
    #[arg(long, value_name = "HOST:PORT")]
    next_hop: Option<String>,
    /// A directory (LDAP) that may know who exists; else the next hop's host is tried.
    #[arg(long, value_name = "HOST[:PORT]")]
    directory: Option<String>,
    /// Ask the directory also without TLS.
    #[arg(long)]
    directory_plain: bool,
    /// The file of addresses that exist: one a line, or CSV.
    #[arg(long, value_name = "FILE")]
    recipients: Option<PathBuf>,
    /// Where clients connect; systemd:smtp is the socket that the package brings.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:2525")]
    listen: String,
    /// The configuration to write.
    #[arg(long, short, value_name = "FILE", default_value = "postern.toml")]
    output: PathBuf,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
    /// Do not talk to the next hop, nor to a directory.
    #[arg(long)]
    offline: bool,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &InitArguments) -> ExitCode {
    match try_run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(EXIT_MISTAKES)
        }
    }
}

fn try_run(arguments: &InitArguments) -> Result<(), String> {
    let output = &arguments.output;
    if output.exists() && !arguments.force {
        let shown = output.display();
        return Err(format!("{shown} is there already.\nName another --output, or say --force."));
    }
    let interactive = io::stdin().is_terminal() && !arguments.yes;
    let answers = if interactive {
        answers::ask(arguments, &mut io::stdin().lock(), &mut io::stderr())
    } else {
        answers::given(arguments)
    }?;
    let seen = if arguments.offline {
        eprintln!("The next hop was not looked at; `postern probe` does.");
        Seen::default()
    } else {
        look::around(&answers)
    };
    let sources = sources(arguments, &seen, interactive)?;
    eprint!("{}", sources.in_words(&answers, &seen));
    if interactive && !answers::is_confirmed(output, &mut io::stdin().lock(), &mut io::stderr()) {
        return Err("Nothing was written.".into());
    }
    write(output, arguments.force, &compose::configuration(&answers, &sources, output))?;
    check(output, sources.has_gaps())
}

/// Who is asked for recipients, after whoever sits at the terminal has agreed.
fn sources(arguments: &InitArguments, seen: &Seen, interactive: bool) -> Result<Sources, String> {
    let mut consent = |question: &str, safe: bool| {
        let (mut input, mut output) = (io::stdin().lock(), io::stderr());
        if interactive { answers::consents(question, safe, &mut input, &mut output) } else { safe }
    };
    let chosen = Sources::choose(seen, arguments.directory_plain, &mut consent);
    let file = match &arguments.recipients {
        Some(file) => Some(file.clone()),
        None if interactive => {
            let may_be_none = chosen.can_do_without_file();
            answers::ask_for_file(may_be_none, &mut io::stdin().lock(), &mut io::stderr())?
        }
        None => None,
    };
    chosen.complete(file, seen, &mut consent)
}

fn write(output: &Path, force: bool, text: &str) -> Result<(), String> {
    let mut options = OpenOptions::new();
    // Somebody else may have made the file meanwhile.
    options.write(true).create(true).truncate(true).create_new(!force);
    let written = options.open(output).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        format!(
            "cannot write {}: {error}\nName a place you may write to: --output",
            output.display()
        )
    })
}

/// Says how to go on. `has_gaps`: what is listed cannot answer yet.
fn check(output: &Path, has_gaps: bool) -> Result<(), String> {
    let shown = output.display();
    match build::load(output) {
        Ok(config) => {
            tell_warnings(&config.warnings);
            if has_gaps {
                print(&format!(
                    "{shown} is written. The directory cannot answer yet: fill in what is marked \
                     there, then:\n  postern check --config {shown}\n"
                ));
                return Ok(());
            }
            let start = start_command(&config, output);
            print(&format!("{shown} is written and right. Start it:\n  {start}\n"));
            Ok(())
        }
        Err(mistakes) => {
            tell_mistakes(&mistakes);
            let number = count(mistakes.mistakes.len() as u64, "mistake");
            Err(format!(
                "{shown} is written, with {number} to mend. Then:\n  \
                postern check --config {shown}"
            ))
        }
    }
}

/// How a Postern with this configuration is started.
fn start_command(config: &Config, output: &Path) -> String {
    let is_inherited = |listener: &Listener| !matches!(listener.address, ListenAddress::Socket(_));
    match config.listeners.iter().any(is_inherited) {
        true => "systemctl enable --now postern.socket postern.service".to_owned(),
        false => format!("postern run --config {}", output.display()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_systemd_are_started_by_systemd() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("users.txt"), "jones@example.test\n").unwrap();
        for (address, start) in [("127.0.0.1:2525", "postern run"), ("systemd:smtp", "systemctl")] {
            let path = folder.path().join("postern.toml");
            let text = format!(
                "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"{address}\"\n\
                 [[domain]]\nname = \"example.test\"\nnext_hop = \"127.0.0.1:2600\"\n\
                 recipients = [{{ file = \"users.txt\" }}]\n"
            );
            std::fs::write(&path, text).unwrap();
            let config = build::load(&path).unwrap_or_else(|_| panic!("{address} is right"));
            assert!(start_command(&config, &path).starts_with(start), "{address}");
        }
    }
}
