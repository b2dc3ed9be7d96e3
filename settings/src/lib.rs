//! What the tables of the configuration say, as plain data, and what reading them takes: how a key
//! is described (`keys`) and read (`reader`, `value`), where a mistake is told (`mistake`, `site`),
//! and the values that several tables have (`address`, `file`, `tls_keys`). Those who use the data
//! begin here; the file as a whole is left to `config`, what a kind of recipient source has to the
//! kind.

pub mod address;
pub mod file;
pub mod keys;
pub mod mistake;
pub mod networks;
pub mod process;
pub mod reader;
pub mod recipients;
mod rights;
pub mod site;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop")]
mod tests;
pub mod tls_keys;
pub mod value;

pub use wire::server;
