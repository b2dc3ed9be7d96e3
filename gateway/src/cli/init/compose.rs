//! The configuration that `init` writes: what was answered, and as comments what most operators
//! add within a week.

use super::answers::Answers;
use std::path::Path;

/// The text of a configuration at `output`.
pub(super) fn configuration(answers: &Answers, output: &Path) -> String {
    let Answers { hostname, domain, next_hop, recipients, listen } = answers;
    let [hostname, domain, next_hop, listen] =
        [hostname, domain, next_hop, listen].map(|s| quoted(s));
    let recipients = quoted(&beside(recipients, output));
    format!(
        r##"# Postern: refuses mail that the server behind it would accept and later bounce.
# Every key: docs/configuration.md. After a change: postern check, then SIGHUP.

# What the relay calls itself in its greeting and in Received fields. It should resolve.
hostname = {hostname}

# What outlives a restart: the last good list of recipients.
# state_dir = "/var/lib/postern"
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
# Who exists: one address or * pattern a line, or CSV with a header. Changes are noticed.
recipients = [{{ file = {recipients} }}]
# An address that every list must have; a list without it is an accident and is not used.
# canary = "somebody@{plain_domain}"
# What stands behind the + is not looked up: jones+lists is jones.
# sub_address_separator = "+"
# bitbucket = [{{ address = "noreply@{plain_domain}", reason = "nobody reads it" }}]

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

/// A path as the configuration needs it, which reads it relative to its own directory.
fn beside(recipients: &Path, output: &Path) -> String {
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
    use super::*;
    use crate::run::build;

    #[test]
    fn what_is_written_is_right_with_its_comments_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let recipients = folder.path().join("users \"x\".txt");
        std::fs::write(&recipients, "jones@example.test\nsomebody@example.test\n").unwrap();
        let answers = Answers {
            hostname: "mx.example.test".into(),
            domain: "example.test".into(),
            next_hop: "127.0.0.1:2600".into(),
            recipients,
            listen: "127.0.0.1:2525".into(),
        };
        let output = folder.path().join("postern.toml");
        let text = configuration(&answers, &output);
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
}
