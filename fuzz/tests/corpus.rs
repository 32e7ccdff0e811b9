//! Replays the corpus of every fuzz target.

use std::fs;
use std::path::Path;

type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("bus_reassembly", cloverleaf_fuzz::bus_reassembly),
    ("connect_query", cloverleaf_fuzz::connect_query),
    ("dfx_body", cloverleaf_fuzz::dfx_body),
    ("dfx_frame", cloverleaf_fuzz::dfx_frame),
    ("elm327_reply", cloverleaf_fuzz::elm327_reply),
    ("elm327_session", cloverleaf_fuzz::elm327_session),
    ("json", cloverleaf_fuzz::json),
    ("obd2_decode", cloverleaf_fuzz::obd2_decode),
    ("phoenix_client", cloverleaf_fuzz::phoenix_client),
    ("phoenix_frame", cloverleaf_fuzz::phoenix_frame),
    ("tscbm", cloverleaf_fuzz::tscbm),
    ("ws_decoder", cloverleaf_fuzz::ws_decoder),
];

#[test]
fn every_corpus_replays() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let inputs = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut count = 0;
        for input in inputs {
            let path = input.expect("a readable folder").path();
            println!("{}", path.display());
            target(&fs::read(&path).expect("a readable file"));
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}

#[test]
fn every_target_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let targets = fs::read_dir(folder).expect("a readable folder");
    let mut names: Vec<String> = targets
        .map(|entry| entry.expect("a file").path().file_stem().expect("a name").display().to_string())
        .collect();
    names.sort();
    assert_eq!(names, TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
