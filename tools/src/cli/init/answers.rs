//! What `init` must know: from the arguments, or from a person.

use super::InitArguments;
use super::directory::host_and_port as host_and_port_of_directory;
use mail::address::Domain;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

/// Times a question is asked before we give up.
const ATTEMPTS_MAX: u32 = 5;

/// Everything that goes into the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) hostname: String,
    pub(super) domain: String,
    pub(super) next_hop: String,
    /// Where a directory is said to be.
    pub(super) directory: Option<String>,
    pub(super) listen: String,
}

/// One question.
struct Question {
    flag: &'static str,
    words: &'static str,
    example: &'static str,
    check: fn(&str) -> Result<(), String>,
}

const HOSTNAME: Question = Question {
    flag: "--hostname",
    words: "The name of this relay, as in its MX record",
    example: "mx.example.test",
    check: a_name,
};
const DOMAIN: Question = Question {
    flag: "--domain",
    words: "The domain it takes mail for",
    example: "example.test",
    check: a_name,
};
const NEXT_HOP: Question = Question {
    flag: "--next-hop",
    words: "The mail server behind it, with its port",
    example: "10.0.0.5:25",
    check: host_and_port,
};
const DIRECTORY: Question = Question {
    flag: "--directory",
    words: "Is there a directory? host[:port], empty for none",
    example: "dc1.example.test",
    check: |text| match host_and_port_of_directory(text) {
        None if !text.is_empty() => Err("it is no host or host:port".into()),
        _ => Ok(()),
    },
};
const RECIPIENTS: Question = Question {
    flag: "--recipients",
    words: "The file of addresses that exist (one a line, or CSV)",
    example: "users.txt",
    check: |text| if text.is_empty() { Err("it is empty".into()) } else { Ok(()) },
};
/// The same, where something else knows as well.
const RECIPIENTS_OR_NONE: Question = Question {
    words: "The file of addresses that exist (one a line, or CSV), empty for none",
    check: |_| Ok(()),
    ..RECIPIENTS
};

fn a_name(text: &str) -> Result<(), String> {
    Domain::from_unicode(text).map(|_| ()).map_err(|error| error.to_string())
}

fn host_and_port(text: &str) -> Result<(), String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err("the port is missing".into());
    };
    if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic() && b != b'"') {
        return Err("the host is missing or malformed".into());
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ => Err("the port is no number from 1 to 65535".into()),
    }
}

/// What was given, for each question in order.
fn from_arguments(arguments: &InitArguments) -> [(&'static Question, Option<String>); 4] {
    [
        (&HOSTNAME, arguments.hostname.clone()),
        (&DOMAIN, arguments.domain.clone()),
        (&NEXT_HOP, arguments.next_hop.clone()),
        (&DIRECTORY, arguments.directory.clone()),
    ]
}

impl Answers {
    fn new(
        arguments: &InitArguments,
        [hostname, domain, next_hop, directory]: [String; 4],
    ) -> Self {
        let directory = Some(directory).filter(|directory| !directory.is_empty());
        Self { hostname, domain, next_hop, directory, listen: arguments.listen.clone() }
    }

    /// The next hop's host, without brackets.
    pub(super) fn next_hop_host(&self) -> &str {
        let host = self.next_hop.rsplit_once(':').map_or(&*self.next_hop, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The next hop's port.
    pub(super) fn next_hop_port(&self) -> u16 {
        let port = self.next_hop.rsplit_once(':').map(|(_, port)| port.parse());
        // It was checked.
        port.and_then(Result::ok).unwrap_or(25)
    }
}

/// Takes the arguments as they are. A directory may do instead of a file.
/// # Errors
/// What is missing or wrong, with examples.
pub(super) fn given(arguments: &InitArguments) -> Result<Answers, String> {
    let given = from_arguments(arguments);
    let has_source = arguments.recipients.is_some() || arguments.directory.is_some();
    let missing: Vec<String> = given
        .iter()
        .filter(|(question, answer)| answer.is_none() && question.flag != DIRECTORY.flag)
        .map(|(question, _)| *question)
        .chain((!has_source).then_some(&RECIPIENTS))
        .map(|question| format!("{} {}", question.flag, question.example))
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "There is no terminal to ask on, so these are missing:\n  {}",
            missing.join("\n  ")
        ));
    }
    let given = given.map(|(question, answer)| (question, answer.unwrap_or_default()));
    for (question, answer) in &given {
        checked(question, answer)?;
    }
    Ok(Answers::new(arguments, given.map(|(_, answer)| answer)))
}

/// Asks for what was not given.
/// # Errors
/// When what was given is wrong, or no sensible answer comes.
pub(super) fn ask(
    arguments: &InitArguments,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<Answers, String> {
    let mut answers: [String; 4] = Default::default();
    for (place, (question, answer)) in answers.iter_mut().zip(from_arguments(arguments)) {
        *place = match answer {
            Some(answer) => checked(question, &answer).map(|()| answer)?,
            None if question.flag == DIRECTORY.flag && arguments.offline => String::new(),
            None => ask_one(question, input, output)?,
        };
    }
    Ok(Answers::new(arguments, answers))
}

/// Asks for the file, which may be none where something else knows who exists.
/// # Errors
/// When no sensible answer comes.
pub(super) fn ask_for_file(
    may_be_none: bool,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<Option<PathBuf>, String> {
    let question = if may_be_none { &RECIPIENTS_OR_NONE } else { &RECIPIENTS };
    let answer = ask_one(question, input, output)?;
    Ok(Some(answer).filter(|answer| !answer.is_empty()).map(PathBuf::from))
}

fn checked(question: &Question, answer: &str) -> Result<(), String> {
    let Question { flag, example, .. } = question;
    (question.check)(answer)
        .map_err(|why| format!("{flag} {answer}: {why}; for example: {flag} {example}"))
}

fn ask_one(
    question: &Question,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<String, String> {
    let silent = || format!("No answer; give {} {} instead.", question.flag, question.example);
    for _ in 0..ATTEMPTS_MAX {
        let prompt = format!("{}, for example {}: ", question.words, question.example);
        let asked = output.write_all(prompt.as_bytes()).and_then(|()| output.flush());
        asked.map_err(|error| error.to_string())?;
        let mut answer = String::new();
        if input.read_line(&mut answer).map_err(|error| error.to_string())? == 0 {
            return Err(silent());
        }
        let answer = answer.trim();
        match (question.check)(answer) {
            Ok(()) => return Ok(answer.to_owned()),
            Err(why) => {
                let _ = writeln!(output, "  {why}");
            }
        }
    }
    Err(silent())
}

/// Whether the file is to be written; return alone is a yes.
pub(super) fn is_confirmed(file: &Path, input: &mut impl BufRead, output: &mut impl Write) -> bool {
    consents(&format!("Write {}?", file.display()), true, input, output)
}

/// A yes or a no; return alone is the answer that is safe, and so is nonsense. An end of input
/// is a no.
pub(super) fn consents(
    question: &str,
    safe: bool,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> bool {
    let choice = if safe { "[Y/n]" } else { "[y/N]" };
    let _ = write!(output, "{question} {choice} ").and_then(|()| output.flush());
    let mut answer = String::new();
    let read = input.read_line(&mut answer).unwrap_or(0);
    let answer = answer.trim().to_ascii_lowercase();
    read > 0 && if safe { !answer.starts_with('n') } else { answer.starts_with('y') }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: InitArguments,
    }

    fn arguments(line: &str) -> InitArguments {
        Line::parse_from(std::iter::once("init").chain(line.split_whitespace())).arguments
    }

    #[test]
    fn only_what_was_not_given_is_asked_for_and_nonsense_is_asked_again() {
        let arguments = arguments("--domain example.test --recipients users.txt");
        let mut heard = Vec::new();
        let mut said = &b"a b\nmx.example.test\n10.0.0.5\n10.0.0.5:25\nldap://dc1\ndc1:389\n"[..];
        let answers = ask(&arguments, &mut said, &mut heard).unwrap();
        assert_eq!(answers.hostname, "mx.example.test");
        assert_eq!(answers.next_hop, "10.0.0.5:25");
        assert_eq!((answers.next_hop_host(), answers.next_hop_port()), ("10.0.0.5", 25));
        assert_eq!(answers.directory.as_deref(), Some("dc1:389"));
        let heard = String::from_utf8(heard).unwrap();
        assert_eq!(heard.matches("MX record").count(), 2, "{heard}");
        assert!(!heard.contains("takes mail for"), "{heard}");
    }

    #[test]
    fn an_end_of_input_is_no_answer_and_no_consent() {
        let mut heard = Vec::new();
        assert!(ask(&arguments(""), &mut &b""[..], &mut heard).is_err());
        assert!(!is_confirmed(Path::new("x"), &mut &b""[..], &mut heard));
        assert!(is_confirmed(Path::new("x"), &mut &b"\n"[..], &mut heard));
        assert!(!is_confirmed(Path::new("x"), &mut &b"No\n"[..], &mut heard));
    }

    #[test]
    fn what_is_not_safe_wants_a_word_and_return_alone_is_none() {
        let mut heard = Vec::new();
        let mut asked = |answer: &[u8]| consents("Plain?", false, &mut &*answer, &mut heard);
        assert!(!asked(b"\n") && !asked(b"") && !asked(b"n\n"));
        assert!(asked(b"y\n"));
    }

    #[test]
    fn a_file_may_be_none_only_where_something_else_knows() {
        let mut heard = Vec::new();
        assert_eq!(ask_for_file(true, &mut &b"\n"[..], &mut heard), Ok(None));
        let named = ask_for_file(false, &mut &b"\nusers.txt\n"[..], &mut heard);
        assert_eq!(named, Ok(Some("users.txt".into())));
    }
}
