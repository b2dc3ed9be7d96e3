//! Hands what libFuzzer invents to [`checks::content`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::content::check(bytes));
