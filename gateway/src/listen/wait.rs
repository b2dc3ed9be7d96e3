//! The one wait of a session: for whatever it waits, until the exchange's deadline for it.
//! Meanwhile it hears that we go down and that the pressure changes, both of which may move the
//! deadline, and gives the next hop's connection back when somebody else needs it.

use crate::next_hop::Transaction;
use crate::state::{Conditions, State};
use relay::exchange::Exchange;
use relay::moment::Moment;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::sync::watch;
use tokio::time::Sleep;
use wire::clock;

/// What wakes a session that waits.
pub(super) struct Alarm<'a> {
    timer: Pin<&'a mut Sleep>,
    conditions: watch::Receiver<Conditions>,
}

/// Who waits.
pub(super) struct Waiter<'a> {
    /// It sets the deadlines.
    pub(super) exchange: &'a mut Exchange,
    /// Where its connection may be called back meanwhile, because it is not the next hop that is
    /// waited for.
    pub(super) lender: Option<&'a mut Transaction>,
}

enum Event<T> {
    Done(T),
    Changed,
    Elapsed,
}

impl<'a> Alarm<'a> {
    /// For one session; the exchange hears what it may have missed.
    pub(super) fn new(timer: Pin<&'a mut Sleep>, state: &State, exchange: &mut Exchange) -> Self {
        let mut conditions = state.conditions.subscribe();
        if conditions.borrow_and_update().draining {
            exchange.drain();
        }
        Self { timer, conditions }
    }

    /// Waits for `work`; nothing when its time is over. Work that is not done by then is dropped.
    pub(super) async fn wait<T>(
        &mut self,
        waiter: Waiter<'_>,
        mut until: Moment,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let Waiter { exchange, mut lender } = waiter;
        let mut work = pin!(work);
        // Most of what is waited for is there: nothing has to be set up for that.
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
            return Some(done);
        }
        let waited = loop {
            self.timer.as_mut().reset(clock::instant(until).into());
            let event = self.event(work.as_mut(), lender.as_deref_mut()).await;
            match event {
                Event::Done(done) => break Some(done),
                Event::Elapsed => break None,
                Event::Changed => {}
            }
            let conditions = *self.conditions.borrow_and_update();
            exchange.set_pressure(conditions.pressure);
            if conditions.draining {
                exchange.drain();
            }
            until = exchange.until().unwrap_or(until);
        };
        if let Some(lender) = lender {
            lender.resume();
        }
        waited
    }

    async fn event<T>(
        &mut self,
        mut work: Pin<&mut impl Future<Output = T>>,
        mut lender: Option<&mut Transaction>,
    ) -> Event<T> {
        let (timer, mut changed) = (&mut self.timer, pin!(self.conditions.changed()));
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Event::Done(done));
            }
            if changed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Changed);
            }
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Elapsed);
            }
            // Once it has been called back there is nothing more to lend.
            if let Some(lender) = &mut lender {
                let _ = lender.poll_recalled(cx);
            }
            Poll::Pending
        })
        .await
    }
}
