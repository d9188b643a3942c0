#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| corelane::http1::differential::request_head(data));
