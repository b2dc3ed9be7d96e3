//! Recipient sources that ask elsewhere, against real servers and servers that lie; without the
//! program around them.

mod callout;
mod exports;
mod http_source;
mod ldap;
mod ldap_list;
mod sql;
