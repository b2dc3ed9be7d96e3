//! Drives one exchange: one match over what it wants, one await per arm. No protocol rules here.

use super::outbox::Outbox;
use super::wait::{Alarm, Waiter};
use crate::next_hop::Transaction;
use crate::next_hop::transaction::Envelope;
use crate::state::{ActiveConfig, State};
use crate::subscribers::{self, Occasion};
use directory::{self, Answer};
use mail::address::{ForwardPath, LocalPart, ReversePath};
use mail::smtp::reply::Reply;
use relay::client::Prefix;
use relay::event::{Event, ProcessEvent};
use relay::exchange::{Do, Done, Exchange, Sink};
use relay::moment::Moment;
use relay::next_hop::{Outcome, Request};
use relay::policy::facts::{Found, Need, ReverseName};
use relay::policy::verdict::Refusal;
use relay::recipient::RecipientStatus;
use relay::route::Route;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep_until, timeout};
use wire::buffers::{self, BUFFER_OCTETS};
use wire::clock;
use wire::content::Content;
use wire::dns::Resolver;
use wire::lock::lock;
use wire::slots::Slot;
use wire::stream::Stream;

/// How long replies wait to leave together with that of a next hop.
const GATHERING: Duration = Duration::from_secs(1);
/// How long a client may take to notice the end, and to take last words that the exchange knows
/// nothing of.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);
/// So much earlier a look-up must have come to its end, so that what was last known still counts.
const LOOK_UP_MARGIN_MILLISECONDS: u64 = 50;

/// One session: the exchange and what it needs of the edge.
pub struct Session {
    exchange: Exchange,
    stream: Stream,
    sink: EdgeSink,
    next_hop: Transaction,
    _slot: Slot,
}

/// Takes replies, content and events.
struct EdgeSink {
    state: Arc<State>,
    active: Arc<ActiveConfig>,
    outbox: Outbox,
    content: Option<Box<Content>>,
    client: Prefix,
    now: Moment,
}

impl Sink for EdgeSink {
    fn write(&mut self, reply: &Reply) {
        self.outbox.write(reply);
    }

    fn keep(&mut self, content: &[u8]) {
        let (budget, client) = (&self.state.content_budget, self.client);
        let new = || Box::new(Content::new(Arc::clone(budget), client));
        self.content.get_or_insert_with(new).keep(content);
    }

    fn record(&mut self, event: &Event<'_>) {
        let occasion =
            Occasion { active: &self.active, now: self.now, observer: &self.state.observer };
        subscribers::tell(&self.state, event, &occasion);
    }

    fn split(&mut self, network: Prefix, from: &ReversePath, recipients: &[ForwardPath]) {
        lock(&self.state.split).remember(network, from, recipients, self.now);
    }
}

impl Session {
    /// A client that has just come.
    #[must_use]
    pub fn new(
        exchange: Exchange,
        stream: Stream,
        state: Arc<State>,
        active: Arc<ActiveConfig>,
        slot: Slot,
    ) -> Box<Self> {
        let now = clock::now();
        let client = Prefix::client(exchange.client().address.ip());
        let outbox = Outbox::default();
        let sink = EdgeSink { state, active, outbox, content: None, client, now };
        let next_hop = Transaction::default();
        Box::new(Self { exchange, stream, sink, next_hop, _slot: slot })
    }

    /// Until the end of the connection. Boxed, and with its rare and large steps boxed again: most
    /// sessions of a busy server do nothing but wait.
    pub async fn run(mut self: Box<Self>) {
        let timer = pin!(sleep_until(Instant::now()));
        // We may have been told to go down since the client was accepted.
        let mut alarm = Alarm::new(timer, &self.sink.state, &mut self.exchange);
        loop {
            let Ok(act) = self.next() else { return Box::pin(self.on_bug()).await };
            let done = match act {
                Do::Forget { until } => {
                    self.sink.content = None;
                    Box::pin(self.forget(until, &mut alarm)).await
                }
                Do::Close => return Box::pin(self.close()).await,
                _ if self.sink.outbox.is_broken() => Done::Gone,
                Do::Send { until } => match self.send_at_once().await {
                    Some(done) => done,
                    None => Box::pin(self.send(until, &mut alarm)).await,
                },
                Do::Read { until } => self.read(until, &mut alarm).await,
                Do::LookUp { need, until } => match self.find(need, until) {
                    // Nothing was waited for, so it is no later than before.
                    Now(found) => {
                        let now = self.sink.now;
                        self.exchange.done(Done::Found(found), now, &mut self.sink);
                        continue;
                    }
                    Later(answer) => {
                        let found = async { Found::Recipient(answer.await.status) };
                        Box::pin(self.await_fact(found, until, &mut alarm)).await
                    }
                    AskDns(dns) => {
                        let address = self.exchange.client().address.ip();
                        let found = async { Found::ReverseName(dns.reverse_name(address).await) };
                        Box::pin(self.await_fact(found, until, &mut alarm)).await
                    }
                    Listen => Box::pin(self.listen(until, &mut alarm)).await,
                },
                Do::Carry { request, until } => {
                    Box::pin(self.carry(request, until, &mut alarm)).await
                }
                Do::Wait { until } => Box::pin(self.pause(until, &mut alarm)).await,
                Do::StartTls { until } => Box::pin(self.start_tls(until, &mut alarm)).await,
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
        exchange.set_pressure(sink.state.slots.pressure());
        catch_unwind(AssertUnwindSafe(|| exchange.done(done, sink.now, sink))).map_err(|_| ())
    }

    /// Performs a request. Only the next hop is waited for, so its connection is nobody else's.
    async fn carry(&mut self, request: Request, until: Moment, alarm: &mut Alarm<'_>) -> Done {
        let Self { exchange, stream, sink, next_hop, .. } = self;
        let EdgeSink { state, active, outbox, content, client: prefix, .. } = sink;
        let is_opening = matches!(request, Request::Open { .. });
        let performing: Pin<Box<dyn Future<Output = Outcome> + Send + '_>> = match request {
            Request::Open { route: Route::Hop(id), reverse_path, parameters, recipient } => {
                let (party, client) = (exchange.party(), exchange.client_details());
                let envelope = Envelope { party, client, reverse_path, parameters };
                Box::pin(next_hop.open(active.hops.find(id).cloned(), envelope, recipient))
            }
            Request::Recipient(recipient) => Box::pin(next_hop.recipient(recipient)),
            Request::Content { longest_line_octets } => {
                let trace = exchange.trace_field(&clock::date());
                let new = || Box::new(Content::new(Arc::clone(&state.content_budget), *prefix));
                let content = content.get_or_insert_with(new);
                Box::pin(next_hop.content(content, trace, longest_line_octets))
            }
        };
        let waiter = Waiter { exchange, lender: None };
        let outcome = alarm.wait(waiter, until, while_flushing(performing, stream, outbox)).await;
        Done::Carried(outcome.unwrap_or_else(|| next_hop.out_of_time(is_opening)))
    }

    async fn forget(&mut self, until: Moment, alarm: &mut Alarm<'_>) -> Done {
        let Self { exchange, next_hop, .. } = self;
        let waiter = Waiter { exchange, lender: None };
        if alarm.wait(waiter, until, next_hop.forget()).await.is_none() {
            // A connection that takes no RSET is of no use to anybody.
            *next_hop = Transaction::default();
        }
        Done::Yes
    }

    async fn read(&mut self, until: Moment, alarm: &mut Alarm<'_>) -> Done {
        if let Some(buffer) = self.exchange.take_buffer() {
            buffers::give(buffer);
        }
        if self.sink.content.as_ref().is_some_and(|content| content.is_over_room())
            && !Box::pin(self.spill()).await
        {
            return Done::Gone;
        }
        let Self { exchange, stream, next_hop, .. } = self;
        let waiter = Waiter { exchange, lender: Some(next_hop) };
        match alarm.wait(waiter, until, poll_fn(|cx| stream.poll_read_some(cx))).await {
            Some(Ok(bytes)) if !bytes.is_empty() => Done::Bytes(bytes),
            Some(Ok(_) | Err(_)) => Done::Gone,
            None => Done::Elapsed,
        }
    }

    fn find(&mut self, need: Need, until: Moment) -> Lookup {
        let state = &self.sink.state;
        Now(match need {
            Need::Standing => {
                Found::Standing(state.ledgers.standing(self.exchange.client(), self.sink.now))
            }
            Need::Split => {
                Found::Split(self.exchange.envelope_in_question().is_some_and(|envelope| {
                    lock(&state.split).is_remembered(&envelope, self.sink.now)
                }))
            }
            Need::Recipient => return self.find_recipient(until),
            Need::EarlyTalker => return Listen,
            Need::ReverseName => match &self.sink.active.dns {
                Some(dns) => return AskDns(Arc::clone(dns)),
                None => Found::ReverseName(ReverseName::Unavailable),
            },
        })
    }

    fn find_recipient(&mut self, until: Moment) -> Lookup {
        let active = &self.sink.active;
        let settings = &active.config.settings;
        let Some((domain, local_part)) = self.exchange.recipient_in_question() else {
            return Now(Found::Recipient(RecipientStatus::Unavailable));
        };
        let postmaster = LocalPart::new("postmaster");
        let Some(local_part) = local_part.or(postmaster.as_ref().ok()) else {
            return Now(Found::Recipient(RecipientStatus::Unavailable));
        };
        let patience = until.milliseconds_since(self.sink.now);
        let patience = Duration::from_millis(patience.saturating_sub(LOOK_UP_MARGIN_MILLISECONDS));
        match active.directory.look_up(
            domain,
            settings.domain(domain),
            local_part,
            self.exchange.party(),
            patience,
        ) {
            Answer::Now(found) => Now(Found::Recipient(found.status)),
            Answer::Later(answer) => Later(answer),
        }
    }

    /// A fact that somebody else must be asked for.
    async fn await_fact(
        &mut self,
        found: impl Future<Output = Found>,
        until: Moment,
        alarm: &mut Alarm<'_>,
    ) -> Done {
        let Self { exchange, stream, sink, next_hop, .. } = self;
        let waiter = Waiter { exchange, lender: Some(next_hop) };
        let found =
            alarm.wait(waiter, until, while_flushing(found, stream, &mut sink.outbox)).await;
        found.map_or(Done::Elapsed, Done::Found)
    }

    /// Listens whether the client talks before it is greeted.
    async fn listen(&mut self, until: Moment, alarm: &mut Alarm<'_>) -> Done {
        let Self { exchange, stream, .. } = self;
        let waiter = Waiter { exchange, lender: None };
        let spoke = match stream {
            Stream::Plain(socket) => alarm.wait(waiter, until, socket.peek(&mut [0])).await,
            Stream::Tls(_) | Stream::Gone => None,
        };
        match spoke {
            Some(spoke) => Done::Found(Found::EarlyTalker(matches!(spoke, Ok(1..)))),
            None => Done::Elapsed,
        }
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
                self.say_at_last(&Refusal::LocalTrouble).await;
                false
            }
            Err(_) => false,
        }
    }

    async fn pause(&mut self, until: Moment, alarm: &mut Alarm<'_>) -> Done {
        let Self { exchange, next_hop, .. } = self;
        let waiter = Waiter { exchange, lender: Some(next_hop) };
        alarm.wait(waiter, until, std::future::pending::<()>()).await;
        Done::Yes
    }

    async fn start_tls(&mut self, until: Moment, alarm: &mut Alarm<'_>) -> Done {
        let stream = std::mem::replace(&mut self.stream, Stream::Gone);
        let Some(config) = self.sink.active.tls.clone() else { return Done::Gone };
        let waiter = Waiter { exchange: &mut self.exchange, lender: None };
        match alarm.wait(waiter, until, accept_tls(stream, config)).await.flatten() {
            Some(stream) => {
                self.stream = stream;
                self.exchange.behind_tls();
                Done::Yes
            }
            None => Done::Gone,
        }
    }

    /// Nearly always the socket takes at once what was written; nothing where it does not.
    async fn send_at_once(&mut self) -> Option<Done> {
        let Self { stream, sink, .. } = self;
        match poll_fn(|cx| Poll::Ready(sink.outbox.poll_send(stream, cx))).await {
            Poll::Ready(()) => Some(sent(&sink.outbox)),
            Poll::Pending => None,
        }
    }

    async fn send(&mut self, until: Moment, alarm: &mut Alarm<'_>) -> Done {
        let Self { exchange, stream, sink, next_hop, .. } = self;
        // Replies that are not taken, and commands that are not read on for it.
        let _held = sink.state.content_budget.hold(2 * BUFFER_OCTETS as u64);
        let waiter = Waiter { exchange, lender: Some(next_hop) };
        let sending = poll_fn(|cx| sink.outbox.poll_send(stream, cx));
        match alarm.wait(waiter, until, sending).await {
            Some(()) => sent(&sink.outbox),
            None => Done::Elapsed,
        }
    }

    /// A last word that the exchange knows nothing of.
    async fn say_at_last(&mut self, refusal: &Refusal) {
        let Self { stream, sink, .. } = self;
        sink.outbox.write(&refusal.reply());
        let sending = poll_fn(|cx| sink.outbox.poll_send(stream, cx));
        let _ = timeout(FAREWELL_PATIENCE, sending).await;
    }

    async fn close(&mut self) {
        if !self.sink.outbox.is_broken() && self.sink.outbox.is_empty() {
            let _ = timeout(FAREWELL_PATIENCE, self.stream.shutdown()).await;
        }
    }

    async fn on_bug(&mut self) {
        let client = self.exchange.client().address.to_string();
        self.sink.state.observer.tell(
            ProcessEvent::Bug,
            &client,
            "the session panicked and was ended",
        );
        self.say_at_last(&Refusal::Bug).await;
        self.close().await;
    }
}

fn sent(outbox: &Outbox) -> Done {
    if outbox.is_broken() { Done::Gone } else { Done::Yes }
}

/// Waits for an answer. Replies that were given before do not wait with it for long, least of all
/// that to a whole message; they leave as far as the client takes them.
async fn while_flushing<T>(
    answer: impl Future<Output = T>,
    stream: &mut Stream,
    outbox: &mut Outbox,
) -> T {
    let mut answer = pin!(answer);
    if outbox.is_empty() {
        return answer.await;
    }
    if let Ok(answer) = timeout(GATHERING, answer.as_mut()).await {
        return answer;
    }
    poll_fn(|cx| {
        let _ = outbox.poll_send(stream, cx);
        answer.as_mut().poll(cx)
    })
    .await
}

/// What the directory says, on its way.
type Pending = Pin<Box<dyn Future<Output = directory::Found> + Send>>;

/// A fact that is there, or on its way.
enum Lookup {
    Now(Found),
    Later(Pending),
    /// The DNS is asked for it.
    AskDns(Arc<Resolver>),
    /// The client itself gives it.
    Listen,
}
use Lookup::{AskDns, Later, Listen, Now};

/// Shakes hands with a client.
async fn accept_tls(stream: Stream, config: Arc<rustls::ServerConfig>) -> Option<Stream> {
    let Stream::Plain(socket) = stream else { return None };
    let tls = tokio_rustls::TlsAcceptor::from(config).accept(socket).await.ok()?;
    Some(Stream::Tls(Box::new(tls.into())))
}
