//! Hands what libFuzzer invents to [`checks::address`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::address::check(bytes));
