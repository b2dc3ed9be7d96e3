//! The configuration that `init` writes: what was answered and found, and as comments what most
//! operators add within a week.

use super::answers::Answers;
use super::directory::Found;
use super::sources::{Asked, Sources};
use directory::ldap::{Preset, Protection};
use std::fmt::Write as _;
use std::path::Path;

/// What the directory is called in the configuration.
const DIRECTORY: &str = "directory";
/// What the call-out is called in it.
const CALLOUT: &str = "next-hop";

/// The text of a configuration at `output`.
pub(super) fn configuration(answers: &Answers, sources: &Sources, output: &Path) -> String {
    let Answers { hostname, domain, next_hop, listen, .. } = answers;
    // Who takes a socket from systemd has its unit, whose StateDirectory= is there.
    let state = if listen.starts_with("systemd:") { "" } else { "# " };
    let [hostname, domain, next_hop, listen] =
        [hostname, domain, next_hop, listen].map(|s| quoted(s));
    let recipients = recipients(sources, output);
    let tables = tables(answers, sources);
    format!(
        r##"# Postern: refuses mail that the server behind it would accept and later bounce.
# Every key: docs/configuration.md. After a change: postern check, then SIGHUP.

# What the relay calls itself in its greeting and in Received fields. It should resolve.
hostname = {hostname}

# What outlives a restart: the last good list of recipients, what was asked and learned.
{state}state_dir = "/var/lib/postern"
# Who to become once port 25 is open.
# user = "postern"

[[listener]]
# 0.0.0.0:25 and [::]:25 are for everybody; 127.0.0.1:2525 is for trying it out.
address = {listen}
# tls = "starttls"                        # needs [tls]

# [tls]
# certificate = "/etc/postern/mx.pem"
# key = "/etc/postern/mx.key"

[[domain]]
name = {domain}
# Who takes the mail. No message is accepted that this server has not accepted first.
next_hop = {next_hop}
{recipients}# An address that every source must know; one without it is broken and is not believed.
# canary = "somebody@{plain_domain}"
# What stands behind the + is not looked up: jones+lists is jones.
# sub_address_separator = "+"
# bitbucket = [{{ address = "noreply@{plain_domain}", reason = "nobody reads it" }}]
{tables}
# Your own machines: no limits of rate.
# [[network]]
# name = "inside"
# addresses = ["10.0.0.0/8"]
# limits = "lifted"

# [log]
# file = "/var/log/postern/postern.log"   # else standard output

# Figures for Prometheus, and /healthz.
# [metrics]
# address = "127.0.0.1:9925"
"##,
        plain_domain = answers.domain
    )
}

/// `recipients`, one line a source as soon as there are several.
fn recipients(sources: &Sources, output: &Path) -> String {
    let mut entries = Vec::new();
    if let Some(file) = &sources.file {
        let file = quoted(&relative_to_output(file, output));
        let what = "one address or * pattern a line, or CSV with a header";
        entries.push((format!("{{ file = {file} }}"), what));
    }
    if sources.asks_directory {
        entries.push((format!("{{ ldap = \"{DIRECTORY}\" }}"), "described below"));
    }
    match sources.callout {
        Some(Asked::Rcpt) => {
            entries.push(("{ callout = true }".to_owned(), "the next hop, which is honest"));
        }
        Some(Asked::Data) => {
            entries.push((format!("{{ callout = \"{CALLOUT}\" }}"), "described below"));
        }
        None => {}
    }
    if sources.learns {
        let what = "only watches; with a state_dir, `postern recipients report` tells whom \
                    it would refuse";
        entries.push(("{ learned = true }".to_owned(), what));
    }
    if let [(entry, what)] = &entries[..] {
        return format!("# Who exists: {what}. Changes are noticed.\nrecipients = [{entry}]\n");
    }
    let mut text = "# Who exists: an address that any of these has. Changes are noticed.\n\
                    recipients = [\n"
        .to_owned();
    for (entry, what) in entries {
        text.push_str(&format!("    {entry},  # {what}\n"));
    }
    text + "]\n"
}

/// What the sources are described by.
fn tables(answers: &Answers, sources: &Sources) -> String {
    let directory = sources.directory.as_ref();
    let mut text = directory.map_or_else(String::new, |found| ldap(found, sources.asks_directory));
    if sources.callout == Some(Asked::Data) {
        let hosts = quoted(&answers.next_hop);
        text.push_str(&format!(
            "\n# The next hop takes everybody at RCPT and says no behind DATA: it is asked as far \
             as that.\n[[callout]]\nname = \"{CALLOUT}\"\nhosts = [{hosts}]\nuntil = \"data\"\n"
        ));
    }
    text
}

fn ldap(found: &Found, is_asked: bool) -> String {
    let preset = match found.preset {
        Preset::ActiveDirectory => "active-directory",
        Preset::Exchange55 => "exchange-5.5",
        Preset::OpenLdap | Preset::Custom => "openldap",
    };
    let tls = match found.protection {
        Protection::Ldaps => "ldaps",
        Protection::StartTls => "starttls",
        Protection::Plain => "plain",
    };
    let (server, base) = (quoted(&found.server()), quoted(&found.base));
    let software = &found.software;
    let mut text = format!(
        "\n# {software}, as it showed itself to `postern init`.\n[[ldap]]\n\
         name = \"{DIRECTORY}\"\npreset = \"{preset}\"\nservers = [{server}]\n\
         tls = \"{tls}\"\nbase = {base}\n"
    );
    if found.untrusted.is_some() {
        let starttls = if tls == "starttls" { " -starttls ldap" } else { "" };
        let _ = write!(
            text,
            "# To fill in, since its certificate is not believed here: who signed it, or what this\n\
             # prints, if it is the server's (it prints the same of the file on the server):\n\
             #   openssl s_client -connect {}{starttls} </dev/null |\n\
             #     openssl x509 -noout -fingerprint -sha256\n\
             # tls_ca = \"directory-ca.pem\"\n\
             # tls_fingerprint = \"\"\n",
            found.server()
        );
    }
    if found.needs_name() {
        let who = match found.preset {
            // What is hidden from the address book is shown to this name only.
            Preset::Exchange55 => "cn=postern,cn=DOMAIN,cn=admin".to_owned(),
            _ => format!("cn=postern,{}", found.base),
        };
        let who = quoted(&who);
        text.push_str(&format!(
            "# To fill in, since it does not show everybody to a stranger: who asks.\n\
             # bind_dn = {who}\n# password_file = \"directory-password\"\n"
        ));
    }
    if !is_asked {
        text.push_str(&format!(
            "# Then list it above: recipients = [{{ ldap = \"{DIRECTORY}\" }}, …]\n"
        ));
    }
    text
}

/// A path as the configuration needs it, which reads it relative to its own directory.
fn relative_to_output(recipients: &Path, output: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (file, output) = (absolute(recipients), absolute(output));
    let within = output.parent().and_then(|directory| file.strip_prefix(directory).ok());
    within.unwrap_or(&file).display().to_string()
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::directory::Shows;
    use super::*;
    use gateway::run::build;

    fn answers() -> Answers {
        Answers {
            hostname: "mx.example.test".into(),
            domain: "example.test".into(),
            next_hop: "127.0.0.1:2600".into(),
            directory: None,
            listen: "127.0.0.1:2525".into(),
        }
    }

    fn found() -> Found {
        Found {
            host: "dc1.example.test".into(),
            port: 3269,
            protection: Protection::Ldaps,
            software: "Active Directory".into(),
            preset: Preset::ActiveDirectory,
            base: "DC=example,DC=test".into(),
            untrusted: Some("unknown issuer".into()),
            shows: Shows::Refuses(Some(1)),
        }
    }

    #[test]
    fn what_is_written_is_right_with_its_comments_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let recipients = folder.path().join("users \"x\".txt");
        std::fs::write(&recipients, "jones@example.test\nsomebody@example.test\n").unwrap();
        let answers = answers();
        let sources = Sources { file: Some(recipients), ..Sources::default() };
        let output = folder.path().join("postern.toml");
        let text = configuration(&answers, &sources, &output);
        assert!(!text.contains(&folder.path().display().to_string()), "{text}");
        std::fs::write(&output, &text).unwrap();
        build::load(&output).unwrap();
        // Every commented key is one that exists, in the place where it stands.
        let uncommented: String = text
            .lines()
            .filter(|line| {
                !["user", "state_dir", "file", "tls", "certificate", "key", "[tls]"]
                    .iter()
                    .any(|key| line.starts_with(&format!("# {key}")))
            })
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.contains(" = ") || key.starts_with('[') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        std::fs::write(&output, &uncommented).unwrap();
        let config = build::load(&output).unwrap();
        assert!(config.metrics.is_some() && config.domains[0].canary.is_some());
    }

    #[test]
    fn every_source_is_written_so_that_it_loads_and_what_is_to_be_filled_in_too() {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users.txt");
        std::fs::write(&users, "jones@example.test\n").unwrap();
        std::fs::write(folder.path().join("directory-password"), "secret").unwrap();
        let output = folder.path().join("postern.toml");
        let late = Sources {
            file: Some(users),
            directory: Some(found()),
            asks_directory: false,
            callout: Some(Asked::Data),
            learns: true,
        };
        let honest = Sources { callout: Some(Asked::Rcpt), asks_directory: true, ..late.clone() };
        for (sources, kinds) in [
            (late.clone(), vec!["file", "callout", "learned"]),
            (honest.clone(), vec!["file", "ldap", "callout", "learned"]),
            (Sources { file: None, learns: false, callout: None, ..honest }, vec!["ldap"]),
        ] {
            let text = configuration(&answers(), &sources, &output);
            std::fs::write(&output, &text).unwrap();
            let config = build::load(&output).unwrap();
            let names = config.domains[0].sources.iter().map(|listed| listed.settings.name());
            let names: Vec<String> = names.collect();
            let begin = |(name, kind): (&String, &&str)| name.starts_with(kind);
            assert_eq!(names.len(), kinds.len(), "{names:?}");
            assert!(names.iter().zip(&kinds).all(begin), "{names:?}");
            for line in ["# bind_dn = ", "# password_file = ", "# tls_ca = "] {
                assert!(text.contains(line), "{text}");
            }
            let filled = text.replace("# bind_dn", "bind_dn").replace("# password", "password");
            std::fs::write(&output, filled).unwrap();
            build::load(&output).unwrap();
        }
    }

    #[test]
    fn the_administrator_of_exchange_is_who_must_ask_it() {
        let exchange = Found {
            preset: Preset::Exchange55,
            port: 390,
            untrusted: None,
            shows: Shows::Addresses,
            ..found()
        };
        let text = ldap(&exchange, false);
        assert!(text.contains("preset = \"exchange-5.5\""), "{text}");
        assert!(text.contains(",cn=admin\""), "{text}");
        assert!(!text.contains("tls_ca"), "{text}");
    }
}
