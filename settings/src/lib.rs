//! What the tables of the configuration say, as plain data, and what reading them takes: keys and
//! their values (`table`), what is wrong with them (`mistake`), and the values that several tables
//! have (`address`, `file`, `tls_keys`). Those who use the data
//! begin here; the file as a whole is left to `config`, what a kind of recipient source has to the
//! kind.

pub mod address;
pub mod file;
pub mod mistake;
pub mod networks;
pub mod process;
pub mod recipients;
mod rights;
pub mod table;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop")]
mod tests;
pub mod tls_keys;
pub mod user;
