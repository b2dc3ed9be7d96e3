//! Why something is, or was, answered as it is: `judgement` runs the rules of the live path over
//! facts that were asked for, `search` finds what a log remembers. What is printed is left to
//! the commands, except for the words of facts (`facts`) and events (`story`).

pub mod asked;
pub mod facts;
pub mod judgement;
pub mod route;
pub mod search;
pub mod story;
#[cfg(test)]
mod tests;
