//! The rules of the README ("Invariants"), checked on the source itself.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ has a parent").to_path_buf()
}

/// All `.rs` files below `folder`, with their text, paths relative to the root. Fails when there are none.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() && !path.ends_with("target") {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "{folder} has no sources: has it moved?");
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("UTF-8 source");
            let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            (name, text)
        })
        .collect()
}

/// The code of a file without comments and without its trailing `#[cfg(test)]` module.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        // Assertions in constants fail the build, not the program.
        .filter(|(_, line)| !(line.trim_start().starts_with("const ") && line.contains(": () = assert!")))
        .map(|(number, line)| (number + 1, line))
}

/// Fails with every line of `files` that contains one of `words`.
fn forbid(rule: &str, files: impl IntoIterator<Item = (String, String)>, words: &[&str]) {
    let mut found = Vec::new();
    for (name, text) in files {
        for (number, line) in code(&text) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

/// All but `one` of `all`, each behind `prefix`: what `one` must not name.
fn others(prefix: &str, all: &[&str], one: &str) -> Vec<String> {
    all.iter().filter(|other| **other != one).map(|other| format!("{prefix}{other}")).collect()
}

#[test]
fn core_has_no_std_alloc_clock_logging_or_panic() {
    forbid(
        "core is no_std and no_alloc, reads no clock, logs nothing and does not panic",
        sources("core/src"),
        &[
            "std::",
            "extern crate",
            "alloc::",
            "static mut",
            "Instant::now",
            "defmt::info",
            "defmt::warn",
            "log::",
            "tracing::",
            ".unwrap()",
            ".expect(",
            "panic!(",
            "unreachable!(",
            "todo!(",
            "unimplemented!(",
            " assert!(",
            " assert_eq!(",
        ],
    );
}

#[test]
fn core_shows_nom_to_nobody() {
    for (name, text) in sources("core/src") {
        for (number, line) in code(&text) {
            let line = line.trim_start();
            let public = line.starts_with("pub fn") || line.starts_with("pub const fn");
            assert!(
                !(public && (line.contains("IResult") || line.contains("nom::"))),
                "{name}:{number}: nom in a public signature"
            );
        }
    }
}

#[test]
fn wire_does_not_know_session() {
    forbid(
        "session may use wire, never the other way round",
        sources("core/src").into_iter().filter(|(name, _)| name.contains("/wire")),
        &["session"],
    );
}

#[test]
fn only_the_driver_is_async() {
    forbid(
        "only driver.rs is async",
        sources("core/src").into_iter().filter(|(name, _)| name != "core/src/driver.rs"),
        &["async ", ".await"],
    );
}

#[test]
fn protocols_do_not_import_one_another() {
    let protocols = ["elm327", "phoenix", "dfx"];
    for protocol in protocols {
        let others = others("crate::", &protocols, protocol);
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let folder = format!("core/src/{protocol}");
        forbid("elm327, phoenix and dfx never import one another", sources(&folder), &others);
    }
    forbid("obd2 does not know that adapters exist", sources("core/src/obd2"), &["crate::elm327"]);
    forbid("elm327 does not know what a PID means", sources("core/src/elm327"), &["crate::obd2"]);
    forbid("bus knows neither", sources("core/src/bus"), &["crate::elm327", "crate::obd2"]);
}

#[test]
fn services_do_not_import_one_another() {
    let services = ["obd", "octane", "relay", "hub", "dfx"];
    for service in services {
        let folder = format!("host/src/services/{service}");
        if !root().join(&folder).exists() {
            continue;
        }
        let others = others("services::", &services, service);
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        forbid("no service imports another", sources(&folder), &others);
    }
    let may_import = |name: &str| {
        name.starts_with("host/src/services/")
            || name.starts_with("host/src/cli/")
            || ["host/src/app.rs", "host/src/config.rs"].contains(&name)
    };
    forbid(
        "only app.rs, config.rs and the command line import services",
        sources("host/src").into_iter().filter(|(name, _)| !may_import(name)),
        &["services::obd", "services::octane", "services::relay", "services::hub", "services::dfx"],
    );
}

#[test]
fn states_are_pure_and_events_are_serde_only() {
    let io = ["tokio", "axum", "socketioxide", ".await", "Instant::now", "SystemTime::now", "Timestamp::now"];
    for (rule, file) in [("state.rs is pure", "/state.rs"), ("events.rs is serde only", "/events.rs")] {
        // `state.rs`, or everything in `state/`.
        let folder = file.replace(".rs", "/");
        let files = sources("host/src/services")
            .into_iter()
            .filter(|(name, _)| name.ends_with(file) || name.contains(&folder));
        forbid(rule, files, &io);
    }
}

#[test]
fn unsafe_stays_in_the_firmware_drivers() {
    let drivers = ["firmware/src/uart.rs", "firmware/src/board.rs"];
    let files = ["core/src", "host/src", "firmware/src", "fuzz"].into_iter().flat_map(sources);
    forbid(
        "unsafe only in firmware/src/{uart,board}.rs",
        files.filter(|(name, _)| !drivers.contains(&name.as_str())),
        &["unsafe {", "unsafe fn", "unsafe impl"],
    );
}

#[test]
fn names_follow_the_vocabulary() {
    let files = ["core/src", "host/src", "firmware/src"].into_iter().flat_map(sources);
    forbid("no `get_`, Manager, Helper, Util", files, &["fn get_", "Manager", "Helper", "Util "]);
}
