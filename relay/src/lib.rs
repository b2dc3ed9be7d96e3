//! What a boundary relay decides and does, without doing it. No I/O, no clock, no randomness:
//! the time is an argument, facts are asked for, effects are returned.
//!
//! - [`exchange`]: one client, its transaction and the next hop as one machine; the heart.
//! - [`policy`]: the rules, the facts they read, and the one table from reason to reply.
//! - [`route`]: where a recipient's mail goes.
//! - [`ledger`]: what each client did lately. [`split`]: envelopes to be sent one by one.
//! - [`breaker`]: when a server that fails is left alone.
//! - [`turns`]: who is next where something is scarce, and who must give back.
//! - [`belief`]: what a source's word is worth.
//! - [`event`]: the one vocabulary of log, metrics, ledger and dialogues.

pub mod belief;
pub mod breaker;
pub mod client;
pub mod event;
pub mod exchange;
pub mod ledger;
pub mod moment;
pub mod next_hop;
pub mod policy;
pub mod recipient;
pub mod route;
pub mod settings;
pub mod split;
pub mod turns;
