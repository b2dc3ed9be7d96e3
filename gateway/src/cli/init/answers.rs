//! What `init` must know: from the arguments, or from a person.

use super::InitArguments;
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
    pub(super) recipients: PathBuf,
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
const RECIPIENTS: Question = Question {
    flag: "--recipients",
    words: "The file of addresses that exist (one a line, or CSV)",
    example: "users.txt",
    check: |text| if text.is_empty() { Err("it is empty".into()) } else { Ok(()) },
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
    let recipients = arguments.recipients.as_ref().map(|path| path.display().to_string());
    [
        (&HOSTNAME, arguments.hostname.clone()),
        (&DOMAIN, arguments.domain.clone()),
        (&NEXT_HOP, arguments.next_hop.clone()),
        (&RECIPIENTS, recipients),
    ]
}

impl Answers {
    fn new(
        arguments: &InitArguments,
        [hostname, domain, next_hop, recipients]: [String; 4],
    ) -> Self {
        let recipients = arguments.recipients.clone().unwrap_or_else(|| recipients.into());
        Self { hostname, domain, next_hop, recipients, listen: arguments.listen.clone() }
    }
}

/// Takes the arguments as they are.
/// # Errors
/// What is missing or wrong, with examples.
pub(super) fn given(arguments: &InitArguments) -> Result<Answers, String> {
    let given = from_arguments(arguments);
    let missing: Vec<String> = given
        .iter()
        .filter(|(_, answer)| answer.is_none())
        .map(|(question, _)| format!("{} {}", question.flag, question.example))
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
            None => ask_one(question, input, output)?,
        };
    }
    Ok(Answers::new(arguments, answers))
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
    let _ = write!(output, "Write {}? [Y/n] ", file.display()).and_then(|()| output.flush());
    let mut answer = String::new();
    let read = input.read_line(&mut answer).unwrap_or(0);
    read > 0 && !answer.trim().to_ascii_lowercase().starts_with('n')
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
        let mut said = &b"a b\nmx.example.test\n10.0.0.5\n10.0.0.5:25\n"[..];
        let answers = ask(&arguments, &mut said, &mut heard).unwrap();
        assert_eq!(answers.hostname, "mx.example.test");
        assert_eq!(answers.next_hop, "10.0.0.5:25");
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
}
