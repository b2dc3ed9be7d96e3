//! Drives [`ServerSession`] for an embedded server: accept, read, answer, write. What is answered
//! is the server's own affair ([`Host`]).

use mail::address::ForwardPath;
use mail::smtp::content::ContentLimits;
use mail::smtp::line::LineEndings;
use mail::smtp::reply::Reply;
use mail::smtp::server::{Envelope, Question, ServerSession, Step, Terms, Tolerance};
use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What is read at once, in octets.
const READ_OCTETS: usize = 32 << 10;

const TERMS: Terms = Terms {
    start_tls: false,
    tolerance: Tolerance { errors_max: 100, junk_commands_max: 10_000 },
    content: ContentLimits {
        size_octets_max: 25 << 20,
        line_octets_max: 64 << 10,
        endings: LineEndings::Normalized,
    },
};

/// A server's answers.
pub trait Host: Send + Sync + 'static {
    /// The text behind 220.
    fn greeting(&self) -> String;
    /// The lines of the answer to EHLO; the first is a greeting.
    fn hello(&self) -> (String, Vec<Cow<'static, str>>);
    /// The answer to RCPT.
    /// # Errors
    /// The refusal.
    fn recipient(&self, path: &ForwardPath) -> Result<Reply, Reply>;
    /// The answer to the final dot; always yes, else these servers would not be what they are.
    fn take(&self, envelope: &Envelope, content: Vec<u8>) -> Reply;
    /// Counts octets.
    fn count(&self, received: usize, sent: usize);
}

/// Accepts until dropped; whoever is too many waits in the queue of the system.
pub async fn listen<H: Host>(listener: TcpListener, host: Arc<H>, connections_max: usize) {
    let slots = Arc::new(Semaphore::new(connections_max));
    let mut sessions = JoinSet::new();
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        while sessions.try_join_next().is_some() {}
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let host = Arc::clone(&host);
        sessions.spawn(async move {
            // A client that is gone is no loss to anybody here.
            let _ = converse(socket, &*host).await;
            drop(slot);
        });
    }
}

async fn converse<H: Host>(mut socket: TcpStream, host: &H) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut session = ServerSession::new(TERMS);
    let (mut output, mut content) = (Vec::new(), Vec::new());
    loop {
        let step = session.step();
        if matches!(step, Step::Receive | Step::Close) && !output.is_empty() {
            socket.write_all(&output).await?;
            host.count(0, output.len());
            output.clear();
        }
        match step {
            Step::Receive => {
                let mut buffer = session.take_buffer().unwrap_or_default();
                buffer.reserve(READ_OCTETS);
                let octets = socket.read_buf(&mut buffer).await?;
                if octets == 0 {
                    return Ok(());
                }
                host.count(octets, 0);
                session.receive(buffer);
            }
            Step::Send(reply) => reply.write_to(&mut output),
            Step::Ask => {
                let verdict = answer(&session, host, &mut content);
                session.answer(verdict);
            }
            Step::Content => session.take_content(&mut |slice| content.extend_from_slice(slice)),
            Step::StartTls | Step::Close => return Ok(()),
        }
    }
}

fn answer<H: Host>(
    session: &ServerSession,
    host: &H,
    content: &mut Vec<u8>,
) -> Result<Reply, Reply> {
    match session.question() {
        Some(Question::Connect) => Ok(Reply::bare(220, host.greeting())),
        Some(Question::Hello(hello)) => {
            let (first, keywords) = host.hello();
            let more = if hello.extended { keywords } else { Vec::new() };
            Ok(Reply::bare(250, first).and_lines(more))
        }
        Some(Question::Mail(path, _)) => Ok(Reply::bare(250, format!("OK - mail from <{path}>"))),
        Some(Question::Rcpt(path)) => host.recipient(path),
        Some(Question::Malformed(_, reply)) => Err(reply.clone()),
        Some(Question::Data) => Ok(Reply::bare(354, "Send data. End with CRLF.CRLF")),
        Some(Question::Content(summary)) => {
            let content = std::mem::take(content);
            match session.envelope() {
                Some(envelope) if summary.fault.is_none() => Ok(host.take(envelope, content)),
                _ => Err(Reply::bare(554, "Transaction failed")),
            }
        }
        None => Err(Reply::bare(503, "Nothing was asked")),
    }
}
