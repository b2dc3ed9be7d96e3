//! Reading tables of the configuration: what a key is (`keys`), how a table is read by its keys
//! (`reader`, `value`), and where a mistake is told (`context`). Which tables there are is left to
//! those who read them.

pub mod context;
pub mod keys;
pub mod reader;
pub mod unread;
pub mod value;
