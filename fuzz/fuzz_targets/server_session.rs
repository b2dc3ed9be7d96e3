//! Hands what libFuzzer invents to [`checks::server_session`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::server_session::check(bytes));
