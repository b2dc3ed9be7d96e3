//! What `check` says of the certificate that clients are shown: its dates, and whether it bears the
//! name that we greet with. Servers that send mail mostly look at neither, so these are warnings.

use crate::probe::certificate::Certificate;
use gateway::config::Config;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use settings::mistake::Mistake;

/// A certificate that ends within so many days is told.
const DAYS_LEFT_MIN: i64 = 14;

/// Of the first certificate in the file, which is the one that clients see.
pub(super) fn warnings(config: &Config) -> Vec<Mistake> {
    let Some(files) = &config.tls else { return Vec::new() };
    let chain = CertificateDer::pem_file_iter(&files.certificate).ok();
    let Some(Ok(first)) = chain.and_then(|mut chain| chain.next()) else { return Vec::new() };
    let Some(certificate) = Certificate::read(&first) else { return Vec::new() };
    let shown = files.certificate.display().to_string();
    let hostname = config.settings.hostname.as_str();
    let doubts = [dates(&certificate, Timestamp::now()), names(&certificate, hostname)];
    let told =
        |(why, help)| Mistake::new(format!("{shown} {why}")).key("tls.certificate").help(help);
    doubts.into_iter().flatten().map(told).map(Mistake::warning).collect()
}

type Doubt = (String, &'static str);

fn dates(certificate: &Certificate, now: Timestamp) -> Option<Doubt> {
    let begins: Timestamp = certificate.not_before.parse().ok()?;
    let ends: Timestamp = certificate.not_after.parse().ok()?;
    let day = |at: Timestamp| at.strftime("%-d %B %Y").to_string();
    let renew = "renew it; Postern reads the file again when it changes";
    if now < begins {
        return Some((
            format!("counts only from {} on", day(begins)),
            "is this machine's clock right?",
        ));
    }
    if now > ends {
        return Some((format!("ended on {}", day(ends)), renew));
    }
    let soon = now.checked_add(SignedDuration::from_hours(24 * DAYS_LEFT_MIN)).ok()?;
    (ends < soon).then(|| (format!("ends on {}", day(ends)), renew))
}

fn names(certificate: &Certificate, hostname: &str) -> Option<Doubt> {
    let bears = |name: &String| {
        let rest = name.strip_prefix("*.").map(|rest| (rest, hostname.split_once('.')));
        match rest {
            Some((rest, Some((_, parent)))) => rest.eq_ignore_ascii_case(parent),
            _ => name.eq_ignore_ascii_case(hostname),
        }
    };
    if certificate.names.iter().any(bears) {
        return None;
    }
    let borne = match certificate.names.as_slice() {
        [] => "no name (subjectAltName)".to_owned(),
        names => format!("the name {}", names.join(", ")),
    };
    let why = format!("bears {borne}, and `hostname` is {hostname}");
    Some((why, "clients that check names want the name of the MX record in it"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn certificate(names: &[&str], begins: &str, ends: &str) -> Certificate {
        Certificate {
            names: names.iter().map(ToString::to_string).collect(),
            not_before: begins.into(),
            not_after: ends.into(),
        }
    }

    #[test]
    fn dates_are_told_as_people_write_them() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for (begins, ends, why) in [
            ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", None),
            (
                "2026-12-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
                Some("counts only from 1 December 2026 on"),
            ),
            ("2026-01-01T00:00:00Z", "2026-11-25T00:00:00Z", Some("ended on 25 November 2026")),
            ("2026-01-01T00:00:00Z", "2026-12-09T00:00:00Z", Some("ends on 9 December 2026")),
            ("2026-01-01T00:00:00Z", "2026-12-11T00:00:00Z", None),
        ] {
            let told = dates(&certificate(&[], begins, ends), now);
            assert_eq!(told.map(|(why, _)| why).as_deref(), why, "{begins} {ends}");
        }
    }

    #[test]
    fn a_name_is_borne_with_any_case_and_by_one_label_of_a_star() {
        for (name, is_borne) in [
            ("mx.example.test", true),
            ("MX.Example.Test", true),
            ("*.example.test", true),
            ("*.test", false),
            ("example.test", false),
        ] {
            let told = names(&certificate(&[name], "", ""), "mx.example.test");
            assert_eq!(told.is_none(), is_borne, "{name}");
        }
        let told = names(&certificate(&[], "", ""), "mx.example.test").unwrap();
        assert!(told.0.contains("no name"));
    }
}
