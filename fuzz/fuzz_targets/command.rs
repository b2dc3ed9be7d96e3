//! Hands what libFuzzer invents to [`checks::command`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::command::check(bytes));
