//! Real captures, changed captures and damaged captures through `weir replay`.

use std::path::Path;

#[test]
fn dump() {
    let mut files: Vec<_> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("replay/captures"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
    files.sort();
    for file in files {
        println!("== {}", file.file_name().unwrap().to_string_lossy());
        let report = weir::replay::run(&file, &mut |e| {
            if e.path.as_deref() != Some("/load") {
                println!(
                    "{} {:?} {:?} {:?} +{} -{} {} {}",
                    e.operation,
                    e.path,
                    e.status,
                    e.error,
                    e.request_bytes,
                    e.response_bytes,
                    e.server.addr,
                    e.duration_ns
                );
            }
        });
        println!("{report:?}");
    }
}
