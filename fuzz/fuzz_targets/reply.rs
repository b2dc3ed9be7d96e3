//! Hands what libFuzzer invents to [`checks::reply`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::reply::check(bytes));
