//! The reference part of docs/configuration.md, made from the table of keys.
