//! One target under libFuzzer: the one that PSILOGD_FUZZ names.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../targets/mod.rs"]
mod targets;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("PSILOGD_FUZZ").unwrap_or_default();
    let found = targets::ALL.iter().find(|(known, _)| *known == name);
    found
        .unwrap_or_else(|| panic!("PSILOGD_FUZZ={name}: no such target"))
        .1
});

fuzz_target!(|data: &[u8]| (*TARGET)(data));
