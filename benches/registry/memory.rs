//! The two loads that memory is bounded for.

use std::thread;

use super::client::{Client, push_blob};
use super::content::{GIB, MIB, digest, random, unique};
use super::measure::Report;
use super::peers::Peer;
use super::{Failure, Outcome};

const UPLOADS: usize = 64;
const PREFIX: usize = 8;

/// 64 uploads of 64 MiB at once under 256 MiB, then one of 4 GiB under 128 MiB.
pub(super) fn limits(report: &mut Report) -> Outcome<()> {
    let content = random(GIB);
    let many: Vec<_> = (0..UPLOADS)
        .map(|upload| {
            let start = upload * 8 * MIB;
            upload_of(vec![&content[start..start + 64 * MIB - PREFIX]])
        })
        .collect();
    let ours = Peer::ours()?;
    thread::scope(|scope| {
        let address = ours.address();
        let uploads: Vec<_> = many
            .iter()
            .map(|(prefix, rest, digest)| {
                scope.spawn(move || {
                    let parts = [&[prefix.as_slice()], rest.as_slice()].concat();
                    push_blob(&mut Client::connect(address)?, "bench/many", digest, &parts)
                })
            })
            .collect();
        uploads.into_iter().try_for_each(|upload| upload.join().map_err(|_| "an upload panicked")?)
    })?;
    report.note_memory_within("64 x 64 MiB", &ours, Some(256.0))?;
    drop(ours);

    let ours = Peer::ours()?;
    let (prefix, rest, digest) = upload_of(vec![&content, &content, &content, &content[PREFIX..]]);
    let parts = [&[prefix.as_slice()], rest.as_slice()].concat();
    push_blob(&mut Client::connect(ours.address())?, "bench/one", &digest, &parts)?;
    report.note_memory_within("1 x 4 GiB", &ours, Some(128.0))?;
    Ok::<(), Failure>(())
}

type Upload<'a> = ([u8; PREFIX], Vec<&'a [u8]>, String);

fn upload_of(rest: Vec<&[u8]>) -> Upload<'_> {
    let prefix = unique().to_le_bytes();
    let digest = digest(&[&[prefix.as_slice()], rest.as_slice()].concat());
    (prefix, rest, digest)
}
