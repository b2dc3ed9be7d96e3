//! The relay set: recipients that a boundary server must refuse from strangers, R1 to R25 of our
//! test plan, and the senders each is tried with. E is a domain it does not serve, L one it does,
//! I its own address. R26 (ORCPT) shows only on delivery; R27 and R28 are in `relay.rs`.

use mail::address::Domain;

/// Where a path would lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// Elsewhere: whoever accepts it relays.
    Elsewhere,
    /// To the server's own domain on the face of it; elsewhere if the server expands it. Nothing
    /// follows from acceptance when the server accepts any local part.
    Inward,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// `R5` and so on, or `IMCEA`.
    pub number: &'static str,
    /// What stands between `<` and `>`.
    pub path: String,
    /// Where to.
    pub leads: Leads,
    /// Whether it is offered behind a recipient that exists (R24).
    pub behind_existing: bool,
}

/// The three names of the set.
pub(super) struct Names<'a> {
    /// E
    pub external: &'a str,
    /// L
    pub local: &'a str,
    /// I, in brackets.
    pub literal: &'a str,
}

/// The local part that is tried.
const U: &str = "relay-probe";

/// The senders, `<>` as an empty text.
pub(super) fn senders(names: &Names<'_>) -> [String; 6] {
    let Names { external, local, literal } = names;
    let at = |domain: &str| format!("relay-sender@{domain}");
    let bare = "relay-sender".to_owned();
    [String::new(), at(external), at(local), at(literal), at("localhost"), bare]
}

/// The recipients. R1 to R4 are one recipient from different senders.
pub(super) fn forms(names: &Names<'_>) -> Vec<Form> {
    let mut forms = elsewhere(names);
    forms.extend(inward(names));
    forms
}

fn form(number: &'static str, leads: Leads) -> impl Fn(String) -> Form {
    move |path| Form { number, path, leads, behind_existing: false }
}

fn elsewhere(names: &Names<'_>) -> Vec<Form> {
    let (e, l, i) = (names.external, names.local, names.literal);
    let out = |number, path| form(number, Leads::Elsewhere)(path);
    let mut forms = vec![
        out("R1-R4", format!("{U}@{e}")),
        out("R7", format!("\"{U}@{e}\"")),
        out("R8", format!("\"{U}%{e}\"")),
        out("R12", format!("@{i}:{U}@{e}")),
        out("R13", format!("@{l}:{U}@{e}")),
        out("R14", format!("{e}!{U}")),
        out("R22", format!("@{l},@{i}:{U}@{e}")),
        Form { behind_existing: true, ..out("R24", format!("{U}@{e}")) },
    ];
    if let Some(homograph) = homograph(l) {
        forms.push(out("R23", format!("{U}@{homograph}")));
    }
    if l.contains('.') {
        forms.push(out("R23", format!("{U}@{}", l.replace('.', "\u{ff0e}"))));
    }
    forms
}

fn inward(names: &Names<'_>) -> Vec<Form> {
    let (e, l, i) = (names.external, names.local, names.literal);
    let tail = e.replace('.', "+2E").replace('-', "+2D");
    let paths = [
        ("R5", format!("{U}%{e}@{i}")),
        ("R6", format!("{U}%{e}@{l}")),
        ("R9", format!("{U}@{e}@{i}")),
        ("R10", format!("\"{U}@{e}\"@{i}")),
        ("R11", format!("{U}@{e}@{l}")),
        ("R15", format!("{e}!{U}@{i}")),
        ("R16", format!("{e}!{U}@{l}")),
        ("R17", format!("\"{U}@{e}\"@{l}")),
        ("R18", format!("{U}@{i}")),
        ("R19", format!("{U}@{l}.")),
        ("R20", format!("{U}@sub.{l}")),
        ("R21", format!("{e}!{U}%{e}@{l}")),
        ("R22", format!("{U}%{e}%{l}")),
        ("R25", format!("\"{U}\\@{e}\"@{l}")),
        ("R25", format!("{U}(@{e})@{l}")),
        ("R25", format!("<{U}@{e}>@{l}")),
        ("R25", format!("{U}\t@{e}@{l}")),
        ("IMCEA", format!("IMCEASMTP-{U}+40{e}@{l}")),
        ("IMCEA", format!("IMCEASMTP-relay+2Dprobe+40{tail}@{l}")),
    ];
    paths.into_iter().map(|(number, path)| form(number, Leads::Inward)(path)).collect()
}

/// The domain with one letter replaced by a Cyrillic one that looks the same, as A-labels.
fn homograph(domain: &str) -> Option<String> {
    let twins = [('a', 'а'), ('e', 'е'), ('o', 'о'), ('p', 'р'), ('c', 'с'), ('x', 'х')];
    let (latin, twin) = twins.into_iter().find(|(latin, _)| domain.contains(*latin))?;
    let looks_alike = domain.replacen(latin, &twin.to_string(), 1);
    Domain::from_unicode(&looks_alike).ok().map(|d| d.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> =
        Names { external: "e.invalid", local: "example.test", literal: "[192.0.2.1]" };

    #[test]
    fn the_set_names_every_recipient_once() {
        let forms = forms(&NAMES);
        for (n, form) in forms.iter().enumerate() {
            let twin = |f: &Form| f.path == form.path && f.behind_existing == form.behind_existing;
            assert!(!forms[..n].iter().any(twin), "{}", form.path);
        }
        let numbers = [
            "R1-R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "R16",
            "R17", "R18", "R19", "R20", "R21", "R22", "R23", "R24", "R25", "IMCEA",
        ];
        for number in numbers {
            assert!(forms.iter().any(|f| f.number == number), "{number}");
        }
        assert_eq!(senders(&NAMES).len(), 6);
    }

    #[test]
    fn a_homograph_is_another_domain() {
        let twin = homograph("example.test").unwrap();
        assert!(twin.starts_with("xn--") && twin.ends_with(".test"), "{twin}");
    }
}
