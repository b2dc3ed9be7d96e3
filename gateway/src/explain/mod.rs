//! Why something is, or was, answered as it is: `judgement` drives the exchange that serves mail,
//! `search` finds what a log remembers. What is printed is left to the commands, except for the
//! words of events (`story`); those of rules are the rules' own.

pub mod asked;
pub mod judgement;
pub mod route;
pub mod search;
pub mod story;
#[cfg(test)]
mod tests;
