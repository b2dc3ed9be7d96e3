//! Enhanced status codes by the names of the IANA registry (RFC 3463, RFC 5248).
//! Only subject and detail: the class is the first digit of the reply code, so that the two
//! cannot disagree.

/// `subject.detail` of an enhanced status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The second number.
    pub subject: u16,
    /// The third number.
    pub detail: u16,
}

const fn status(subject: u16, detail: u16) -> Status {
    Status { subject, detail }
}

/// X.0.0
pub const OTHER: Status = status(0, 0);
/// X.1.0
pub const OTHER_ADDRESS: Status = status(1, 0);
/// X.1.1
pub const BAD_DESTINATION_MAILBOX: Status = status(1, 1);
/// X.1.3
pub const BAD_DESTINATION_MAILBOX_SYNTAX: Status = status(1, 3);
/// X.1.5
pub const DESTINATION_VALID: Status = status(1, 5);
/// X.1.6
pub const MAILBOX_MOVED: Status = status(1, 6);
/// X.1.7
pub const BAD_SENDER_MAILBOX_SYNTAX: Status = status(1, 7);
/// X.3.0
pub const OTHER_MAIL_SYSTEM: Status = status(3, 0);
/// X.3.1
pub const MAIL_SYSTEM_FULL: Status = status(3, 1);
/// X.3.2
pub const NOT_ACCEPTING_MESSAGES: Status = status(3, 2);
/// X.3.3
pub const NOT_CAPABLE: Status = status(3, 3);
/// X.3.4
pub const MESSAGE_TOO_BIG: Status = status(3, 4);
/// X.4.1
pub const NO_ANSWER_FROM_HOST: Status = status(4, 1);
/// X.4.2
pub const BAD_CONNECTION: Status = status(4, 2);
/// X.4.3
pub const DIRECTORY_SERVER_FAILURE: Status = status(4, 3);
/// X.4.4
pub const UNABLE_TO_ROUTE: Status = status(4, 4);
/// X.4.5
pub const CONGESTION: Status = status(4, 5);
/// X.4.6
pub const ROUTING_LOOP: Status = status(4, 6);
/// X.5.0
pub const OTHER_PROTOCOL: Status = status(5, 0);
/// X.5.1
pub const INVALID_COMMAND: Status = status(5, 1);
/// X.5.2
pub const SYNTAX_ERROR: Status = status(5, 2);
/// X.5.3
pub const TOO_MANY_RECIPIENTS: Status = status(5, 3);
/// X.5.4
pub const INVALID_ARGUMENTS: Status = status(5, 4);
/// X.6.0
pub const OTHER_MEDIA: Status = status(6, 0);
/// X.6.3
pub const CONVERSION_REQUIRED: Status = status(6, 3);
/// X.6.7
pub const NON_ASCII_ADDRESS: Status = status(6, 7);
/// X.7.0
pub const OTHER_SECURITY: Status = status(7, 0);
/// X.7.1
pub const NOT_AUTHORIZED: Status = status(7, 1);
/// The name of the client's address does not hold (RFC 7372 §3.3).
pub const REVERSE_DNS_FAILED: Status = status(7, 25);
