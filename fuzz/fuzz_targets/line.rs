//! Hands what libFuzzer invents to [`checks::line`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::line::check(bytes));
