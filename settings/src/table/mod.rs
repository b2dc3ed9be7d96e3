//! Reading tables of the configuration: what a key is (`keys`), how a table is read by its keys
//! (`reader`, `value`), and where a mistake is told (`site`). Which tables there are is left to
//! those who read them.

pub mod keys;
pub mod reader;
pub mod site;
pub mod unread;
pub mod value;
