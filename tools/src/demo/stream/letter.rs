//! One message of the demo and its bytes. What looks like a worm is the shape of one and nothing
//! else: a stored archive with one member of `MZ` and 22,526 zeros, which no machine can run.

use base64::prelude::{BASE64_STANDARD, Engine};
use crc::{CRC_32_ISO_HDLC, Crc};
use mail::address::{ForwardPath, ReversePath};
use std::fmt::Write as _;
use std::sync::OnceLock;
use wire::clock;

/// The archive's only member, in octets.
const MEMBER_OCTETS: usize = 22_528;
const MEMBER_NAME: &[u8] = b"document.scr";
/// That of archives.
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A worm's, to a guessed name, under a forged sender.
    Worm,
    /// An attacker's: the victim in MAIL FROM, a made-up recipient.
    ReverseNdr,
    /// A harvester's, to many guessed names at once.
    Harvest,
    /// Somebody's, to people who exist.
    Real,
    /// Somebody's, with a typing error in one address.
    Mistyped,
}

/// Somebody in RCPT.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// As RCPT has it.
    pub path: ForwardPath,
    /// Its local part.
    pub name: String,
    /// There is such a mailbox.
    pub exists: bool,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What it is.
    pub kind: Kind,
    /// Its Message-ID, without angle brackets.
    pub id: String,
    /// MAIL.
    pub reverse_path: ReversePath,
    /// RCPT.
    pub recipients: Vec<Recipient>,
    /// Its subject.
    pub subject: String,
}

impl Letter {
    /// The content, CRLF throughout.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let mut text = String::new();
        let to: Vec<String> = self.recipients.iter().map(|r| r.path.to_string()).collect();
        let _ = write!(
            text,
            "From: {}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{}>\r\n\
             MIME-Version: 1.0\r\n",
            self.reverse_path,
            to.join(",\r\n "),
            self.subject,
            clock::date(),
            self.id
        );
        match self.kind {
            Kind::Worm => text.push_str(worm_body()),
            Kind::ReverseNdr => text.push_str(ADVERTISEMENT),
            Kind::Harvest => text.push_str("\r\nhi\r\n"),
            Kind::Real | Kind::Mistyped => text.push_str(BUSINESS),
        }
        text.into_bytes()
    }
}

/// The Message-ID of a content, when it has one.
#[must_use]
pub fn message_id(content: &[u8]) -> Option<&str> {
    header(content, b"\nMessage-ID: <")?.strip_suffix('>')
}

/// The subject of a content; empty when it has none.
#[must_use]
pub fn subject(content: &[u8]) -> &str {
    header(content, b"\nSubject: ").unwrap_or_default()
}

/// The rest of the first line that begins with `name`, which begins with LF. Good enough for
/// mail that the demo itself has written.
fn header<'a>(content: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let from = memchr::memmem::find(content, name)? + name.len();
    let end = memchr::memchr(b'\r', &content[from..])?;
    std::str::from_utf8(&content[from..from + end]).ok()
}

const BUSINESS: &str = "Content-Type: text/plain; charset=us-ascii\r\n\r\n\
    Good morning,\r\n\r\n\
    thank you for your offer. We should like to order forty of the small ones\r\n\
    and twelve of the large ones, to be delivered in the first week of the month.\r\n\
    Could you confirm the price that you named on the telephone?\r\n\r\n\
    With kind regards\r\n";

const ADVERTISEMENT: &str = "Content-Type: text/plain; charset=us-ascii\r\n\r\n\
    This text is for whoever stands in MAIL FROM. It would be refused if it came\r\n\
    from us, so a stranger's mail server sends it for us, as an NDR.\r\n\r\n\
    BUY NOW BUY NOW BUY NOW http://shop.invalid/\r\n";

/// Header fields and body of the worm's message, made once.
fn worm_body() -> &'static str {
    static BODY: OnceLock<String> = OnceLock::new();
    BODY.get_or_init(|| {
        let mut body = String::from(
            "Content-Type: multipart/mixed; boundary=\"part\"\r\n\r\n\
             --part\r\nContent-Type: text/plain\r\n\r\n\
             Mail transaction failed. Partial message is available.\r\n\r\n\
             --part\r\nContent-Type: application/octet-stream; name=\"document.zip\"\r\n\
             Content-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"document.zip\"\r\n\r\n",
        );
        push_base64(&mut body, &archive());
        body.push_str("\r\n--part--\r\n");
        body
    })
}

/// A stored archive: local header, member, central directory, end.
fn archive() -> Vec<u8> {
    let mut member = vec![0; MEMBER_OCTETS];
    member[..2].copy_from_slice(b"MZ");
    let size = (MEMBER_OCTETS as u32).to_le_bytes();
    // Flags and method 0, time and date, CRC, both sizes, length of the name, no extra field.
    let mut described = vec![0, 0, 0, 0, 0, 0, 0x3A, 0x30];
    described.extend_from_slice(&CHECKSUM.checksum(&member).to_le_bytes());
    described.extend_from_slice(&size);
    described.extend_from_slice(&size);
    described.extend_from_slice(&[MEMBER_NAME.len() as u8, 0, 0, 0]);

    let mut out = b"PK\x03\x04\x0A\x00".to_vec();
    out.extend_from_slice(&described);
    out.extend_from_slice(MEMBER_NAME);
    out.extend_from_slice(&member);
    let directory_at = out.len() as u32;
    out.extend_from_slice(b"PK\x01\x02\x0A\x00\x0A\x00");
    out.extend_from_slice(&described);
    out.extend_from_slice(&[0; 14]);
    out.extend_from_slice(MEMBER_NAME);
    let directory_octets = out.len() as u32 - directory_at;
    out.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
    out.extend_from_slice(&directory_octets.to_le_bytes());
    out.extend_from_slice(&directory_at.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// Lines of 76 characters (RFC 2045 §6.8).
fn push_base64(out: &mut String, bytes: &[u8]) {
    for line in bytes.chunks(57) {
        BASE64_STANDARD.encode_string(line, out);
        out.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let encoded = |text: &str| {
            let mut out = String::new();
            push_base64(&mut out, text.as_bytes());
            out
        };
        for (plain, base64) in [("f", "Zg==\r\n"), ("fo", "Zm8=\r\n"), ("foobar", "Zm9vYmFy\r\n")] {
            assert_eq!(encoded(plain), base64);
        }
    }

    #[test]
    fn the_checksum_is_that_of_archives() {
        assert_eq!(CHECKSUM.checksum(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_worm_has_the_shape_that_filters_of_its_time_looked_for() {
        let body = worm_body();
        assert!(body.contains("UEsDBAoAAAAAA"), "a stored archive in base64");
        assert_eq!(archive().len(), MEMBER_OCTETS + 30 + 46 + 22 + 2 * MEMBER_NAME.len());
        assert!(archive()[30 + MEMBER_NAME.len()..].starts_with(b"MZ\0\0"));
    }

    #[test]
    fn a_letter_is_found_again_by_its_id_and_subject() {
        let letter = Letter {
            kind: Kind::Worm,
            id: "worm-1@x.example".into(),
            reverse_path: ReversePath::Null,
            recipients: Vec::new(),
            subject: "Server Report".into(),
        };
        let content = letter.content();
        assert_eq!(message_id(&content), Some("worm-1@x.example"));
        assert_eq!(subject(&content), "Server Report");
        let bare = memchr::memchr_iter(b'\n', &content).any(|at| content[at - 1] != b'\r');
        assert!(!bare && content.ends_with(b"\r\n"));
    }
}
