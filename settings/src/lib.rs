//! What the tables of the configuration say, as plain data, and what reading them takes: how a key
//! is described (`keys`, `place`), where a mistake is told (`mistake`, `site`), and the values that
//! several tables have (`address`, `file`, `tls_keys`, `entry`). Those who use the data begin here;
//! the file as a whole is left to `config`, what a kind of recipient source has to the kind.

pub mod address;
pub mod entry;
pub mod file;
pub mod keys;
pub mod mistake;
pub mod networks;
pub mod place;
pub mod process;
pub mod recipients;
mod rights;
pub mod site;
pub mod tls_keys;

pub use wire::server;
