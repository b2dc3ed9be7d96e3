//! Drives one exchange: one match over what it wants, one await per arm. No protocol rules here.

use super::buffers;
use super::content::Content;
use super::seats::Seat;
use super::stream::Stream;
use crate::audience::{self, Occasion};
use crate::clock;
use crate::directory::{self, Answer};
use crate::next_hop::Transaction;
use crate::next_hop::transaction::Load;
use crate::state::{Live, State, lock};
use mail::address::{ForwardPath, LocalPart, ReversePath};
use mail::smtp::reply::Reply;
use relay::event::{Event, ProcessEvent};
use relay::exchange::{Do, Done, Exchange, Sink};
use relay::moment::Moment;
use relay::next_hop::Request;
use relay::policy::facts::{Found, Need};
use relay::policy::verdict::Refusal;
use relay::recipient::RecipientStatus;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// How long a client may take to take our replies.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// How long replies wait to leave together with that of a next hop.
const GATHERING: Duration = Duration::from_secs(1);

/// One session: the exchange and what it needs of the edge.
pub struct Session {
    exchange: Exchange,
    stream: Stream,
    sink: EdgeSink,
    next_hop: Transaction,
    /// The client did not take a reply.
    is_gone: bool,
    _seat: Seat,
}

/// Takes replies, content and events.
struct EdgeSink {
    state: Arc<State>,
    live: Arc<Live>,
    output: Vec<u8>,
    content: Option<Box<Content>>,
    now: Moment,
}

impl Sink for EdgeSink {
    fn write(&mut self, reply: &Reply) {
        if self.output.capacity() == 0 {
            self.output = buffers::take();
        }
        reply.write_to(&mut self.output);
    }

    fn keep(&mut self, content: &[u8]) {
        let room = &self.state.room;
        let kept = self.content.get_or_insert_with(|| Box::new(Content::new(Arc::clone(room))));
        kept.keep(content);
    }

    fn record(&mut self, event: &Event<'_>) {
        audience::tell(&self.state, event, &Occasion { live: &self.live, now: self.now });
    }

    fn split(&mut self, from: &ReversePath, recipients: &[ForwardPath]) {
        lock(&self.state.split).remember(from, recipients, self.now);
    }
}

impl Session {
    /// A client that has just come.
    #[must_use]
    pub fn new(
        exchange: Exchange,
        stream: Stream,
        state: Arc<State>,
        live: Arc<Live>,
        seat: Seat,
    ) -> Box<Self> {
        let sink = EdgeSink { state, live, output: Vec::new(), content: None, now: clock::now() };
        let next_hop = Transaction::default();
        Box::new(Self { exchange, stream, sink, next_hop, is_gone: false, _seat: seat })
    }

    /// The same, behind a handshake that comes before everything else (RFC 8314 §3).
    pub async fn behind_implicit_tls(mut self: Box<Self>) -> Option<Box<Self>> {
        let stream = std::mem::replace(&mut self.stream, Stream::Gone);
        let config = self.sink.live.tls.clone()?;
        let limits = &self.sink.live.config.settings.limits;
        let patience = limits.under(self.sink.state.seats.pressure()).tls_handshake_seconds_max;
        self.stream = accept_tls(stream, config, patience).await?;
        self.exchange.over_tls();
        Some(self)
    }

    /// For one that is refused before there is anybody who could hear it: it is told as ever, but
    /// nothing is sent.
    pub fn refuse_unheard(mut self: Box<Self>) {
        while let Ok(act) = self.next() {
            let found = match act {
                Do::LookUp(need) => self.find(need),
                _ => return,
            };
            let Now(found) = found else { return };
            if self.report(Done::Found(found)).is_err() {
                return;
            }
        }
    }

    /// Until the end of the connection. Boxed, and with its rare and large steps boxed again: most
    /// sessions of a busy server do nothing but wait.
    pub async fn run(mut self: Box<Self>) {
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut drain = self.sink.state.drain.subscribe();
        // We may have been told so while the client was shaking hands.
        if *drain.borrow_and_update() {
            self.exchange.drain();
        }
        loop {
            let Ok(act) = self.next() else { return Box::pin(self.on_bug()).await };
            let done = match act {
                Do::Forget => {
                    self.sink.content = None;
                    Box::pin(self.next_hop.forget()).await;
                    Done::Yes
                }
                Do::Close => return Box::pin(self.close()).await,
                _ if self.is_gone => Done::Gone,
                Do::Read { until } => self.read(until, timer.as_mut(), &mut drain).await,
                Do::LookUp(need) => match self.find(need) {
                    // Nothing was waited for, so it is no later than before.
                    Now(found) => {
                        let now = self.sink.now;
                        self.exchange.done(Done::Found(found), now, &mut self.sink);
                        continue;
                    }
                    Later(answer) => Box::pin(self.await_recipient(answer)).await,
                },
                Do::NextHop(request) => Box::pin(self.ask_next_hop(request)).await,
                Do::Wait { until } => Box::pin(self.wait(until, timer.as_mut())).await,
                Do::StartTls => Box::pin(self.start_tls()).await,
            };
            if self.report(done).is_err() {
                return Box::pin(self.on_bug()).await;
            }
        }
    }

    /// A bug in the core ends this session, and no other.
    fn next(&mut self) -> Result<Do, ()> {
        let (exchange, sink) = (&mut self.exchange, &mut self.sink);
        catch_unwind(AssertUnwindSafe(|| exchange.next(sink))).map_err(|_| ())
    }

    /// As above: what came may be what the core has a bug about.
    fn report(&mut self, done: Done) -> Result<(), ()> {
        self.sink.now = clock::now();
        let (exchange, sink) = (&mut self.exchange, &mut self.sink);
        exchange.set_pressure(sink.state.seats.pressure());
        catch_unwind(AssertUnwindSafe(|| exchange.done(done, sink.now, sink))).map_err(|_| ())
    }

    /// Performs a request. A next hop that takes its time does not keep the replies back that
    /// were given before, least of all that to a whole message.
    async fn ask_next_hop(&mut self, request: Request) -> Done {
        let details = self.exchange.client_details();
        let trace = self.exchange.trace_field(&clock::date());
        let EdgeSink { state, live, output, content, .. } = &mut self.sink;
        let new = || Box::new(Content::new(Arc::clone(&state.room)));
        let load = Load { details, content: content.get_or_insert_with(new), trace };
        let limit = live.config.settings.limits.final_reply_seconds_max;
        let limit = Duration::from_secs(u64::from(limit));
        let mut performing = Box::pin(self.next_hop.perform(&live.hops, request, load, limit));
        if output.is_empty() {
            return Done::NextHop(performing.await);
        }
        if let Ok(outcome) = timeout(GATHERING, performing.as_mut()).await {
            return Done::NextHop(outcome);
        }
        let (mut sending, mut sent) = (pin!(flush(&mut self.stream, output)), None);
        let outcome = poll_fn(|cx| {
            if sent.is_none()
                && let Poll::Ready(done) = sending.as_mut().poll(cx)
            {
                sent = Some(done);
            }
            performing.as_mut().poll(cx)
        })
        .await;
        drop(performing);
        // From here on it is the client who keeps the connection.
        let sent = match sent {
            Some(sent) => sent,
            None => lending(&mut self.next_hop, sending).await,
        };
        // Whatever became of the message is told before the client is given up.
        self.is_gone = !sent;
        Done::NextHop(outcome)
    }

    async fn read(
        &mut self,
        until: Moment,
        mut timer: Pin<&mut Sleep>,
        drain: &mut watch::Receiver<bool>,
    ) -> Done {
        if !self.flush().await {
            return Done::Gone;
        }
        if let Some(buffer) = self.exchange.take_buffer() {
            buffers::give(buffer);
        }
        if self.sink.content.as_ref().is_some_and(|content| content.is_over_room())
            && !Box::pin(self.spill()).await
        {
            return Done::Gone;
        }
        timer.as_mut().reset(clock::instant(until).into());
        let (stream, next_hop) = (&mut self.stream, &mut self.next_hop);
        let (exchange, mut changed) = (&mut self.exchange, pin!(drain.changed()));
        let done = poll_fn(|cx| {
            if let Poll::Ready(read) = stream.poll_read_some(cx) {
                return Poll::Ready(match read {
                    Ok(bytes) if !bytes.is_empty() => Done::Bytes(bytes),
                    Ok(_) | Err(_) => Done::Gone,
                });
            }
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Done::Elapsed);
            }
            if changed.as_mut().poll(cx).is_ready() {
                exchange.drain();
                return Poll::Ready(Done::Yes);
            }
            next_hop.poll_recalled(cx).map(|()| Done::Yes)
        })
        .await;
        self.next_hop.resume();
        done
    }

    fn find(&mut self, need: Need) -> Lookup {
        let state = &self.sink.state;
        Now(match need {
            Need::Standing => {
                Found::Standing(state.books.standing(self.exchange.client(), self.sink.now))
            }
            Need::Split => {
                Found::Split(self.exchange.envelope_in_question().is_some_and(|(from, to)| {
                    lock(&state.split).is_remembered(from, to, self.sink.now)
                }))
            }
            Need::Recipient => return self.find_recipient(),
        })
    }

    fn find_recipient(&mut self) -> Lookup {
        let live = &self.sink.live;
        let settings = &live.config.settings;
        let Some((domain, local_part)) = self.exchange.recipient_in_question() else {
            return Now(Found::Recipient(RecipientStatus::Unavailable));
        };
        let limit = settings.limits.under(self.sink.state.seats.pressure()).lookup_seconds_max;
        let postmaster = LocalPart::new("postmaster");
        let Some(local_part) = local_part.or(postmaster.as_ref().ok()) else {
            return Now(Found::Recipient(RecipientStatus::Unavailable));
        };
        let patience = Duration::from_secs(u64::from(limit));
        match live.directory.look_up(domain, settings.domain(domain), local_part, patience) {
            Answer::Now(found) => Now(Found::Recipient(found.status)),
            Answer::Later(answer) => Later(answer),
        }
    }

    /// Waits for a recipient's status. Replies that were given before do not wait with it for long.
    async fn await_recipient(&mut self, mut answer: Pending) -> Done {
        let Self { stream, sink, next_hop, is_gone, .. } = self;
        let asking = async {
            if sink.output.is_empty() {
                return answer.await;
            }
            if let Ok(found) = timeout(GATHERING, answer.as_mut()).await {
                return found;
            }
            let (found, sent) = tokio::join!(answer, flush(stream, &mut sink.output));
            *is_gone = !sent;
            found
        };
        let found = lending(next_hop, asking).await;
        Done::Found(Found::Recipient(found.status))
    }

    /// Moves content to its file, off this thread.
    async fn spill(&mut self) -> bool {
        let Some(mut content) = self.sink.content.take() else { return true };
        let spilled = tokio::task::spawn_blocking(move || {
            let result = content.spill();
            (content, result)
        });
        match spilled.await {
            Ok((content, Ok(()))) => {
                self.sink.content = Some(content);
                true
            }
            Ok((_, Err(error))) => {
                self.sink.state.observer.tell(
                    ProcessEvent::SpillFailed,
                    "temporary file",
                    &error.to_string(),
                );
                Refusal::LocalTrouble.reply().write_to(&mut self.sink.output);
                let _ = self.flush().await;
                false
            }
            Err(_) => false,
        }
    }

    async fn wait(&mut self, until: Moment, mut timer: Pin<&mut Sleep>) -> Done {
        if !self.flush().await {
            return Done::Gone;
        }
        timer.as_mut().reset(clock::instant(until).into());
        lending(&mut self.next_hop, timer).await;
        Done::Yes
    }

    async fn start_tls(&mut self) -> Done {
        if !self.flush().await {
            return Done::Gone;
        }
        let limits = &self.sink.live.config.settings.limits;
        let patience = limits.under(self.sink.state.seats.pressure()).tls_handshake_seconds_max;
        let stream = std::mem::replace(&mut self.stream, Stream::Gone);
        let Some(config) = self.sink.live.tls.clone() else { return Done::Gone };
        match accept_tls(stream, config, patience).await {
            Some(stream) => {
                self.stream = stream;
                self.exchange.behind_tls();
                Done::Yes
            }
            None => Done::Gone,
        }
    }

    /// Sends what was written; false when the client is gone.
    async fn flush(&mut self) -> bool {
        let sending = flush(&mut self.stream, &mut self.sink.output);
        lending(&mut self.next_hop, sending).await
    }

    async fn close(&mut self) {
        if self.flush().await {
            let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
        }
    }

    async fn on_bug(&mut self) {
        let client = self.exchange.client().address.to_string();
        self.sink.state.observer.tell(
            ProcessEvent::Bug,
            &client,
            "the session panicked and was ended",
        );
        Refusal::Bug.reply().write_to(&mut self.sink.output);
        self.close().await;
    }
}

/// Waits for something that is not the next hop's; meanwhile its connection can be called back for
/// somebody else.
async fn lending<T>(next_hop: &mut Transaction, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let done = poll_fn(|cx| {
        let polled = work.as_mut().poll(cx);
        // Once it has been called back there is nothing more to lend.
        if polled.is_pending() && next_hop.poll_recalled(cx).is_ready() {
            return Poll::Pending;
        }
        polled
    })
    .await;
    next_hop.resume();
    done
}

/// Sends what was written; false when the client is gone.
async fn flush(stream: &mut Stream, output: &mut Vec<u8>) -> bool {
    if output.is_empty() {
        return true;
    }
    let output = std::mem::take(output);
    // Nearly always the socket takes it at once: no deadline has to be set up for that.
    let sent = match send_at_once(stream, &output).await {
        Ok((sent, true)) if sent == output.len() => true,
        Ok((sent, _)) => Box::pin(send_patiently(stream, &output[sent..])).await,
        Err(_) => false,
    };
    buffers::give(output);
    sent
}

/// How many octets the stream takes without waiting, and whether they have left (under TLS
/// some may be held back).
async fn send_at_once(stream: &mut Stream, output: &[u8]) -> std::io::Result<(usize, bool)> {
    poll_fn(|cx| {
        let sent = match Pin::new(&mut *stream).poll_write(cx, output) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        let flushed = Pin::new(&mut *stream).poll_flush(cx);
        Poll::Ready(match flushed {
            Poll::Ready(result) => result.map(|()| (sent, true)),
            Poll::Pending => Ok((sent, false)),
        })
    })
    .await
}

async fn send_patiently(stream: &mut Stream, rest: &[u8]) -> bool {
    let sending = async {
        stream.write_all(rest).await?;
        stream.flush().await
    };
    matches!(timeout(WRITE_PATIENCE, sending).await, Ok(Ok(())))
}

/// What the directory says, on its way.
type Pending = Pin<Box<dyn Future<Output = directory::Found> + Send>>;

/// A fact that is there, or on its way.
enum Lookup {
    Now(Found),
    Later(Pending),
}
use Lookup::{Later, Now};

/// Shakes hands with a client.
pub async fn accept_tls(
    stream: Stream,
    config: Arc<rustls::ServerConfig>,
    patience_seconds: u32,
) -> Option<Stream> {
    let Stream::Plain(socket) = stream else { return None };
    let handshake = tokio_rustls::TlsAcceptor::from(config).accept(socket);
    let patience = Duration::from_secs(u64::from(patience_seconds));
    let tls = timeout(patience, handshake).await.ok()?.ok()?;
    Some(Stream::Tls(Box::new(tls.into())))
}
