//! `postern talk`: plays a dialogue file against a live server. The format is in [`dialogue`], what
//! counts as the expected reply in [`compare`], the playing in [`play`].
//! Leaves to others: the next hop's side of a dialogue, events and preconditions.

pub mod compare;
pub mod outcome;
pub mod play;

use dialogue::{Line, Script};
use outcome::Outcome;
use play::{Options, play};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Plays a dialogue file against a live server and compares its replies.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Replies are compared by code and enhanced status; multi-line replies by code. Lines that begin \
with a blank (the next hop's side) and `event` lines are not played; what depends on something a \
client cannot cause (`drain`, `pressure`) is skipped.

Example:
  postern talk dialogues/rcpt/unknown.smtp --connect 127.0.0.1:2525

Exit status: 0 every reply was as expected, 1 some were not, 2 the file or the server could not \
be used.")]
pub struct Args {
    /// The dialogue file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The server to play it against.
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: String,
    /// Compare the whole text of every reply line.
    #[arg(long)]
    pub exact: bool,
    /// Really wait where the dialogue says `+301s`; else such waits, and what depends on them,
    /// are skipped.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait for one reply.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

/// Why a dialogue could not be played at all.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// As given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no dialogue.
    #[error("{path}: {source}")]
    Script {
        /// As given.
        path: PathBuf,
        /// Where and what.
        source: dialogue::ScriptError,
    },
    /// The server cannot be reached.
    #[error("{server}: cannot connect: {source}; is it running, and is the port right?")]
    Connect {
        /// As given.
        server: String,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Runs the command; the exit status is 0, 1 or 2 as its help says.
pub async fn run(args: Args) -> ExitCode {
    let pretty = std::io::stdout().is_terminal();
    match talk(&args).await {
        Ok(outcome) => {
            let mut out = std::io::stdout().lock();
            // A reader that went away (`| head`) is no failure of the dialogue.
            let _ = outcome.print(&mut out, pretty).and_then(|()| out.flush());
            if outcome.is_as_expected() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            eprintln!("postern talk: {error}");
            ExitCode::from(2)
        }
    }
}

/// Reads the file, plays it and says what happened.
/// # Errors
/// When the file is no dialogue or the server cannot be reached.
pub async fn talk(args: &Args) -> Result<Outcome, TalkError> {
    let path = args.file.clone();
    let text = std::fs::read_to_string(&path)
        .map_err(|source| TalkError::File { path: path.clone(), source })?;
    let script = Script::parse(&text).map_err(|source| TalkError::Script { path, source })?;
    let reply_wait = Duration::from_secs(args.timeout);
    let server = args.connect.clone();
    let connecting = async {
        let stream = tokio::net::TcpStream::connect(&server).await?;
        stream.peer_addr().map(|address| (stream, address))
    };
    let connected = match tokio::time::timeout(reply_wait, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    };
    let (stream, address) = connected.map_err(|source| TalkError::Connect { server, source })?;
    let options = Options { exact: args.exact, wait: args.wait, server: Some(address), reply_wait };
    Ok(play(&script, Box::new(stream), &options).await)
}

/// The preconditions of a dialogue, as a person would check them.
fn preconditions(script: &Script) -> Vec<String> {
    let words = script.lines.iter().filter_map(|l| match &l.line {
        Line::Given(words) => Some(words.join(" ")),
        _ => None,
    });
    words.collect()
}

#[cfg(test)]
mod tests;
