//! Archives: what comes out of good ones, and that hostile ones change nothing.

use std::io::{Cursor, Write as _};

use antiphon_environments::EnvironmentLimits;
use antiphon_wire::Code;
use flate2::Compression;
use flate2::write::GzEncoder;
use pretty_assertions::assert_eq;
use serde_json::json;
use tar::{Builder, EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::{PROJECT, Site};

const EXTRACT: (bool, bool) = (false, true);

/// An entry as it is written, whatever it says.
struct Raw<'a> {
    name: &'a [u8],
    kind: EntryType,
    mode: u32,
    content: &'a [u8],
}

fn plain<'a>(name: &'a str, content: &'a [u8]) -> Raw<'a> {
    Raw { name: name.as_bytes(), kind: EntryType::Regular, mode: 0o644, content }
}

fn tar(entries: &[Raw<'_>]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for entry in entries {
        let mut head = Header::new_gnu();
        // The library does not write what is wrong.
        head.as_old_mut().name[..entry.name.len()].copy_from_slice(entry.name);
        head.set_entry_type(entry.kind);
        head.set_mode(entry.mode);
        head.set_size(entry.content.len() as u64);
        if matches!(entry.kind, EntryType::Symlink | EntryType::Link) {
            head.set_link_name("/etc/passwd").unwrap();
        }
        head.set_cksum();
        archive.append(&head, entry.content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, _, content) in entries {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    let mut bytes = archive.finish().unwrap().into_inner();
    // The library writes no modes that are wrong: they stand in the upper half of the attributes.
    let heads: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"PK\x01\x02")).collect();
    for (at, (_, mode, _)) in heads.into_iter().zip(entries) {
        bytes[at + 38..at + 42].copy_from_slice(&(mode << 16).to_le_bytes());
    }
    bytes
}

#[tokio::test]
async fn good_archives_are_unpacked_into_their_folder() {
    let site = Site::new().await;
    let long = format!("{}/{}.txt", "f".repeat(110), "n".repeat(110));
    let mut built = Builder::new(Vec::new());
    let mut head = Header::new_ustar();
    head.set_size(3);
    head.set_mode(0o755);
    built.append_data(&mut head.clone(), "./src/run.sh", b"one".as_slice()).unwrap();
    built
        .append_data(
            &mut {
                let mut gnu = Header::new_gnu();
                gnu.set_size(3);
                gnu.set_mode(0o600);
                gnu
            },
            &long,
            b"two".as_slice(),
        )
        .unwrap();
    built.append_pax_extensions([("path", "pax/ü.txt".as_bytes())]).unwrap();
    built.append_data(&mut head, "short", b"six".as_slice()).unwrap();
    let tar = built.into_inner().unwrap();
    let zip = zip(&[("src/run.sh", 0o755, b"one"), (&long, 0o600, b"two"), ("pax/ü.txt", 0o644, b"six")]);
    for archive in [&tar, &gzip(&tar), &zip] {
        let id = site.create(json!({})).await;
        let placed = site.upload(&id, "in/here", archive, EXTRACT).await.unwrap();
        let mut paths: Vec<_> = placed.iter().map(|file| file.path.strip_prefix("in/here/").unwrap()).collect();
        paths.sort_unstable();
        assert_eq!(paths, [long.as_str(), "pax/ü.txt", "src/run.sh"]);
        assert_eq!(site.download(&id, "in/here/src/run.sh").await.unwrap(), b"one");
        assert_eq!(site.download(&id, "in/here/pax/ü.txt").await.unwrap(), b"six");
        let about = std::fs::metadata(site.workspace(&id).join("in/here/src/run.sh")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777, 0o755);
        // Again, and at the top, beside what is there.
        assert_eq!(site.upload(&id, "in/here", archive, EXTRACT).await.unwrap_err().code, Code::FailedPrecondition);
        site.upload(&id, "in/here", archive, (true, true)).await.unwrap();
        site.upload(&id, "", archive, EXTRACT).await.unwrap();
        assert_eq!(site.environments.get(PROJECT, &id).await.unwrap().file_count, 6);
    }
}

#[tokio::test]
async fn hostile_archives_change_nothing() {
    let site = Site::new().await;
    let of = |kind| Raw { name: b"bad", kind, mode: 0o644, content: b"" };
    let setuid = Raw { name: b"bad", kind: EntryType::Regular, mode: 0o4755, content: b"x" };
    let long_said = vec![b'a'; 100_000];
    let tars = [
        plain("../bad", b"x"),
        plain("a/../../bad", b"x"),
        plain("/etc/bad", b"x"),
        plain("a\\..\\bad", b"x"),
        plain("a\nb", b"x"),
        Raw { name: b"\xff", ..plain("", b"x") },
        of(EntryType::Symlink),
        of(EntryType::Link),
        of(EntryType::Char),
        of(EntryType::Block),
        of(EntryType::Fifo),
        of(EntryType::GNUSparse),
        setuid,
        Raw { name: b"././@LongLink", kind: EntryType::GNULongName, mode: 0, content: &long_said },
        Raw { name: b"pax", kind: EntryType::XHeader, mode: 0, content: b"16 path=../../x\n" },
        Raw { name: b"pax", kind: EntryType::XHeader, mode: 0, content: b"25 GNU.sparse.size=99999\n" },
    ];
    let mut archives = Vec::new();
    for bad in tars {
        archives.push(tar(&[plain("good", b"x"), bad, plain("after", b"x")]));
    }
    // A link, and then something through it.
    archives.push(tar(&[of(EntryType::Symlink), plain("bad/x", b"x")]));
    archives.push(tar(&[plain("bad", b"x"), plain("bad/x", b"x")]));
    for (name, mode) in [("../bad", 0o644), ("/bad", 0o644), ("a\\b", 0o644), ("bad", 0o4755), ("bad", 0o120_777)] {
        archives.push(zip(&[("good", 0o644, b"x"), (name, mode, b"/etc/passwd")]));
    }
    let whole = tar(&[plain("good", b"x"), plain("more", &[7; 5000])]);
    archives.push(whole[..3000].to_vec());
    let packed = gzip(&whole);
    archives.push(packed[..packed.len() / 2].to_vec());
    archives.push(b"no archive at all".to_vec());
    archives.push(Vec::new());
    let id = site.create(json!({"sources": [{"type": "inline", "target": "kept", "content": "x"}]})).await;
    for (at, archive) in archives.iter().enumerate() {
        let refused = site.upload(&id, "", archive, (true, true)).await;
        assert_eq!(refused.map_err(|error| error.code), Err(Code::InvalidRequest), "archive {at}");
        assert_eq!(site.paths(&id, "", true).await, ["kept"], "archive {at}");
    }
    assert_eq!(std::fs::read_dir(site.home(&id)).unwrap().count(), 1);
}

#[tokio::test]
async fn bombs_are_given_up() {
    let site = Site::new().await;
    let id = site.create(json!({})).await;
    let zeros = vec![0; 5 << 20];
    // More than 256 times as much comes out as went in.
    let small = gzip(&tar(&[plain("zeros", &zeros)]));
    assert!(small.len() < 16_000, "{}", small.len());
    let refused = site.upload(&id, "", &small, EXTRACT).await.unwrap_err();
    assert_eq!(refused.code, Code::ContentTooLarge);
    let refused = site.upload(&id, "", &zip(&[("zeros", 0o644, &zeros)]), EXTRACT).await.unwrap_err();
    assert_eq!(refused.code, Code::ContentTooLarge);
    assert_eq!(site.paths(&id, "", true).await, [""; 0]);

    let site = Site::within(EnvironmentLimits { bytes: 10_000, entries: 10, ..EnvironmentLimits::default() }).await;
    let id = site.create(json!({})).await;
    let refused = site.upload(&id, "", &tar(&[plain("large", &[1; 10_001])]), EXTRACT).await.unwrap_err();
    assert_eq!(refused.code, Code::ContentTooLarge);
    let names: Vec<_> = (0..11).map(|at| at.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| plain(name, b"")).collect();
    assert_eq!(site.upload(&id, "", &tar(&many), EXTRACT).await.unwrap_err().code, Code::ContentTooLarge);
    assert_eq!(site.paths(&id, "", true).await, [""; 0]);
}
