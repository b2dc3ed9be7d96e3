//! Non-delivery reports in the free-text form of the server that this project began with: no
//! RFC 3464, a text for people, and the whole original behind it. The wording is ours.

use crate::demo::stream::letter::subject;
use crate::demo::stream::people::DOMAIN;
use mail::smtp::server::Envelope;
use std::fmt::Write as _;
use wire::clock;

/// Behind this line stand those whom the message did not reach.
const FAILED: &str = "did not reach the following recipient(s):";
const BOUNDARY: &str = "----_=_NextPart_000_01C3E4B0.DE305000";

/// The content of the report on `original`.
#[must_use]
pub fn compose(envelope: &Envelope, failed: &[String], original: &[u8], number: u64) -> Vec<u8> {
    let (date, subject) = (clock::date(), subject(original));
    let mut text = format!(
        "From: System Administrator <postmaster@{DOMAIN}>\r\n\
         To: {to}\r\n\
         Subject: Undeliverable: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <ndr.{number}@exchange.{DOMAIN}>\r\n\
         MIME-Version: 1.0\r\n\
         X-Mailer: Internet Mail Service (5.5.2653.19)\r\n\
         Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\r\n\
         \r\n\
         This report is in MIME format.\r\n\
         \r\n\
         --{BOUNDARY}\r\n\
         Content-Type: text/plain; charset=\"us-ascii\"\r\n\
         \r\n\
         Your message\r\n\
         \r\n\
         \x20 To:      {first}\r\n\
         \x20 Subject: {subject}\r\n\
         \x20 Sent:    {date}\r\n\
         \r\n\
         {FAILED}\r\n\
         \r\n",
        to = envelope.reverse_path,
        first = failed.first().map_or("", String::as_str),
    );
    for address in failed {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{address} on {date}\r\n\
             \x20   No recipient here goes by this name\r\n\
             \tThe MTS-ID of the original message is: c=us;a= ;p=example;l=EXCHANGE-{number:09}\r\n\
             \x20   MSEXCH:IMS:EXAMPLE:HEAD-OFFICE:EXCHANGE 0 (000C05A6) Unknown Recipient\r\n\r\n"
        );
    }
    let _ = write!(text, "--{BOUNDARY}\r\nContent-Type: message/rfc822\r\n\r\n");
    let mut content = text.into_bytes();
    content.reserve(original.len() + 64);
    content.extend_from_slice(original);
    content.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    content
}

/// Whom a report names as not reached; empty when it is no such report.
#[must_use]
pub fn failed_recipients(content: &[u8]) -> Vec<String> {
    let Some(at) = memchr::memmem::find(content, FAILED.as_bytes()) else { return Vec::new() };
    let rest = &content[at + FAILED.len()..];
    let end = memchr::memmem::find(rest, BOUNDARY.as_bytes()).unwrap_or(rest.len());
    let text = String::from_utf8_lossy(&rest[..end]);
    let addresses = text.lines().filter_map(|line| line.split_once(" on "));
    addresses.map(|(address, _)| address).filter(|a| a.contains('@')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::address::ReversePath;
    use mail::smtp::parameter::MailParameters;

    #[test]
    fn a_report_names_whom_it_is_about_and_brings_the_original_back() {
        let envelope = Envelope {
            reverse_path: ReversePath::parse("<victim@far.example>").unwrap(),
            parameters: MailParameters::default(),
            recipients: Vec::new(),
        };
        let failed = vec!["joe@example.test".to_owned(), "sam@example.test".to_owned()];
        let original = b"From: x\r\nSubject: Server Report\r\n\r\npayload\r\n";
        let report = compose(&envelope, &failed, original, 1);
        assert_eq!(failed_recipients(&report), failed);
        assert_eq!(subject(&report), "Undeliverable: Server Report");
        let text = String::from_utf8(report).unwrap();
        assert!(text.contains("\r\n\r\nFrom: x\r\nSubject: Server Report\r\n\r\npayload\r\n"));
        assert!(text.contains("To: victim@far.example\r\n"));
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        assert!(failed_recipients(original).is_empty());
    }
}
