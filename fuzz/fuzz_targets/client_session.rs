//! Hands what libFuzzer invents to [`checks::client_session`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::client_session::check(bytes));
